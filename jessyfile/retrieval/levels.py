"""The level of a question by a vote of the rows nearest to it, known before a model says a word.

The share of a level is calibrated: among several ways to weigh neighbours the one is taken under which the levels of
rows that were held out are the least surprising (the lowest mean -ln of the share that their own level gets).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

from jessyfile.fsops import write_text
from jessyfile.planning.canonical import readable
from jessyfile.results.typed_json import load_as

if TYPE_CHECKING:
    from jessyfile.retrieval.examples import Example, Examples, Neighbour

VOTE = "vote.json"
CLEARLY = 0.65
"""From which share on a vote for less thought than the nearest row has is believed: 69 of 84 such votes were right and the row 11 times;
below it 136 of 235 and the row 86 times. Of votes for more thought 97 of 150 were right, the row 41 times (benchmarks/levels.py).
"""
ITS_OWN = 0.6
"""From which nearness on a row is asked for in other words, and its own level holds whatever rows beside it have."""
_COUNTS, _WIDTHS, _DOUBTS = (3, 7, 15, 31), (0.03, 0.1, 0.3), (0.1, 0.3, 1.0)
_LEAST = 20  # held-out rows; fewer choose nothing


@dataclass(frozen=True, slots=True)
class Vote:
    """The level that the nearest rows give a question, and its share of their vote."""

    level: str
    share: float


@dataclass(frozen=True, slots=True)
class Voting:
    """How the `count` nearest rows are weighed: a row `width` less near than the nearest counts 1 / e, and every level has `doubt`
    before anybody voted. `right` of `rows` held-out rows got their own level.
    """

    levels: tuple[str, ...]
    count: int = 15
    width: float = 0.1
    doubt: float = 0.3
    right: int = 0
    rows: int = 0

    def shares(self, neighbours: Sequence[Neighbour]) -> dict[str, float]:
        """Return each level's share of the vote of rows that stand nearest first."""
        weights = dict.fromkeys(self.levels, self.doubt)
        for one in neighbours[: self.count]:
            if one.example.level in weights:
                weights[one.example.level] += math.exp((one.score - neighbours[0].score) / self.width)
        total = sum(weights.values())
        return {level: weight / total for level, weight in weights.items()}

    def vote(self, examples: Examples, question: str) -> Vote | None:
        """Return the level of a question; None when no row has anything in common with it."""
        found = examples.nearest(question, self.count)
        if not found:
            return None
        shares = self.shares(found)
        level = max(shares, key=lambda name: shares[name])
        return Vote(level, round(shares[level], 4))

    def category(self, examples: Examples, question: str) -> Vote | None:
        """Return the category of a question by the same rows, weighed alike; None where no row with a category is near it."""
        found = [one for one in examples.nearest(question, self.count) if one.example.category]
        if not found:
            return None
        weights: dict[str, float] = {}
        for one in found:
            weight = math.exp((one.score - found[0].score) / self.width)
            weights[one.example.category] = weights.get(one.example.category, 0.0) + weight
        name = max(weights, key=lambda each: weights[each])
        return Vote(name, round(weights[name] / sum(weights.values()), 4))

    def save(self, folder: Path) -> None:
        """Write it into a folder."""
        write_text(folder / VOTE, readable(self))

    @classmethod
    def load(cls, folder: Path) -> Voting:
        """Return what `save` wrote. Raises StateError when it is damaged."""
        return load_as(cls, folder / VOTE)


def of_its_level(found: Sequence[Neighbour], vote: Vote | None, levels: Sequence[str], bound: float) -> Neighbour:
    """Return the row that answers: the nearest, or, where the rows' vote gives the question another level, the nearest of that level.

    A row is nearest by its words, and `sen gerçek misin` stands beside `beyaz yalan gerçekten zararsız mı`; the rows around it say that a
    thought is wanted, not a remark. One's own row, and one that is asked for in nearly its own words, is kept; so is the nearest where no
    row of the level is above the bound.

    Args:
        found: answered rows, nearest first, one at least.
        vote: what the nearest rows say of the level; None for nothing.
        levels: the recipe's levels, the one of least thought first.
        bound: how near a row must be for its answer to stand.
    """
    first = found[0]
    if (
        vote is None
        or first.example.own
        or first.score >= ITS_OWN
        or not {vote.level, first.example.level} <= set(levels)
    ):
        return first
    more = levels.index(vote.level) - levels.index(first.example.level)
    if more == 0 or (more < 0 and vote.share < CLEARLY):
        return first
    return next((one for one in found if one.example.level == vote.level and one.score > bound), first)


def calibrated(examples: Examples, held_out: Sequence[Example], levels: Sequence[str]) -> Voting:
    """Return the voting that surprises held-out rows the least; the default one where they are too few to tell."""
    known = [row for row in held_out if row.level in levels]
    near = [examples.nearest(row.question, max(_COUNTS)) for row in known]
    ways = [Voting(tuple(levels), *way) for way in product(_COUNTS, _WIDTHS, _DOUBTS)]
    best = Voting(tuple(levels)) if len(known) < _LEAST else min(ways, key=lambda way: _surprise(way, known, near))
    votes = [best.shares(found) for found in near]
    right = sum(
        max(shares, key=lambda name: shares[name]) == row.level for shares, row in zip(votes, known, strict=True)
    )
    return replace(best, right=right, rows=len(known))


def _surprise(way: Voting, rows: Sequence[Example], near: Sequence[Sequence[Neighbour]]) -> float:
    return sum(-math.log(way.shares(found)[row.level]) for found, row in zip(near, rows, strict=True))
