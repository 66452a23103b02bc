"""All preferences of a recipe together: read, held against one another and the suites, counted, split."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from statistics import median
from typing import TYPE_CHECKING, Literal

from jessyfile.dataset.leaks import refuse_leaks
from jessyfile.dataset.places import preference_files, shown_path
from jessyfile.dataset.preferences import (
    AnyPreference,
    JudgedAnswer,
    Preference,
    Told,
    comparable,
    conversation_key,
    example_of,
    judged,
    read_file,
)
from jessyfile.dataset.rows import Row
from jessyfile.errors import DatasetError
from jessyfile.results.facts import PreferencesFacts
from jessyfile.text.json_lines import Fault, raise_faults

if TYPE_CHECKING:
    from jessyfile.language.recipe import Complexity, Prefer, Recipe

Key = tuple[tuple[str, ...], tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class PreferenceSet:
    """What a recipe learns preferences from: pairs for dpo, judged answers for kto, each once; `duplicates` are the places of
    those left out, `other_systems` of those whose conversation begins with another system prompt than the recipe's.
    """

    rows: tuple[AnyPreference, ...]
    duplicates: tuple[str, ...] = ()
    other_systems: tuple[str, ...] = ()

    def lengths(self, good: bool) -> list[int]:
        """Return how many characters its good, or its bad, answers have."""
        return [len(answer) for row in self.rows for answer, is_good in row.answers if is_good is good]


@dataclass(slots=True)
class Seen:
    """What was read so far: where each preference stands, by what it says; `duplicates` are copies, each with the place of the
    first, `faults` are rows that contradict an earlier one.
    """

    rows: dict[Key, str] = field(default_factory=dict)
    duplicates: list[tuple[str, str]] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    kept: list[AnyPreference] = field(default_factory=list)

    def take(self, row: AnyPreference) -> None:
        """Keep a row unless it was read already; one that says the opposite of an earlier one is a fault."""
        asked, (same, opposite) = conversation_key(row), _keys(row)
        if (asked, same) in self.rows:
            self.duplicates.append((row.place, self.rows[asked, same]))
        elif (asked, opposite) in self.rows:
            earlier = self.rows[asked, opposite]
            self.faults.append(fault_at(row.place, f"says the opposite of {earlier} on the same answers"))
        else:
            self.rows[asked, same] = row.place
            self.kept.append(row)


def _keys(row: AnyPreference) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return what a row says of its answers, and what the opposite would be."""
    if isinstance(row, Preference):
        chosen, rejected = comparable(row.chosen), comparable(row.rejected)
        return (chosen, rejected), (rejected, chosen)
    answer, good = comparable(row.completion), str(row.label)
    return (answer, good), (answer, str(not row.label))


def fault_at(place: str, message: str) -> Fault:
    """Return a fault at a row's place, `file:line`."""
    file, _, line = place.rpartition(":")
    return Fault(file, int(line), message)


def load_set(
    recipe: Recipe, prefer: Prefer, root: Path, references: Sequence[Preference], *, nearly: bool
) -> PreferenceSet:
    """Return the preferences of PREFER's files, and those that the suites' references give.

    Args:
        recipe: the recipe.
        prefer: its PREFER.
        root: the project's root folder.
        references: the pairs of the suites' reference answers, none where PREFER does not ask for them.
        nearly: whether questions that are nearly the same as a case's are looked for, which takes NumPy.

    Raises:
        DatasetError: a file holds none or cannot be read, rows are malformed, contradict each other, cannot be compared, or give
            an evaluation case away.
    """
    told: list[Told] = []
    for path in preference_files(prefer, root):
        told += _file(path, shown_path(path, root), recipe, prefer)
    seen, answers = Seen(), Seen()
    for row in (*(one.row for one in told), *references):
        seen.take(row)
    taken = _drawn(seen.kept, prefer)
    for answer in (answer for row in taken for answer in judged(row)) if prefer.method == "kto" else ():
        answers.take(answer)
    kept = answers.kept if prefer.method == "kto" else taken
    raise_faults(
        [*seen.faults, *answers.faults], "preferences contradict each other", hint="keep the line that is right"
    )
    refuse_leaks(recipe, root, whole_rows([one.row for one in told], recipe.complexity), nearly=nearly)
    found = PreferenceSet(
        tuple(kept), tuple(place for place, _ in seen.duplicates), _other_systems(told, recipe.system)
    )
    _refuse_one_sided(found, prefer)
    return found


def _drawn(rows: list[AnyPreference], prefer: Prefer) -> list[AnyPreference]:
    """Return as many rows as PREFER takes, in their order."""
    if prefer.limit is None or prefer.limit >= len(rows):
        return rows
    drawn = Random(prefer.seed).sample(range(len(rows)), prefer.limit)
    missing = [kinds for kinds in _kinds(rows) if not kinds & set(drawn)]
    for place, numbers in enumerate(missing[: prefer.limit - 1], 1):  # a sample must not lose the rarer judgement
        drawn[-place] = min(numbers)
    return [rows[number] for number in sorted(set(drawn))]


def _kinds(rows: list[AnyPreference]) -> list[set[int]]:
    """Return the numbers of the rows that bring each judgement, where answers are judged one by one and both are there."""
    labels = [{answer.label for answer in judged(row)} for row in rows]
    both = [{number for number, found in enumerate(labels) if wanted in found} for wanted in (True, False)]
    return both if all(both) else []


def _file(path: Path, name: str, recipe: Recipe, prefer: Prefer) -> list[Told]:
    if not path.is_file():
        raise DatasetError(f"PREFER names `{name}`, which is no file", hint="name files of JSON lines")
    told: list[Told] = []
    faults: list[Fault] = []
    for item in read_file(path, name, recipe.complexity, recipe.dataset.allow):
        if isinstance(item, Fault):
            faults.append(item)
        elif prefer.method == "dpo" and isinstance(item.row, JudgedAnswer):
            faults.append(
                fault_at(item.row.place, "is one judged answer, and dpo compares two: kto takes it (`PREFER kto`)")
            )
        else:
            told.append(item)
    raise_faults(faults, f"the preferences in {name} cannot be used", hint=f"`jessy data lint {name}` lists all")
    if not told:
        raise DatasetError(f"{name} holds no preferences", hint="write one pair or judged answer a line (docs/data.md)")
    return told


def _other_systems(told: Iterable[Told], system: str | None) -> tuple[str, ...]:
    own = comparable(system or "")
    return tuple(one.row.place for one in told if one.system is not None and comparable(one.system) != own)


def _refuse_one_sided(found: PreferenceSet, prefer: Prefer) -> None:
    if not found.rows:
        raise DatasetError(
            f"no case that is answered has reference answers in the split `{prefer.references}`",
            hint="answer suites that have some, or name a file of pairs in PREFER",
        )
    labels = {good for row in found.rows for _, good in row.answers}
    if len(labels) == 1:
        said = "good" if labels.pop() else "bad"
        raise DatasetError(
            f"all {len(found.rows)} answers are judged {said}: there is nothing to tell apart",
            hint=f"add some that are {'bad' if said == 'good' else 'good'}",
        )


def whole_rows(rows: Iterable[AnyPreference], complexity: Complexity) -> list[Row]:
    """Return each preference as one row that says all its answers; rows that answer one conversation are one group."""
    return [
        Row(
            example_of(row, "\n".join(answer for answer, _ in row.answers), complexity),
            row.place,
            "\n".join(conversation_key(row)),
        )
        for row in rows
    ]


def counted(method: Literal["dpo", "kto"], found: PreferenceSet, valid: int) -> PreferencesFacts:
    """Return the figures of a set, of which `valid` rows are held out."""
    good, bad = found.lengths(good=True), found.lengths(good=False)
    return PreferencesFacts(
        method=method,
        train=len(found.rows) - valid,
        valid=valid,
        good=len(good),
        bad=len(bad),
        good_length=round(median(good or [0])),
        bad_length=round(median(bad or [0])),
        duplicates=len(found.duplicates),
        sources=_counts(row.source for row in found.rows),
        levels=_counts(row.level or "" for row in found.rows),
    )


def held_out(prefer: Prefer, found: PreferenceSet) -> int:
    """Return how many rows the share of `validation` holds out."""
    return round(len(found.rows) * prefer.validation)


def _counts(names: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(names).items()))
