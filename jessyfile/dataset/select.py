"""Take exactly as many rows as asked, the same ones every time.

The order in which rows are taken is a hash of the seed, the topic and the row's own content. So adding or correcting
one seed row changes one row of the choice, not all of them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from jessyfile.dataset.rows import Row
    from jessyfile.language.recipe import Category, LevelName

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Wanted:
    """How many rows of one topic, with the language and the level they must have (None: any)."""

    category: str
    topic: str | None
    count: int
    language: str | None
    level: LevelName | None

    @property
    def name(self) -> str:
        """The topic as messages show it, `turkish/slang`."""
        return f"{self.category}/{self.topic}" if self.topic else self.category

    def takes(self, row: Row) -> bool:
        """Whether a row belongs here."""
        return self.accepts(row.example.topic, row.example.language, row.example.level)

    def accepts(self, topic: str | None, language: str | None, level: str | None) -> bool:
        """Whether a row of this topic, declared language (`mixed` takes all, `any` is taken by all) and level belongs here."""
        return (
            (self.topic is None or topic == self.topic)
            and (self.language in (None, "mixed") or language in (self.language, "any"))
            and (self.level is None or level == self.level)
        )


def wanted_topics(category: Category) -> tuple[Wanted, ...]:
    """Return what a category asks for, topic by topic; without topics, the category as a whole."""
    if not category.topics:
        return (Wanted(category.name, None, category.count, category.language, category.level),)
    return tuple(
        Wanted(
            category.name, topic.name, topic.count, topic.language or category.language, topic.level or category.level
        )
        for topic in category.topics
    )


def is_taken(category: Category, topic: str) -> bool:
    """Return whether a category takes seeds of a topic: one that refines takes those of the categories that it names."""
    return not category.refine or topic in category.refine


def turn(seed: int, *parts: str) -> int:
    """Return a number that depends on the seed and the parts alone, to order things by."""
    digest = hashlib.blake2b("\x1f".join([str(seed), *parts]).encode("utf-8", "surrogatepass"), digest_size=8)
    return int.from_bytes(digest.digest(), "big")


def shuffled(rows: Iterable[Row], seed: int, purpose: str) -> list[Row]:
    """Return the rows in an order that depends on the seed, the purpose and each row's content."""
    return sorted(rows, key=lambda row: (turn(seed, purpose, row.id), row.place))


def sample(rows: Sequence[Row], count: int, seed: int, purpose: str) -> list[Row]:
    """Return a random sample of the rows, in their own order.

    Args:
        rows: the rows to choose from.
        count: how many to choose; all rows when there are fewer.
        seed: the recipe's seed.
        purpose: what the sample is for; two purposes choose independently.

    Returns:
        The chosen rows. The choice depends on each row's content, not on its position.
    """
    chosen = {id(row) for row in shuffled(rows, seed, purpose)[:count]}
    return [row for row in rows if id(row) in chosen]


def shares(total: int, weights: Sequence[int]) -> list[int]:
    """Split a total by weights into whole numbers that add up to it (largest remainders, earlier first on a tie)."""
    weight = sum(weights)
    if weight == 0:
        return [0] * len(weights)
    exact = [total * part / weight for part in weights]
    out = [int(value) for value in exact]
    by_remainder = sorted(range(len(weights)), key=lambda i: (out[i] - exact[i], i))
    for index in by_remainder[: total - sum(out)]:
        out[index] += 1
    return out
