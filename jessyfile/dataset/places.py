"""Where a recipe's hand-written rows and the suites lie. Nothing is read here, so that a plan imports no reader of rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from jessyfile.errors import DatasetError
from jessyfile.resources import resource

if TYPE_CHECKING:
    from jessyfile.dataset.settings import DataRecipe
    from jessyfile.language.recipe import Prefer, Recipe

MARKERS = "markers"  # the seeds' folder, and the category, of the marker-only rows
SEEDS = "data/seeds"
FEEDBACK = "data/feedback"  # what people said and a person accepted
PAIRS, JUDGED = "_pairs.jsonl", "_judged.jsonl"  # no category begins so


def seed_folders(recipe: DataRecipe, root: Path) -> Iterator[Path]:
    """Yield the folders that may hold seeds, nearest first: the recipe's, the project's, the shipped ones."""
    named = recipe.dataset.seeds
    if named:
        yield root / named
        yield recipe.path.parent / named
    yield root / SEEDS
    yield resource("data", "seeds")


def seed_files(recipe: DataRecipe, root: Path, category: str) -> tuple[Path, ...]:
    """Return the seed files of a category (or of `markers`): those of the first folder that has any, by name, then of the
    folders after it the files of topics that the recipe names and that have none yet.

    A category without topics, and the markers, are one folder's alone. A folder outside the project's root is read only
    when it is the shipped one.
    """
    topics = {topic.name for own in recipe.dataset.categories if own.name == category for topic in own.topics}
    found: dict[str, Path] = {}
    for folder in _allowed(recipe, root):
        here = {path.stem: path for path in sorted((folder / category).glob("*.jsonl")) if path.is_file()}
        found |= {stem: path for stem, path in here.items() if stem not in found and (not found or stem in topics)}
    return tuple(found.values())


def own_seed_files(recipe: DataRecipe, root: Path) -> Iterator[tuple[str, Path]]:
    """Yield the seed files that do not come with jessy, each with its category: the rows of the project."""
    shipped = resource("data", "seeds").resolve()
    for category in recipe.dataset.categories:
        for path in seed_files(recipe, root, category.name):
            if not path.is_relative_to(shipped):
                yield category.name, path


def file_to_write(recipe: DataRecipe, root: Path, category: str, topic: str | None = None) -> str:
    """Return, as messages show it, the user's file into which more seeds belong: one that is read, or the one to begin.

    Args:
        recipe: its SEEDS are looked at first.
        root: the project's root folder.
        category: the category, or `markers`.
        topic: the file's name; None for a category without topics.
    """
    own = [path for path in seed_files(recipe, root, category) if path.is_relative_to(root.resolve())]
    if own and topic is None:
        return shown_path(own[0], root)
    nearest = (folder.resolve() for folder in seed_folders(recipe, root) if folder.is_dir())
    begun = next((folder for folder in nearest if folder.is_relative_to(root.resolve())), root.resolve() / SEEDS)
    folder = own[0].parent if own else begun / category
    return shown_path(folder / f"{topic or category}.jsonl", root)


def markers_to_write(recipe: DataRecipe, root: Path) -> str:
    """Return the way out where marker rows are too few."""
    file = file_to_write(recipe, root, MARKERS, "<level>")
    return f"write more into {file}, or lower `markers` in the DATASET block"


def _allowed(recipe: DataRecipe, root: Path) -> Iterator[Path]:
    shipped, inside = resource("data", "seeds").resolve(), root.resolve()
    for folder in seed_folders(recipe, root):
        found = folder.resolve()
        if not (found.is_relative_to(inside) or found == shipped):
            raise DatasetError(
                f"the seeds folder `{recipe.dataset.seeds}` lies outside the project",
                hint="move it under the project's root",
            )
        yield found


def passed_over(recipe: DataRecipe, root: Path, category: str) -> Iterator[str]:
    """Yield, a sentence each, what lies where a category's seeds belong and is not read."""
    read = seed_files(recipe, root, category)
    for folder in dict.fromkeys(_allowed(recipe, root)):
        place = folder / category
        others = sorted(path for path in place.glob("*") if path.is_file() and path.suffix != ".jsonl")
        yield from (
            f"`{shown_path(path, root)}` is not read: rows are JSON lines in a file that ends in .jsonl"
            for path in others
        )
        hidden = set(place.glob("*.jsonl")) - set(read)
        if read and hidden:
            yield f"`{shown_path(read[0].parent, root)}` takes the place of the rows that come with jessy"


def shown_path(path: Path, root: Path) -> str:
    """Return a path as messages show it: from the root, or from data/ when it is shipped with jessy."""
    for base in (root.resolve(), resource("data").resolve().parent):
        if path.is_relative_to(base):
            return path.relative_to(base).as_posix()
    return path.name


def suite_paths(recipe: DataRecipe, root: Path) -> tuple[Path, ...]:
    """Return the evaluation suites' files: the recipe's own, the project's and the shipped ones, each once."""
    named = (existing_file(suite.file, recipe, root) for suite in recipe.evaluation.suites)
    found = [path for path in named if path is not None]
    for folder in (root / "data" / "eval", resource("data", "eval")):
        found += sorted(folder.resolve().glob("*.jsonl"))
    return tuple(dict.fromkeys(found))


def reference_paths(suites: Iterable[Path]) -> tuple[Path, ...]:
    """Return the files of reference answers that lie in a folder `references` beside suites, under the suites' names."""
    beside = (suite.parent / "references" / suite.name for suite in suites)
    return tuple(path for path in beside if path.is_file())


def existing_file(file: str, recipe: DataRecipe, root: Path) -> Path | None:
    """Return a file that a recipe names: from the root, beside the recipe, or shipped; None when it is nowhere."""
    for base in (root, recipe.path.resolve().parent, resource("data").parent):
        path = (base / file).resolve()
        if path.is_file():
            return path
    return None


def preference_files(prefer: Prefer, root: Path) -> tuple[Path, ...]:
    """Return the files that PREFER names, and those of accepted judgements that its method reads."""
    accepted = ((PAIRS,) if prefer.method == "dpo" else (PAIRS, JUDGED)) if prefer.feedback else ()
    there = (path for name in accepted if (path := root / FEEDBACK / name).is_file())
    return (*(root / name for name in prefer.files), *there)


def correction_files(recipe: DataRecipe, root: Path) -> tuple[Path, ...]:
    """Return the file of the corrections that FEEDBACK takes; none while nobody accepted one."""
    name = recipe.dataset.feedback
    path = root / FEEDBACK / f"{name}.jsonl"
    return (path,) if name is not None and path.is_file() else ()


def feedback_folder(recipe: Recipe, root: Path) -> tuple[Path, ...]:
    """Return the folder in which a recipe that learns from feedback finds it, whether or not anything was accepted yet."""
    takes = recipe.dataset.feedback is not None or (recipe.prefer is not None and recipe.prefer.feedback)
    return (root / FEEDBACK,) if takes else ()


def replay_file(recipe: DataRecipe, root: Path) -> Path:
    """Return the file of general rows that REPLAY names, from the root or beside the recipe."""
    name = recipe.dataset.replay.file if recipe.dataset.replay else ""
    return existing_file(name, recipe, root) or root / name
