"""How near an answer is to answers that people wrote for the same case: good ones, and bad ones.

The distance is the cosine of counts of runs of three to five letters within words, without Turkish letters. It decides
only where it is clear: an answer nearer to a good one by `MARGIN` and at least `NEAR` passes where its words would not,
one nearer to a bad one by `MARGIN_BAD` and at least `NEAR_BAD` fails whatever its words: a bad one often says all but a
word of what a good one says.
"""

from __future__ import annotations

from collections import Counter
from functools import lru_cache
from math import sqrt
from typing import Literal

from jessyfile.text.turkish import folded_normal

NEAR, MARGIN = 0.4, 0.1
NEAR_BAD, MARGIN_BAD = 0.85, 0.1
_RUNS = (3, 4, 5)


def nearest(text: str, good: tuple[str, ...], bad: tuple[str, ...]) -> Literal["good", "bad"] | None:
    """Return whether an answer is clearly nearer to the good or to the bad ones; itself among them does not count."""
    likes, dislikes = (
        max((likeness(text, other) for other in kind if other.strip() != text.strip()), default=0)
        for kind in (good, bad)
    )
    if likes >= NEAR and likes >= dislikes + MARGIN:
        return "good"
    return "bad" if dislikes >= NEAR_BAD and dislikes >= likes + MARGIN_BAD else None


def likeness(one: str, other: str) -> float:
    """Return from 0 (no run of letters shared) to 1 (the same text)."""
    (first, length), (second, other_length) = _runs(one), _runs(other)
    shared = sum(first[run] * second[run] for run in first.keys() & second.keys())
    return shared / (length * other_length) if shared else 0


@lru_cache(maxsize=4096)
def _runs(text: str) -> tuple[Counter[str], float]:
    """Return how often each run of letters stands in a text, and the length of these counts as a vector."""
    words = [f" {word} " for word in folded_normal(text).split()]
    found = Counter(word[at : at + size] for word in words for size in _RUNS for at in range(len(word) - size + 1))
    return found, sqrt(sum(count * count for count in found.values()))
