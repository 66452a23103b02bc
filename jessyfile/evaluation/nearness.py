"""How near an answer is to answers that people wrote for the same case: good ones, and bad ones.

Likeness is the cosine of how often (in logarithms) runs of three to five letters stand within words, without Turkish letters. An answer leans
to the good ones by how much more it is like the nearest of them than like the nearest bad one, those said to every question among
them, and, on average, like all of them than like all bad ones.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from functools import cache, lru_cache
from math import log, sqrt
from statistics import fmean

from jessyfile.resources import resource
from jessyfile.text.lexicon import load_table
from jessyfile.text.turkish import folded_normal

_RUNS = (3, 4, 5)
_ROUNDING = 1e-9


def leaning(text: str, good: tuple[str, ...], bad: tuple[str, ...]) -> float:
    """Return how far an answer leans to the good ones, below zero to the bad; itself among them does not count."""
    likes, dislikes = (
        [likeness(text, other) for other in kind if other.strip() != text.strip()] for kind in (good, bad)
    )
    if not likes or not dislikes:
        return 0.0
    worst = max(*dislikes, *(likeness(text, other) for other in said_to_all()))
    return max(likes) - worst + fmean(likes) - fmean(dislikes)


@cache
def said_to_all() -> tuple[str, ...]:
    """Return answers that anybody gives to anything, comfort and weighing, which are bad ones to every question."""
    return tuple(item["answer"] for item in load_table(resource("data").parent, "said_to_all").items)


def likeness(one: str, other: str) -> float:
    """Return from 0 (no run of letters shared) to 1 (the same text)."""
    first, second = _weights(one), _weights(other)
    return sum(first[run] * second[run] for run in first.keys() & second.keys())


def is_like(text: str, other: str, least: float) -> bool:
    """Return whether a text is another one, or at least so like it; one without letters is like itself alone."""
    return text.strip() == other.strip() or likeness(text, other) >= least - _ROUNDING


@lru_cache(maxsize=32768)
def runs(text: str) -> Counter[str]:
    """Return how often each run of letters stands in a text."""
    words = [f" {word} " for word in folded_normal(text).split()]
    return Counter(word[at : at + size] for word in words for size in _RUNS for at in range(len(word) - size + 1))


@lru_cache(maxsize=32768)
def _weights(text: str) -> Mapping[str, float]:
    weights = {run: 1 + log(count) for run, count in runs(text).items()}
    length = sqrt(sum(weight * weight for weight in weights.values()))
    return {run: weight / length for run, weight in weights.items()}
