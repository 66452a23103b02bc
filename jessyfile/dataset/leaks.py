"""Whether a training row gives away an evaluation case: then the score would measure memory.

A row leaks a case when both ask the same, when their questions are nearer than the bound, or when they share eight
words in a row. Everything is compared without case, punctuation and Turkish letters: a case retyped on an ASCII
keyboard is still the case. What has no letter and no digit, such as an emoji, is the case only where it is the same.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jessyfile.dataset.example import TrainingExample, folded, texts_of
from jessyfile.dataset.places import reference_paths, shown_path, suite_paths
from jessyfile.dataset.refinement import unrefined
from jessyfile.dataset.similarity import cross_pairs
from jessyfile.errors import DatasetError
from jessyfile.text.json_lines import Fault, read_jsonl
from jessyfile.text.turkish import folded_normal, word_grams

if TYPE_CHECKING:
    from jessyfile.dataset.rows import Row
    from jessyfile.dataset.settings import DataRecipe

SHARED_WORDS = 8
_BREAK = " qxqxq "  # a word that nobody writes, between two texts that are folded as one
_FEW = 4  # rows, of which each run of words is looked for in the cases rather than the other way round


@dataclass(frozen=True, slots=True)
class KnownCase:
    """What a suite asks: the user's turns together, and everything that is said in it or in its reference answers."""

    asked: str
    said: tuple[str, ...]
    place: str


@dataclass(frozen=True, slots=True)
class Leak:
    """A row and the case that it gives away."""

    row: Row
    case: KnownCase
    how: str

    def __str__(self) -> str:
        return f"{self.row.place} {self.how} {self.case.place}"


def load_cases(paths: Iterable[tuple[Path, str]]) -> list[KnownCase]:
    """Read the suites' cases with their reference answers, each file with the name that stands for it. A malformed line is
    the suites' own error, not a case."""
    return [
        _case(item.value, f"{name}:{item.number}", references)
        for path, name in paths
        for references in [_answers(path)]
        for item in read_jsonl(path, name)
        if not isinstance(item, Fault)
    ]


def _answers(suite: Path) -> dict[str, list[str]]:
    """Return the reference answers beside a suite, good and bad, by their case."""
    found: dict[str, list[str]] = {}
    for item in (item for path in reference_paths([suite]) for item in read_jsonl(path)):
        if not isinstance(item, Fault):
            by_kind = [some for some in (item.value.get("bad"), item.value.get("more")) if isinstance(some, dict)]
            kinds = [item.value.get("good"), *(texts for some in by_kind for texts in some.values())]
            texts = [text for kind in kinds if isinstance(kind, list) for text in kind]
            found.setdefault(str(item.value.get("case")), []).extend(map(str, texts))
    return found


def _case(value: dict[str, Any], place: str, references: Mapping[str, Sequence[str]]) -> KnownCase:
    turns = [turn for turn in value.get("turns") or [] if isinstance(turn, dict)]
    users = [str(turn.get("content", "")) for turn in turns if turn.get("role") == "user"]
    prompt = str(value.get("prompt") or value.get("query") or "")
    said = [*(str(turn.get("content", "")) for turn in turns), prompt, *references.get(str(value.get("id")), ())]
    return KnownCase(folded(" ".join([*users, prompt])), tuple(said), place)


def asked_by(example: TrainingExample) -> list[str]:
    """Return what a row asks in each of its wordings, the user's earlier turns before it, as questions are compared."""
    return [_asked(example, wording) for wording in example.wordings]


def _asked(example: TrainingExample, wording: str) -> str:
    users = [turn.content for turn in example.turns if turn.role == "user"]
    return folded(" ".join([*users, wording]))


def _in_wording(example: TrainingExample, text: str, how: str) -> str:
    return f"in its wording `{text[:60]}` {how}" if text in example.paraphrases else how


def find_leaks(rows: Sequence[Row], cases: Sequence[KnownCase], bound: float | None) -> list[Leak]:
    """Return every row that leaks in any of its wordings, once, with the first case that it gives away, in the rows' order.

    Without a bound questions that are nearly the same are not looked for: what a plan can tell, which imports no NumPy.
    """
    if not rows or not cases:
        return []
    found: dict[int, tuple[int, str]] = {}
    asking = [unrefined(row.example) for row in rows]
    told = [(index, wording) for index, example in enumerate(asking) for wording in example.wordings]
    asked = [_asked(asking[index], wording) for index, wording in told]
    pairs = [(place, case, "asks the same as") for place, case in _same(asked, cases)]
    if bound is not None:
        worded = [index for index, case in enumerate(cases) if folded_normal(case.asked)]
        left, right, _ = cross_pairs(asked, [cases[index].asked for index in worded], bound)
        near = zip(left.tolist(), right.tolist(), strict=True)
        pairs += [(place, worded[case], "asks nearly the same as") for place, case in near]
    for place, case, how in pairs:
        row, wording = told[place]
        found.setdefault(row, (case, _in_wording(rows[row].example, wording, how)))
    _shared_words(rows, cases, found)
    return [Leak(rows[row], cases[case], how) for row, (case, how) in sorted(found.items())]


def refuse_leaks(recipe: DataRecipe, root: Path, rows: Sequence[Row], *, nearly: bool = True) -> None:
    """Refuse rows that give an evaluation case away.

    Args:
        recipe: the recipe's data settings.
        root: the project's root folder.
        rows: the rows.
        nearly: whether a question that is nearly the same as a case's counts too.

    Raises:
        DatasetError: the first rows and their cases, each with file and line.
    """
    cases = load_cases([(path, shown_path(path, root)) for path in suite_paths(recipe, root)])
    leaks = find_leaks(rows, cases, recipe.dataset.similarity if nearly else None)
    if leaks:
        raise DatasetError(
            f"{len(leaks)} training row{'s' if len(leaks) > 1 else ''} would leak into the evaluation" + listed(leaks),
            hint="reword or remove the row, or the case; a score on cases seen in training proves nothing",
        )


def listed(items: Sequence[object]) -> str:
    """Return the first ten items, one a line, and how many more there are."""
    more = f"\n  and {len(items) - 10} more" if len(items) > 10 else ""
    return "".join(f"\n  {item}" for item in items[:10]) + more


def _same(asked: Sequence[str], cases: Sequence[KnownCase]) -> Iterator[tuple[int, int]]:
    by_question: dict[str, int] = {}
    for index, case in enumerate(cases):
        by_question.setdefault(case.asked, index)
    for index, question in enumerate(asked):
        if question and question in by_question:
            yield index, by_question[question]


def _shared_words(rows: Sequence[Row], cases: Sequence[KnownCase], found: dict[int, tuple[int, str]]) -> None:
    few = len(rows) <= _FEW
    by_gram = _said_among({gram for row in rows for gram, _ in _told(row)}, cases) if few else _said(tuple(cases))
    if not by_gram:
        return
    for index, row in enumerate(rows):
        grams = _told(row)
        case, text = next(((by_gram[gram], text) for gram, text in grams if gram in by_gram), (None, ""))
        if case is not None:
            how = _in_wording(row.example, text, f"shares {SHARED_WORDS} words in a row with")
            found.setdefault(index, (case, how))


def _told(row: Row) -> Iterator[tuple[str, str]]:
    """Yield every run of words in a row, with the text that it stands in."""
    for text in texts_of(row.example):
        for gram in word_grams(folded_normal(text).split(), SHARED_WORDS):
            yield gram, text


@lru_cache(maxsize=1)  # every step with rows asks, of the same cases
def _said(cases: tuple[KnownCase, ...]) -> Mapping[str, int]:
    """Return every run of words in the cases and their answers, with the last case that has it."""
    return {
        gram: index
        for index, case in enumerate(cases)
        for text in case.said
        for gram in word_grams(folded_normal(text).split(), SHARED_WORDS)
    }


def _said_among(grams: Collection[str], cases: Sequence[KnownCase]) -> Mapping[str, int]:
    """Return what `_said` tells of these runs, looked for in the cases' texts: faster for the rows of one correction."""
    texts = (f" {folded_normal(_BREAK.join(case.said))} " for case in cases)
    return {gram: index for index, text in enumerate(texts) for gram in grams if f" {gram} " in text}
