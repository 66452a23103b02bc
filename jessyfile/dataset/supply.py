"""Whether a recipe's topics can have as many rows as they ask for, counted before anything runs.

The count is the most that seeds, templates and AUGMENT can give. Filters may drop some of these rows; the step then
reports what is missing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any, NamedTuple

from jessyfile.dataset.completions import read_key
from jessyfile.dataset.dataset_inputs import tops_up, wanted_of
from jessyfile.dataset.places import (
    MARKERS,
    file_to_write,
    markers_to_write,
    replay_file,
    seed_files,
    seed_folders,
    shown_path,
)
from jessyfile.dataset.refinement import DRAFTS
from jessyfile.dataset.select import Wanted, wanted_topics
from jessyfile.dataset.shipped_counts import Kind, kind_of, shipped_rows, surely_composable
from jessyfile.errors import DatasetError, TeacherError
from jessyfile.language.suggest import similar
from jessyfile.planning.consent import teacher_sends
from jessyfile.resources import resource
from jessyfile.text.json_lines import Fault, Line, raise_faults, read_jsonl

if TYPE_CHECKING:
    from pathlib import Path

    from jessyfile.dataset.settings import DataRecipe
    from jessyfile.language.recipe import Category
    from jessyfile.planning.preflight import Finding, Outlook


class _Kind(NamedTuple):
    """All that rows are counted by; `own` are those of the user's files."""

    topic: str | None
    language: str | None
    level: str | None
    own: bool


@dataclass(frozen=True, slots=True)
class Shortage:
    """A topic that asks for more rows than there can be; `near` is a topic or category of a similar name, `apart` how many of its rows
    are of another language or level. More of them belong into `file`, unless its category `refines` others."""

    wanted: Wanted
    found: int
    file: str
    near: str | None
    apart: int = 0
    refines: bool = False

    @property
    def address(self) -> str:
        """Where the recipe asks for it."""
        return _address(self.wanted)

    def error(self) -> DatasetError:
        """Return what is missing and the ways out."""
        wanted, missing = self.wanted, self.wanted.count - self.found
        if self.refines:
            can = f"{self.found} can be made: at most {DRAFTS} of each row that it refines"
            said = f"`{wanted.name}` asks for {wanted.count} rows and {can}"
            return DatasetError(said, hint=f"ask for {self.found}, or name more categories after `refine`")
        ways = f"write {missing} more into {self.file}; or add `TEACHER <model> at <url>` to the DATASET block"
        lower = f"; or ask for {self.found}" if self.found else ""
        hint = f"a similar one exists: `{self.near}`; or {ways}" if self.near else f"{ways}{lower}"
        said = f"`{wanted.name}` asks for {wanted.count} rows and {self.found} are there"
        if self.apart:
            asked = " and ".join(filter(None, (wanted.language, wanted.level and f"level {wanted.level}")))
            are = "is" if self.apart == 1 else "are"
            said += f": {self.apart} more {are} not {asked}, which the recipe asks for"
            hint = f"let the category take them: `language mixed`, another level or none; or {hint}"
        return DatasetError(said, hint=hint)


def _address(wanted: Wanted) -> str:
    topic = f".topic.{wanted.topic}" if wanted.topic else ""
    return f"dataset.category.{wanted.category}{topic}.count"


def category_preflight(outlook: Outlook) -> Iterator[Finding]:
    """Yield the topics of `data.<category>` that ask for too many rows, and what is wrong with the TEACHER that would write
    them.
    """
    recipe, root, name = outlook.recipe, outlook.root, outlook.step.removeprefix("data.")
    rows = _rows(recipe, root, name)
    yield from _left_over(outlook, wanted_of(recipe, name), rows)
    short = _shortages(recipe, root, name, rows)
    if recipe.dataset.teacher is None or any(shortage.refines for shortage in short):  # a teacher writes no drafts
        yield from (outlook.error(shortage.error(), shortage.address) for shortage in short)
    elif short and outlook.machine:
        yield from _teacher(outlook)


def _left_over(outlook: Outlook, topics: Sequence[Wanted], rows: Mapping[_Kind, int]) -> Iterator[Finding]:
    """Yield how many of a user's own rows are not used, since more are there than asked for."""
    from jessyfile.planning.preflight import Finding

    for wanted in topics:
        own = sum(times for kind, times in rows.items() if kind.own and wanted.accepts(*kind[:3]))
        if own > wanted.count:
            address = _address(wanted)
            source, many = outlook.recipe.source(address), own - wanted.count
            are = "is" if many == 1 else "are"
            said = (
                f"`{wanted.name}` has {own} rows and {wanted.count} are asked for: {many} {are} left out, drawn by lot"
            )
            yield Finding(
                "note", "", outlook.step, said, f"ask for {own} to use them all", str(source) if source else ""
            )


def _shortages(recipe: DataRecipe, root: Path, name: str, rows: Mapping[_Kind, int]) -> list[Shortage]:
    """Return the topics of a category that seeds, templates and AUGMENT together cannot fill."""
    more = tops_up(recipe, root, name)
    category = next(one for one in recipe.dataset.categories if one.name == name)
    if category.refine:
        return list(_refined_short(recipe, category, rows))
    found = ((wanted, _most(recipe, root, wanted, rows, more=more)) for wanted in wanted_of(recipe, name))
    return [_shortage(recipe, root, wanted, count, rows) for wanted, count in found if count < wanted.count]


def _refined_short(recipe: DataRecipe, category: Category, rows: Mapping[_Kind, int]) -> Iterator[Shortage]:
    """Yield what a category asks for beyond its own seeds and as many drafts as each row of the others can have."""
    asked = {one.name: one.count for one in recipe.dataset.categories if one.name in category.refine}
    for wanted in wanted_topics(category):
        names = category.refine if wanted.topic is None else (wanted.topic,)
        own = sum(times for kind, times in rows.items() if wanted.accepts(*kind[:3]) and kind.topic in names)
        count = own + DRAFTS * sum(asked.get(name, 0) for name in names)
        if count < wanted.count:
            yield Shortage(wanted, count, "", None, refines=True)


def _rows(recipe: DataRecipe, root: Path, name: str) -> Mapping[_Kind, int]:
    """Return how many seeds a category has of each kind: of each topic those of the nearest folder that has any, as the step takes them."""
    rows, faults = Counter[_Kind](), list[Fault]()
    for folder, files in groupby(seed_files(recipe, root, name), key=lambda path: path.parent):
        known, own, here = _topics(rows), not _is_shipped(folder), Counter[Kind]()
        for path in files:
            here.update(_counted(path, root, faults) if own else shipped_rows(path) or _counted(path, root, faults))
        rows.update({_Kind(*kind, own): times for kind, times in here.items() if kind[0] not in known})
    raise_faults(faults, f"the seeds of `{name}` are malformed")
    return rows


def _topics(rows: Mapping[_Kind, int]) -> Collection[str | None]:
    return {kind.topic for kind in rows}


def _counted(path: Path, root: Path, faults: list[Fault]) -> Counter[Kind]:
    """Return how many rows of each kind a file holds, and add what is wrong with it to `faults`: a shipped one, too, that was changed."""
    found = list(read_jsonl(path, shown_path(path, root)))
    faults += [one for one in found if isinstance(one, Fault)]
    return Counter(kind_of(one.value) for one in found if isinstance(one, Line))


def _is_shipped(path: Path) -> bool:
    return path.is_relative_to(resource("data").resolve())


def _shortage(recipe: DataRecipe, root: Path, wanted: Wanted, count: int, rows: Mapping[_Kind, int]) -> Shortage:
    named = {kind: times for kind, times in rows.items() if wanted.topic in (None, kind.topic)}
    apart = sum(times for kind, times in named.items() if not wanted.accepts(*kind[:3]))
    file = file_to_write(recipe, root, wanted.category, wanted.topic)
    return Shortage(wanted, count, file, None if count or apart else _near(recipe, root, wanted, rows), apart)


def _most(recipe: DataRecipe, root: Path, wanted: Wanted, rows: Mapping[_Kind, int], *, more: bool) -> int:
    own = sum(times for kind, times in rows.items() if wanted.accepts(*kind[:3]))
    if not more:
        return own
    if own < wanted.count and wanted.topic is not None:
        own += _composable(root, wanted, wanted.count - own)
    shares = (recipe.dataset.augment.asciify, recipe.dataset.augment.slang, recipe.dataset.augment.typos)
    return own + sum(min(own, round(share * wanted.count)) for share in shares)


def _composable(root: Path, wanted: Wanted, missing: int) -> int:
    """Return how many rows the topic's templates give, `missing` at most."""
    if surely_composable(root, wanted) >= missing:
        return missing
    from jessyfile.dataset.templates import load_intents, template_files

    if wanted.topic is None or not template_files(root, wanted.category, wanted.topic):
        return 0
    from jessyfile.dataset.from_templates import composable

    return composable(load_intents(root, wanted.category, wanted.topic), wanted, missing)


def _near(recipe: DataRecipe, root: Path, wanted: Wanted, rows: Mapping[_Kind, int]) -> str | None:
    if rows and wanted.topic is not None:
        return similar(wanted.topic, sorted({str(topic) for topic in _topics(rows)} - {wanted.topic}))
    folders = (folder for folder in seed_folders(recipe, root) if folder.is_dir())
    names = {path.name for folder in folders for path in folder.iterdir() if path.is_dir()}
    return similar(wanted.category, sorted(names - {wanted.category, MARKERS}))


def _objects(path: Path) -> Iterator[dict[str, Any]]:
    yield from (item.value for item in read_jsonl(path, path.name) if isinstance(item, Line))


def dataset_preflight(outlook: Outlook) -> Iterator[Finding]:
    """Yield a REPLAY file that is too short, and marker rows that are too few."""
    recipe, root = outlook.recipe, outlook.root
    asked = recipe.dataset
    yield from _without_words(outlook)
    yield from _allowed(outlook)
    found = sum(1 for path in seed_files(recipe, root, MARKERS) for _ in _objects(path)) if asked.markers else 0
    if found < asked.markers:
        said = f"{asked.markers} marker rows are asked for and {found} are there"
        error = DatasetError(said, hint=markers_to_write(recipe, root))
        yield outlook.error(error, "dataset.markers")
    if asked.replay is None:
        return
    path = replay_file(recipe, root)
    rows = sum(category.count for category in asked.categories) + asked.markers
    trained = rows - round(rows * asked.validation)
    wanted, there = round(trained * asked.replay.share / (1 - asked.replay.share)), sum(1 for _ in _objects(path))
    if there < wanted - 1:  # the split rounds by topic
        message = f"REPLAY {asked.replay.share:.0%} takes {wanted} rows and `{shown_path(path, root)}` holds {there}"
        yield outlook.error(DatasetError(message, hint="add rows, or lower the share"), "dataset.replay.share")


def _allowed(outlook: Outlook) -> Iterator[Finding]:
    """Yield which filters are off: what they would have dropped is learned, and may be said."""
    if not (outlook.machine and outlook.recipe.dataset.allow):
        return
    from jessyfile.planning.preflight import Finding

    off = ", ".join(f"`{name}`" for name in outlook.recipe.dataset.allow)
    yield Finding(
        "note", "", outlook.step, f"rows need not pass {off}: what it would drop is learned, and may be said to anybody"
    )


def _without_words(outlook: Outlook) -> Iterator[Finding]:
    """Yield what is not looked at in a language that has no list of words."""
    if not outlook.machine:
        return
    from jessyfile.planning.preflight import Finding
    from jessyfile.text.answer_language import MIXED, listed

    categories = outlook.recipe.dataset.categories
    named = [topic.language for category in categories for topic in category.topics]
    asked = {*named, *(category.language for category in categories)} - {None, MIXED, *listed(outlook.root)}
    if asked:
        said = f"there is no list of words for {', '.join(f'`{name}`' for name in sorted(filter(None, asked)))}"
        hint = "the language of answers under twenty letters is not checked; docs/data.md says where to put such a list"
        yield Finding("note", "", outlook.step, said, hint)


def _teacher(outlook: Outlook) -> Iterator[Finding]:
    """Yield a server that was allowed and does not answer, or refuses the key."""
    teacher = outlook.recipe.dataset.teacher
    if teacher is None or not outlook.network or not all(one.is_allowed() for one in teacher_sends(outlook.recipe)):
        return
    reason = unanswered(teacher.url, teacher.key_env)
    if reason is not None:
        hint = "start it, or check the address and the key"
        error = TeacherError(f"the teacher at {teacher.url} cannot be asked: {reason}", hint=hint)
        yield outlook.error(error, "dataset.teacher.url")


def unanswered(url: str, key_env: str | None, seconds: float = 5.0) -> str | None:
    """Return why an OpenAI-compatible server cannot be asked, None when it answers and takes the key."""
    from jessyfile.http import HttpError, exchange

    try:
        key = read_key(key_env, TeacherError)
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        with exchange("GET", url.rstrip("/") + "/models", seconds=seconds, headers=headers) as response:
            return f"it refuses the key (HTTP {response.status})" if response.status in (401, 403) else None
    except (HttpError, TeacherError) as error:
        return str(error.args[0])
