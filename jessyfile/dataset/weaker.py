"""Rows that are asked again behind a weaker draft of their answer: what REFINEd categories are made of.

A draft goes wrong as small models do: it answers a question of similar words, says half, wanders off, stays vague, takes another tone,
mistakes a number or says one thing over and over. Some are as good as the answer, for a model that is asked again must not spoil what
is right. Everything follows from the seed and the row.
"""

from __future__ import annotations

import random
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache

from jessyfile.dataset.example import Turn
from jessyfile.dataset.labels import Category
from jessyfile.dataset.refinement import DRAFTS, TABLE, better, is_refined
from jessyfile.dataset.rows import Row
from jessyfile.dataset.select import shuffled
from jessyfile.dataset.similarity import cross_pairs
from jessyfile.resources import resource
from jessyfile.text.answer_language import leaning
from jessyfile.text.lexicon import load_table
from jessyfile.text.turkish import folded_normal

_SOURCE = "refined."
_MIX = (
    1,
    3,
)  # rows of the least level, and of each other, that are drawn in turn: a short answer is seldom thought over
_KEPT = (0.5, 0.12)  # of the same rows, whose first draft is the answer as it stands
_NEAR = (0.12, 0.6)  # from there on questions have words in common, and up to there they ask something else
_NEAREST = 3
_TIMES = 3  # how often a loop says it
_SENTENCE = re.compile(r"(?<=[.!?…])\s+|\n+")
_NUMBER = re.compile(r"(?<![\w.,:/])[0-9]{1,6}(?![\w:/]|[.,][0-9])")


@dataclass(frozen=True, slots=True)
class _Material:
    """What a draft is made of: the row, the answer to another question, and the random generator of both."""

    row: Row
    other: str | None
    rng: random.Random

    @property
    def answer(self) -> str:
        return self.row.example.response or ""


_Way = Callable[[_Material], str | None]


def refinements(rows: Sequence[Row], category: str, least: str, seed: int) -> Iterator[Row]:
    """Yield rows of a category that refines, at most `DRAFTS` of each row, levels mixed from the beginning.

    Args:
        rows: the rows to ask again; those without an answer, and refinements, are passed over.
        category: the name of the category that they come to belong to; its topics are the rows' own categories.
        least: the level of the shortest answers.
        seed: the recipe's seed.
    """
    answered = [row for row in rows if row.example.response is not None and not is_refined(row.example)]
    levels: dict[str, list[Row]] = defaultdict(list)
    for row in shuffled(answered, seed, "refined"):
        levels[row.example.level].append(row)
    others = _Others(answered, seed)
    waiting = {level: _of_level(own, others, _of(_KEPT, level, least), seed) for level, own in levels.items()}
    drawn = dict.fromkeys(waiting, 0.0)
    while waiting:
        level = min(waiting, key=lambda name: drawn[name])
        drawn[level] += 1 / _of(_MIX, level, least)
        made = next(waiting[level], None)
        if made is None:
            del waiting[level]
        else:
            yield _asked_again(*made, category, seed)


def _of(pair: tuple[float, float], level: str, least: str) -> float:
    return pair[level != least]


def _of_level(rows: Sequence[Row], others: _Others, kept: float, seed: int) -> Iterator[tuple[Row, str, str]]:
    """Yield rows with the kind of a draft and the draft, each row once before any comes again."""
    drafts = [_drafts(row, others, kept, seed) for row in rows]
    for _ in range(DRAFTS):
        for row, made in zip(rows, drafts, strict=True):
            if (one := next(made, None)) is not None:
                yield row, *one


def _drafts(row: Row, others: _Others, kept: float, seed: int) -> Iterator[tuple[str, str]]:
    """Yield the kinds of drafts that a row can have with the drafts, in an order of its own; no draft twice."""
    rng = random.Random(f"{seed}/refined/{row.id}")
    answer = row.example.response or ""
    told = {answer}
    if rng.random() < kept:
        yield "kept", answer
    for name in sorted(_WAYS, key=lambda way: rng.random() ** (1 / _WAYS[way][0]), reverse=True):
        draft = _WAYS[name][1](_Material(row, others.of(row), rng))
        if draft is not None and draft.strip() and draft not in told:
            told.add(draft)
            yield name, draft


def _asked_again(row: Row, kind: str, draft: str, category: str, seed: int) -> Row:
    example = row.example
    wording = random.Random(f"{seed}/wording/{row.id}/{kind}").choice(example.wordings)
    asked = Turn("user", wording)
    answered = Turn("assistant", draft, example.level, example.iterations_needed)
    made = replace(
        example,
        query=better(wording, draft),
        turns=(*example.turns, asked, answered),
        category=Category.named(category),
        topic=example.category.value,
        source=_SOURCE + kind,
        paraphrases=(),
    )
    return Row(made, row.place, row.group or row.id)


class _Others:
    """Finds the answer to another question than a row's: one of the nearest, as what is retrieved or remembered wrongly would be."""

    def __init__(self, rows: Sequence[Row], seed: int) -> None:
        self._rows, self._seed = rows, seed
        self._near: dict[str, list[Row]] | None = None

    def of(self, row: Row) -> str | None:
        """Return such an answer; None where every row says the same."""
        rng = random.Random(f"{self._seed}/other/{row.id}")
        near = self._nearest().get(row.id, [])[:_NEAREST]
        others = near or [one for one in self._rows if self._asks_else(row, one)]
        return rng.choice(others).example.response if others else None

    def _asks_else(self, row: Row, other: Row) -> bool:
        """Return whether a row has another answer, in the same language, to what is not known to be the same question."""
        grouped = bool(row.group) and row.group == other.group
        same = row.example.response == other.example.response
        return not (grouped or same) and row.example.language == other.example.language

    def _nearest(self) -> dict[str, list[Row]]:
        """Return for each row, by its id, those that ask something else in words like its own, the nearest first."""
        if self._near is None:
            self._near = defaultdict(list)
            asked = [folded_normal(row.example.query) for row in self._rows]
            left, right, alike = cross_pairs(asked, asked, _NEAR[0])
            order = (-alike).argsort(kind="stable")
            order = order[alike[order] <= _NEAR[1]]
            near = [self._near[row.id] for row in self._rows]  # rows of one id share theirs
            for one, other in zip(left[order].tolist(), right[order].tolist(), strict=True):
                known = near[one]
                if len(known) < _NEAREST and self._asks_else(self._rows[one], self._rows[other]):
                    known.append(self._rows[other])
        return self._near


def _cut(given: _Material) -> str | None:
    """Half of what there is to say; now and then it breaks off in the middle of a word."""
    said = _sentences(given.answer)
    if len(said) < 2:
        return None
    whole = said[: max(1, given.rng.randint(len(said) // 3, len(said) // 2))]
    rest = said[len(whole)]
    broken = rest[: given.rng.randint(len(rest) // 3, 2 * len(rest) // 3)] if given.rng.random() < 0.5 else ""
    return " ".join([*whole, broken]).strip()


def _mixed(given: _Material) -> str | None:
    """It begins well and goes on with what belongs to another question."""
    said, other = _sentences(given.answer), _sentences(given.other or "")
    return " ".join([said[0], *other[1:3]]) if len(said) > 1 and len(other) > 1 else None


def _looped(given: _Material) -> str | None:
    said = _sentences(given.answer)
    return " ".join([said[0]] * _TIMES) if said else None


def _miscounted(given: _Material) -> str | None:
    """A number is another one."""
    found = list(_NUMBER.finditer(given.answer)) if _sentences(given.answer) else []
    if not found:
        return None
    one = given.rng.choice(found)
    value = int(one.group())
    wrong = given.rng.choice([value + 1, value + 2, 2 * value + 1, *([value - 1] if value > 1 else [])])
    return given.answer[: one.start()] + str(wrong) + given.answer[one.end() :]


def _stock(kind: str, given: _Material) -> str | None:
    """One of the phrases of a kind in the row's language, with the first sentence of the answer where it has a place for it."""
    example = given.row.example
    language = example.language.value
    if language not in ("tr", "en"):
        language = leaning(example.response or "") or "" if language == "mixed" else ""
    told, said = _phrases().get((language, kind), ()), _sentences(given.answer)
    return given.rng.choice(told).replace("{said}", said[0]) if told and said else None


@cache
def _phrases() -> Mapping[tuple[str, str], tuple[str, ...]]:
    found: dict[tuple[str, str], tuple[str, ...]] = {}
    for item in load_table(resource("data").parent, TABLE).items:
        key = (item["language"], item["kind"])
        found[key] = (*found.get(key, ()), item["text"])
    return found


def _sentences(text: str) -> list[str]:
    """Return the sentences and lines of an answer; none of one with code, which does not fall into sentences."""
    return [] if "```" in text else [part.strip() for part in _SENTENCE.split(text.strip()) if part.strip()]


_WAYS: Mapping[str, tuple[int, _Way]] = {
    "other": (3, lambda given: given.other),
    "cut": (4, _cut),
    "mixed": (2, _mixed),
    "vague": (2, lambda given: _stock("vague", given)),
    "stiff": (1, lambda given: _stock("stiff", given)),
    "number": (2, _miscounted),
    "loop": (1, _looped),
}
