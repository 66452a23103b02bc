"""One category's rows, exactly as many as asked: seeds first, then templates, rewritten rows and the teacher, all
through every filter."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice, tee
from pathlib import Path
from typing import TYPE_CHECKING

from jessyfile.dataset.completions import Address, KeptAnswers, read_key
from jessyfile.dataset.corrections import CORRECTION, load_corrections, without_corrected
from jessyfile.dataset.dataset_inputs import tops_up
from jessyfile.dataset.filters import Dropped, Tally, apply_checks, bands_of, row_checks
from jessyfile.dataset.from_templates import composed
from jessyfile.dataset.language import keep_declared
from jessyfile.dataset.leaks import KnownCase, find_leaks, load_cases
from jessyfile.dataset.places import file_to_write, passed_over, shown_path, suite_paths
from jessyfile.dataset.seeds import load_seeds
from jessyfile.dataset.select import Wanted, is_taken, sample, wanted_topics
from jessyfile.dataset.similarity import first_of_each
from jessyfile.dataset.teacher import TeacherRun
from jessyfile.dataset.templates import load_intents
from jessyfile.dataset.variants import rewrite_shares, variants
from jessyfile.dataset.weaker import refinements
from jessyfile.errors import DatasetError, TeacherError
from jessyfile.project import jessy_folder
from jessyfile.text.answer_language import everyday_words

if TYPE_CHECKING:
    from jessyfile.dataset.rows import Row
    from jessyfile.dataset.settings import DataRecipe
    from jessyfile.language.recipe import Category
    from jessyfile.planning.steps import Stop
    from jessyfile.results.facts import TeacherFacts

_SPARE = 1.15
_NOTES = 5


@dataclass(slots=True)
class Collected:
    """A category's rows and where they came from: {topic: {source: count}}, what the filters dropped, what the
    teacher did."""

    rows: list[Row] = field(default_factory=list)
    sources: dict[str, dict[str, int]] = field(default_factory=dict)
    tally: Tally = field(default_factory=Tally)
    teacher: TeacherFacts | None = None


def collect(
    recipe: DataRecipe, root: Path, category: Category, stop: Stop | None = None, asked: Sequence[Row] = ()
) -> Collected:
    """Make a category's rows, with the exact count for every topic.

    Args:
        recipe: the recipe's data settings.
        root: the project's root folder.
        category: the category to fill.
        stop: asked between rows and requests whether to stop.
        asked: the rows that a category which refines asks again.

    Returns:
        The rows and what was dropped on the way.

    Raises:
        DatasetError: topics have too few rows. The message names each topic, what is missing, and the ways out.
    """
    return _Collector(recipe, root, category, stop, asked).collect()


def distinct(rows: Sequence[Row], bound: float, tally: Tally) -> list[Row]:
    """Return the rows of which none is nearer to an earlier one than the bound; the others are counted as near
    duplicates."""
    kept, dropped = first_of_each([row.text for row in rows], bound)
    for index, near in sorted(dropped.items()):
        tally.add(Dropped(rows[index], "duplicate", f"says the same as {rows[near].place}"))
    return [rows[index] for index in kept]


def unlike(candidates: Sequence[Row], present: Sequence[Row], bound: float, tally: Tally) -> list[Row]:
    """Return the candidates that are near none of the rows present, nor to one another.

    Args:
        candidates: the rows to choose from; an earlier one is kept before a later one.
        present: the rows that are there already.
        bound: the highest similarity allowed between two rows, from 0 to 1.
        tally: counts the others as near duplicates.

    Returns:
        The rows that are new, in their order.
    """
    known = {id(row) for row in present}
    unique = list({id(row): row for row in present}.values())
    return [row for row in distinct([*unique, *candidates], bound, tally) if id(row) not in known]


class _Collector:
    def __init__(
        self, recipe: DataRecipe, root: Path, category: Category, stop: Stop | None, asked: Sequence[Row]
    ) -> None:
        self.recipe, self.root, self.category, self.stop, self.asked = recipe, root, category, stop, asked
        self.settings = recipe.dataset
        self.checks = row_checks(recipe.complexity, recipe.dataset.allow)
        self.out = Collected()
        self.words = everyday_words(root)
        self.cases: list[KnownCase] | None = None
        self.run: TeacherRun | None = None
        self.refined: Iterator[Row] | None = None
        self.may_top_up = tops_up(recipe, root, category.name)
        written = [row for row in load_seeds(recipe, root, category.name) if is_taken(category, row.example.topic)]
        told = distinct(self._filtered(written), self.settings.similarity, self.out.tally)
        # a person took them for what they are, their language included
        self.corrections = apply_checks(load_corrections(recipe, root), self.checks, self.out.tally)
        self.seeds = without_corrected(told, self.corrections, self.settings.similarity, self.out.tally)
        kept = set(map(id, self.seeds))
        self.corrected = [row for row in told if id(row) not in kept]

    def collect(self) -> Collected:
        topics = wanted_topics(self.category)
        short = [shortage for wanted in topics if (shortage := self._topic(wanted))]
        if short:
            asked = short[0][0]
            raise _too_few(
                short,
                file_to_write(self.recipe, self.root, asked.category, asked.topic),
                self.settings.teacher is not None,
                [*self._apart(short), *self.out.tally.notes(), *self._passed_over()],
                refines=bool(self.category.refine),
            )
        if self.run is not None:
            self.out.teacher = self.run.report.facts()
        if self.corrections and self.category.name == self.settings.feedback:
            self.out.sources[f"{self.category.name}/{CORRECTION}"] = _by_source(self.corrections)
            self.out.rows += self.corrections
        return self.out

    def _topic(self, wanted: Wanted) -> tuple[Wanted, int] | None:
        """Add one topic's rows; return how many were found when they are too few."""
        rows = sample([row for row in self.seeds if wanted.takes(row)], wanted.count, self.settings.seed, wanted.name)
        made = (self._from_templates, self._from_variants, self._from_teacher)
        for top_up in (self._from_asked,) if self.category.refine else made:
            if self.may_top_up and len(rows) < wanted.count:
                rows = [*rows, *top_up(wanted, rows, wanted.count - len(rows))]
        # a row that a correction answers anew leaves a gap, which is no mistake of the recipe's
        if len(rows) < wanted.count - sum(map(wanted.takes, self.corrected)):
            return wanted, len(rows)
        if not self.category.refine:  # whose last turns are jessy's own words
            augment, bound = self.settings.augment, self.settings.similarity
            rows = rewrite_shares(rows, augment, self.settings.seed, wanted.name, bound)
        self.out.sources[wanted.name] = _by_source(rows)
        self.out.rows += rows
        return None

    def _apart(self, short: Sequence[tuple[Wanted, int]]) -> Iterator[str]:
        """Yield how many seeds of a topic that is short are of another language or level than it takes."""
        for wanted, _ in short:
            named = (row for row in self.seeds if wanted.topic in (None, row.example.topic))
            if apart := sum(not wanted.takes(row) for row in named):
                yield f"{apart} of `{wanted.name}` are of another language or level; `language mixed` takes every one"

    def _passed_over(self) -> Iterator[str]:
        return passed_over(self.recipe, self.root, self.category.name)

    def _from_templates(self, wanted: Wanted, rows: Sequence[Row], missing: int) -> list[Row]:
        if wanted.topic is None:
            return []
        intents = load_intents(self.root, wanted.category, wanted.topic)
        stream = composed(intents, wanted.category, wanted.topic, self.settings.seed)
        return self._admitted((row for row in stream if wanted.takes(row)), rows, missing)

    def _from_asked(self, wanted: Wanted, rows: Sequence[Row], missing: int) -> list[Row]:
        """Return rows that are asked again behind weaker drafts: they say what rows said, and only their drafts must differ."""
        least = self.recipe.complexity.levels[0].name
        if self.refined is None:
            self.refined = refinements(self.asked, wanted.category, least, self.settings.seed)
        # every topic draws from the beginning: what one has passed over another takes
        self.refined, stream = tee(self.refined)
        found: list[Row] = []
        present = {row.text for row in rows}
        fitting = (row for row in stream if wanted.takes(row) and row.text not in present)
        while len(found) < missing and (drawn := list(islice(fitting, missing - len(found)))):
            found += self._clean(drawn)
        return found

    def _from_variants(self, wanted: Wanted, rows: Sequence[Row], missing: int) -> list[Row]:
        made = variants(rows, self.settings.augment, wanted.count, self.settings.seed, wanted.name)
        return self._admitted(made, rows, missing)

    def _from_teacher(self, wanted: Wanted, rows: Sequence[Row], missing: int) -> list[Row]:
        if self.settings.teacher is None:
            return []
        new: list[Row] = []

        def admit(candidates: list[Row]) -> list[Row]:
            kept = self._new(self._clean(candidates), [*rows, *new])
            new.extend(kept)
            return kept

        own = [row for row in self.seeds if wanted.takes(row)]
        return self._teacher().write(wanted, missing, self.category.title, own, self.settings.seed, admit)

    def _teacher(self) -> TeacherRun:
        teacher = self.settings.teacher
        if self.run is None and teacher is not None:
            address = Address(teacher.url, read_key(teacher.key_env, TeacherError), teacher.timeout, self.stop)
            kept = KeptAnswers(jessy_folder(self.root) / "cache" / "teacher")
            self.run = TeacherRun(teacher, address, kept, bands_of(self.recipe.complexity), self.stop)
        assert self.run is not None  # noqa: S101 (asked for only when the recipe has a TEACHER)
        return self.run

    def _admitted(self, stream: Iterable[Row], rows: Sequence[Row], missing: int) -> list[Row]:
        """Draw from a stream until `missing` rows have passed everything or the stream ends."""
        source = iter(stream)
        found: list[Row] = []
        while len(found) < missing:
            drawn = list(islice(source, int((missing - len(found)) * _SPARE) + 8))
            if not drawn:
                break
            found += self._new(self._clean(drawn), [*rows, *found])
        return found[:missing]

    def _filtered(self, rows: Iterable[Row]) -> list[Row]:
        return keep_declared(apply_checks(rows, self.checks, self.out.tally), self.out.tally, self.words)

    def _clean(self, rows: Iterable[Row]) -> list[Row]:
        """Return made rows that pass the filters and give no evaluation case away."""
        passed = self._filtered(rows)
        if self.cases is None:
            self.cases = load_cases(
                [(path, shown_path(path, self.root)) for path in suite_paths(self.recipe, self.root)]
            )
        leaks = find_leaks(passed, self.cases, self.settings.similarity)
        for leak in leaks:
            self.out.tally.add(Dropped(leak.row, "leak", f"{leak.how} {leak.case.place}"))
        leaked = {id(leak.row) for leak in leaks}
        return [row for row in passed if id(row) not in leaked]

    def _new(self, candidates: Sequence[Row], rows: Sequence[Row]) -> list[Row]:
        """Return the candidates that are near none of the category's rows so far, nor to one another."""
        present = [*self.out.rows, *self.seeds, *rows]
        return unlike(candidates, present, self.settings.similarity, self.out.tally)


def _by_source(rows: Sequence[Row]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for row in rows:
        counts[row.example.source] = counts.get(row.example.source, 0) + 1
    return counts


def _too_few(
    short: Sequence[tuple[Wanted, int]], file: str, has_teacher: bool, notes: Sequence[str], *, refines: bool
) -> DatasetError:
    said = "; ".join(
        f"`{wanted.name}` asks for {wanted.count} rows and {found} were found: {wanted.count - found} are missing"
        for wanted, found in short
    )
    said += "".join(f"\n  {note}" for note in notes[:_NOTES])
    wanted, found = short[0]
    teacher = (
        "raise the TEACHER's max_requests" if has_teacher else "add `TEACHER <model> at <url>` to the DATASET block"
    )
    more = "name more categories after `refine`" if refines else teacher
    return DatasetError(
        said, hint=f"write {wanted.count - found} more rows into {file}; or lower the count to {found}; or {more}"
    )
