"""The files that the data steps read, so that a plan can tell whether one of them changed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from jessyfile.dataset.places import (
    MARKERS,
    correction_files,
    own_seed_files,
    preference_files,
    reference_paths,
    replay_file,
    seed_files,
    suite_paths,
)
from jessyfile.dataset.refinement import TABLE as REFINEMENT_TABLE
from jessyfile.dataset.select import Wanted, wanted_topics
from jessyfile.dataset.settings import DataRecipe
from jessyfile.language.recipe import Recipe
from jessyfile.resources import resource

Files = Callable[[DataRecipe, Path], Sequence[Path]]


def category_files(name: str) -> Files:
    """Return the function that lists the files of `data.<name>`: the category's seeds, and what tops them up."""

    def files(recipe: DataRecipe, root: Path) -> Sequence[Path]:
        made = _top_up_files(recipe, root, name) if tops_up(recipe, root, name) else ()
        seeds = (*seed_files(recipe, root, name), *correction_files(recipe, root))
        return tuple(dict.fromkeys((*seeds, *_own_files(recipe, root, name), *made)))

    return files


def _own_files(recipe: DataRecipe, root: Path, name: str) -> Iterator[Path]:
    """Yield the word lists, the project's before jessy's, and jessy's prompts that decide which rows pass and what is asked of a teacher."""
    yield resource("grammar", "example.schema.json")
    ours = (resource("data", "lexicon", f"words_{name}.tsv") for name in ("tr", "en"))
    own = {path.name: path for path in sorted((root / "data" / "lexicon").glob("words_*.tsv"))}
    yield from ({path.name: path for path in ours} | own).values()
    tables = list[str]()
    if _refines(recipe, name):
        tables.append(REFINEMENT_TABLE)
    if recipe.dataset.augment.slang:
        tables.append("short_forms")
    if recipe.dataset.teacher is not None:
        tables.append("situations")
        yield resource("templates", "prompts", "teacher.system.j2")
        yield resource("templates", "prompts", "teacher.user.j2")
    yield from (resource("data", "lexicon", f"{table}.tsv") for table in tables)


def _top_up_files(recipe: DataRecipe, root: Path, name: str) -> Iterator[Path]:
    yield from _template_files(recipe, root, name)
    yield from _suite_files(recipe, root)


def _template_files(recipe: DataRecipe, root: Path, name: str) -> Iterator[Path]:
    from jessyfile.dataset.templates import template_files  # only few recipes need it

    for wanted in wanted_of(recipe, name):
        yield from template_files(root, name, wanted.topic) if wanted.topic else ()


def tops_up(recipe: DataRecipe, root: Path, name: str) -> bool:
    """Whether a category may take rows from elsewhere than its seeds: it refines others, it has a TEACHER, or a topic asks for more rows
    than its seed file has lines.

    The plan and the step ask the same question, so that a step never reads a template or a suite that its
    fingerprint leaves out. How many seeds pass the filters is known only when they are read: a teacher is there to be
    asked whatever the filters leave.
    """
    lines = {path.stem: _lines(path) for path in seed_files(recipe, root, name)}
    return (
        recipe.dataset.teacher is not None
        or _refines(recipe, name)
        or any(
            wanted.count > (lines.get(wanted.topic, 0) if wanted.topic else sum(lines.values()))
            for wanted in wanted_of(recipe, name)
        )
    )


def wanted_of(recipe: DataRecipe, name: str) -> tuple[Wanted, ...]:
    """Return what the category of this name asks for, topic by topic."""
    return next((wanted_topics(category) for category in recipe.dataset.categories if category.name == name), ())


def _refines(recipe: DataRecipe, name: str) -> bool:
    return any(category.name == name and category.refine for category in recipe.dataset.categories)


def _lines(path: Path) -> int:
    return path.read_bytes().count(b"\n")


def index_files(recipe: DataRecipe, root: Path) -> Sequence[Path]:
    """List what the index reads besides rows: the seeds that are the project's own, whose rows come first."""
    return tuple(path for _, path in own_seed_files(recipe, root))


def dataset_files(recipe: DataRecipe, root: Path) -> Sequence[Path]:
    """List what `dataset` reads besides its inputs: marker rows, the suites it must not meet, rows to replay."""
    markers = seed_files(recipe, root, MARKERS) if recipe.dataset.markers else ()
    replay = (replay_file(recipe, root),) if recipe.dataset.replay else ()
    return (*markers, *_suite_files(recipe, root), *replay)


def neighbour_files(recipe: DataRecipe, root: Path) -> Sequence[Path]:
    """List what `neighbours` reads besides its inputs: how questions are typed and worded otherwise, and the suites that none may meet."""
    tables = (resource("data", "lexicon", f"{table}.tsv") for table in ("synonyms", "short_forms"))
    worded = (path for category in recipe.dataset.categories for path in _template_files(recipe, root, category.name))
    return (*tables, *dict.fromkeys(worded), *_suite_files(recipe, root))


def question_files(recipe: Recipe, root: Path) -> Sequence[Path]:
    """List what `questions` reads besides its inputs and the questions: how they are typed otherwise, and the suites that none may meet."""
    tables = (resource("data", "lexicon", f"{table}.tsv") for table in ("synonyms", "short_forms"))
    return (*tables, *_suite_files(recipe, root))


def preference_inputs(recipe: Recipe, root: Path) -> Sequence[Path]:
    """List what `preferences` reads: PREFER's files, the suites that they must not meet, and what a row may be."""
    named = preference_files(recipe.prefer, root) if recipe.prefer else ()
    return (*named, *_suite_files(recipe, root), resource("grammar", "preference.schema.json"))


def _suite_files(recipe: DataRecipe, root: Path) -> tuple[Path, ...]:
    suites = suite_paths(recipe, root)
    return (*suites, *reference_paths(suites))
