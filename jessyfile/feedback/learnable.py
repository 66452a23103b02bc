"""What can be learned from a signal: a row of a correction, and which answer is the better one.

Everything that would drop such a row later is asked here, so that what was accepted is trained, or refused by name.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from jessyfile.dataset.corrections import CORRECTION
from jessyfile.dataset.example import MINIMUM_RESPONSE, TrainingExample, Turn
from jessyfile.dataset.filters import level_of_length, row_checks
from jessyfile.dataset.language import language_faults, wording_faults
from jessyfile.dataset.leaks import KnownCase, asked_by, find_leaks, load_cases
from jessyfile.dataset.places import JUDGED, PAIRS, shown_path, suite_paths
from jessyfile.dataset.preference_set import Seen
from jessyfile.dataset.preferences import (
    AnyPreference,
    JudgedAnswer,
    Preference,
    Told,
    example_of,
    judged,
    preference_faults,
    read_file,
)
from jessyfile.dataset.rows import Row, from_json, schema_faults, to_json
from jessyfile.errors import FeedbackError
from jessyfile.feedback.accepted import AcceptedFolder
from jessyfile.retrieval.index import Index
from jessyfile.text.answer_language import ANY, Words, detected, everyday_share, everyday_words
from jessyfile.text.turkish import TURKISH_LETTERS, nfc

if TYPE_CHECKING:
    from pathlib import Path

    from jessyfile.feedback.store import StoredSignal
    from jessyfile.language.recipe import Complexity, Recipe

SOURCE = "feedback"
_PLAIN = 0.2
_NOT_TURKISH = frozenset("qwx")
_NATIVE = TURKISH_LETTERS | frozenset("âîû\u0307")
DOUBTFUL = 0.5  # from this nearness on a question may be a case's in other words: benchmarks/feedback_leaks.py


@dataclass(frozen=True, slots=True)
class Learnable:
    """What an accepted signal teaches: a row, a preference, or both."""

    id: str
    row: Row | None
    preference: AnyPreference | None


@dataclass(frozen=True, slots=True)
class RefusedSignal:
    """A signal that cannot be learned from, and why; `doubtful` where a person may say that it can."""

    id: str
    why: str
    doubtful: bool = False

    def __str__(self) -> str:
        return f"{self.id[:9]} {self.why}"


def learn_from(
    signals: Sequence[StoredSignal], recipe: Recipe, root: Path, wordings: Sequence[str] = (), *, surely: bool = False
) -> tuple[list[Learnable], list[RefusedSignal]]:
    """Return what can be learned from signals by a recipe, and what cannot.

    Args:
        signals: what people said.
        recipe: its FEEDBACK names the category, its PREFER whether judgements count.
        root: the project's root folder.
        wordings: other wordings of the corrected question, which the correction answers as well.
        surely: whether a question that may be a case's in other words is known not to be.

    Raises:
        FeedbackError: the recipe takes nothing that was said.
    """
    _require_place(recipe, signals)
    found = [_learnable(one, recipe, wordings) for one in signals]
    whole = [one for one in found if isinstance(one, Learnable)]
    refused = {one.id: one for one in found if isinstance(one, RefusedSignal)}
    doubts = (
        *_unfit(whole, recipe, root),
        *_leaking(whole, signals, recipe, root, surely=surely),
        *_told_before(whole, root),
        *_contradicting(whole, recipe, root),
    )
    for one in doubts:
        refused.setdefault(one.id, one)
    return [one for one in whole if one.id not in refused], [*refused.values()]


def _require_place(recipe: Recipe, signals: Sequence[StoredSignal]) -> None:
    takes = recipe.dataset.feedback is not None
    judges = recipe.prefer is not None and recipe.prefer.feedback
    if any((one.signal.signal == "edit" and takes) or judges for one in signals):
        return
    if any(one.signal.signal == "edit" for one in signals):
        raise FeedbackError(
            f"`{recipe.name}` takes no corrections",
            hint="name a category of its in the DATASET block, as in `FEEDBACK mine`",
        )
    raise FeedbackError(
        f"`{recipe.name}` learns from no thumbs or second answers", hint="write `PREFER kto {`, `feedback yes` and `}`"
    )


def _learnable(one: StoredSignal, recipe: Recipe, wordings: Sequence[str]) -> Learnable | RefusedSignal:
    said = one.signal
    row = _row(one, recipe, wordings) if said.signal == "edit" and recipe.dataset.feedback is not None else None
    preference = _preference(one, recipe.complexity) if recipe.prefer is not None and recipe.prefer.feedback else None
    if isinstance(preference, JudgedAnswer) and recipe.prefer is not None and recipe.prefer.method == "dpo":
        return RefusedSignal(one.id, "is a thumb, and dpo compares two answers: `PREFER kto` takes it")
    if row is None and preference is None:
        return RefusedSignal(one.id, f"is of a kind (`{said.signal}`) that the recipe does not learn from")
    return Learnable(one.id, row, preference)


def _row(one: StoredSignal, recipe: Recipe, wordings: Sequence[str]) -> Row:
    said, category = one.signal, next(c for c in recipe.dataset.categories if c.name == recipe.dataset.feedback)
    answer = nfc(said.chosen or "").strip()
    turns = [turn for turn in said.messages if turn.role != "system"]
    level, iterations = _thought(recipe.complexity, answer, said.level, said.iterations)
    earlier = [
        Turn("user", turn.content)
        if turn.role == "user"
        else Turn("assistant", turn.content, *_thought(recipe.complexity, turn.content))
        for turn in turns[:-1]
    ]
    example = TrainingExample(
        query=nfc(turns[-1].content).strip(),
        response=answer,
        complexity=level,
        iterations_needed=iterations,
        category=category.name,
        language=_language(answer, category.language),
        topic="corrections",
        turns=earlier,
        tags=(CORRECTION,),
        source=SOURCE,
        paraphrases=[nfc(text).strip() for text in wordings],
    )
    return Row(example, one.id)


def _thought(
    complexity: Complexity, answer: str, level: str | None = None, iterations: int | None = None
) -> tuple[str, int]:
    """Return the level and iterations of an answer: those that were said, unless it is too long for the level."""
    bands = {one.name: one.iterations for one in complexity.levels}
    names = [*bands]
    by_length = level_of_length(len(answer))
    least = names.index(by_length) if by_length in names else 0
    chosen = names[max(least, names.index(level) if level in names else least)]
    low, high = bands[chosen]
    return chosen, min(high, max(low, iterations or low))


def _language(answer: str, declared: str | None) -> str:
    if len(answer) < MINIMUM_RESPONSE:
        return ANY
    return declared or detected([answer])[0]


def _preference(one: StoredSignal, complexity: Complexity) -> AnyPreference:
    said = one.signal
    turns = tuple(
        Turn("user" if turn.role == "user" else "assistant", nfc(turn.content).strip())
        for turn in said.messages
        if turn.role != "system"
    )
    known = said.level in {level.name for level in complexity.levels}
    about = (said.level, said.iterations, SOURCE, one.id) if known else (None, None, SOURCE, one.id)
    if said.chosen is not None:
        return Preference(turns, nfc(said.chosen).strip(), nfc(said.answer).strip(), *about)
    return JudgedAnswer(turns, nfc(said.answer).strip(), said.signal == "up", *about)


def _unfit(found: Sequence[Learnable], recipe: Recipe, root: Path) -> Iterator[RefusedSignal]:
    """Yield what a filter of rows or of preferences would drop."""
    checks = row_checks(recipe.complexity, recipe.dataset.allow)
    rows = [(one.id, one.row) for one in found if one.row is not None]
    for id_, row in rows:
        wrong = [*schema_faults(to_json(row.example)), *filter(None, (check(row.example) for check in checks.values()))]
        if wrong:
            yield RefusedSignal(id_, f"cannot be a row: {wrong[0]}")
    words = everyday_words(root)
    # what its everyday words tell needs no model of letters, which takes seconds to load
    asked = [(id_, row) for id_, row in rows if not _plainly(row.example.response or "", row.example.language, words)]
    whole = [row for _, row in asked]
    for index, why in (*language_faults(whole, words), *wording_faults(whole, words)):
        yield RefusedSignal(asked[index][0], f"cannot be a row: {why}")
    for one in found:
        fault = (
            next(preference_faults(one.preference, recipe.complexity, recipe.dataset.allow), None)
            if one.preference
            else None
        )
        if fault is not None:
            yield RefusedSignal(one.id, f"cannot be compared: {fault}")


def _plainly(text: str, declared: str, words: Words) -> bool:
    """Whether an answer is in its language by its letters and everyday words alone; in doubt it is not."""
    shares = {name: everyday_share(text, name, words) for name in words}
    own, other = shares.pop(declared, 0.0), max(shares.values(), default=0.0)
    letters = {letter for letter in text.lower() if letter.isalpha()}
    turkish = letters & TURKISH_LETTERS and not letters & _NOT_TURKISH
    spelt = all(letter.isascii() or letter in _NATIVE for letter in letters)
    return (own >= _PLAIN and own >= 4 * other) or (declared == "tr" and bool(turkish) and spelt and other < _PLAIN / 4)


def _leaking(
    found: Sequence[Learnable], signals: Sequence[StoredSignal], recipe: Recipe, root: Path, *, surely: bool
) -> Iterator[RefusedSignal]:
    """Yield what gives a case of a suite away: then the golden set would measure memory."""
    texts = {one.id: one for one in signals}
    rows = [row for one in found for row in _told(one, texts[one.id], recipe)]
    cases = load_cases([(path, shown_path(path, root)) for path in suite_paths(recipe, root)])
    for leak in find_leaks(rows, cases, recipe.dataset.similarity):
        yield RefusedSignal(leak.row.place, f"leaks: it {leak.how} {leak.case.place}")
    if not surely:
        yield from _perhaps(rows, [case for case in cases if case.asked])


def _told(one: Learnable, stored: StoredSignal, recipe: Recipe) -> Iterable[Row]:
    """Yield the rows that say everything which would be trained."""
    if one.row is not None:
        yield one.row
    if one.preference is not None:
        said = "\n".join(answer for answer, _ in one.preference.answers)
        yield Row(example_of(one.preference, said, recipe.complexity), stored.id)


def _perhaps(rows: Sequence[Row], cases: Sequence[KnownCase]) -> Iterator[RefusedSignal]:
    """Yield questions that may be a case's in other words, by the words that they share."""
    if not rows or not cases:
        return
    index = Index.build([case.asked for case in cases])
    for row in rows:
        for asked in asked_by(row.example):
            scores = index.scores(asked)
            best = int(scores.argmax())
            if scores[best] >= DOUBTFUL:
                why = (
                    f"may ask {cases[best].place} in other words ({scores[best]:.0%} alike): `{cases[best].asked[:80]}`"
                )
                yield RefusedSignal(row.place, why, doubtful=True)
                break


def _told_before(found: Sequence[Learnable], root: Path) -> Iterator[RefusedSignal]:
    """Yield corrections of what another one corrects already: two answers to one question would be trained."""
    ids = {one.id for one in found}
    there = [line for line in AcceptedFolder(root).lines() if line.file not in (PAIRS, JUDGED) and line.id not in ids]
    answered = {asked: line.id for line in there for asked in asked_by(from_json(json.loads(line.text)))}
    for one in found:
        for asked in asked_by(one.row.example) if one.row is not None else ():
            other = answered.setdefault(asked, one.id)
            if other != one.id:
                yield RefusedSignal(one.id, f"corrects what {other[:9]} corrects already: reject one of the two")
                break


def _contradicting(found: Sequence[Learnable], recipe: Recipe, root: Path) -> Iterator[RefusedSignal]:
    """Yield judgements that say the opposite of an earlier one on the same answer."""
    seen = Seen()
    folder = AcceptedFolder(root)
    for path in (folder.path / name for name in (PAIRS, JUDGED)):
        told = read_file(path, path.name, recipe.complexity) if path.is_file() else ()
        for answer in (answer for one in told if isinstance(one, Told) for answer in judged(one.row)):
            seen.take(answer)
    for one in found:
        before = len(seen.faults)
        for answer in judged(replace(one.preference, place=f"{one.id}:1")) if one.preference is not None else ():
            seen.take(answer)
        if len(seen.faults) > before:
            yield RefusedSignal(one.id, f"cannot be compared: {seen.faults[-1].message}")
