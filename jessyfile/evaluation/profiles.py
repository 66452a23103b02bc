"""Whose answer a text is: to which question of a suite people gave answers that are most like it, and whether it is said as their
good ones or as their bad ones.

Likeness counts runs of letters within words as `nearness` does, rare ones for more. What fits many other questions
better than its own was said to none of them: a stock paragraph, a list of words, another question's answer.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from math import log, sqrt
from statistics import fmean

from jessyfile.evaluation.nearness import runs

_ENOUGH = 10
_OFTEN = 3  # a run in fewer answers tells of its subject, not of a manner
Weights = Mapping[str, float]


class Profiles:
    """What each question of a suite and people's good answers to it look like, and what their bad ones do."""

    def __init__(self, texts: Mapping[str, Sequence[str]], bad: Iterable[str] = ()) -> None:
        """Take, by the case's id, its question and the answers to it, and bad answers to any of them."""
        self._texts, self._bad = texts, frozenset(map(str.strip, bad))

    def nearer(self, case: str, text: str) -> float:
        """Return the share of the other questions that a text is nearer to than to its own; itself does not count.

        Fewer than ten others say nothing: the share is 0.
        """
        if len(self._texts) <= _ENOUGH:
            return 0.0
        said = self._weights(text)
        found = defaultdict[str, float](float)
        for run, weight in said.items():
            for other, its in self._holders[run]:
                found[other] += weight * its
        own, kept = found.pop(case, 0.0), [one for one in self._texts[case] if one.strip() != text.strip()]
        if len(kept) < len(self._texts[case]):
            own = sum(weight * said.get(run, 0) for run, weight in self._profile(kept).items())
        return sum(likeness > own for likeness in found.values()) / (len(self._texts) - 1)

    def manner(self, text: str) -> float:
        """Return how much rather the runs of a text stand in good answers than in bad ones, in nats; itself does not count.

        In a suite of ten questions or fewer, or without bad answers, it says nothing: 0.
        """
        if len(self._texts) <= _ENOUGH or not self._bad:
            return 0.0
        (good, in_good), (bad, in_bad) = self._said
        among = [text.strip() in told for told in (good, bad)]
        known = [run for run in runs(text) if in_good[run] + in_bad[run] >= _OFTEN]
        odds = [log((in_good[run] + 1 - among[0]) / (in_bad[run] + 1 - among[1])) for run in known]
        return fmean(odds) + log((len(bad) + 2) / (len(good) + 2)) if odds else 0.0

    @cached_property
    def _said(self) -> tuple[tuple[frozenset[str], Counter[str]], ...]:
        """Return good answers and bad ones, each kind with how many of them hold a run."""
        good = frozenset(answer.strip() for _, *answers in self._texts.values() for answer in answers)
        return tuple((told, Counter(run for one in told for run in set(runs(one)))) for told in (good, self._bad))

    @cached_property
    def _holders(self) -> Mapping[str, Sequence[tuple[str, float]]]:
        """Return the questions in whose profiles a run stands, with its weight there."""
        found = dict[str, list[tuple[str, float]]]()
        for case, texts in self._texts.items():
            for run, weight in self._profile(texts).items():
                found.setdefault(run, []).append((case, weight))
        return found

    @cached_property
    def _rarity(self) -> Mapping[str, float]:
        held = Counter(run for texts in self._texts.values() for run in set().union(*map(runs, texts)))
        return {run: log((len(self._texts) + 1) / count) for run, count in held.items()}

    def _profile(self, texts: Sequence[str]) -> Weights:
        found = defaultdict[str, float](float)
        for text in texts:
            for run, weight in self._weights(text).items():
                found[run] += weight
        return _scaled(found)

    def _weights(self, text: str) -> Weights:
        counts = runs(text).items()
        return _scaled({run: (1 + log(count)) * self._rarity[run] for run, count in counts if run in self._rarity})


def _scaled(weights: Weights) -> Weights:
    length = sqrt(sum(weight * weight for weight in weights.values())) or 1.0
    return {run: weight / length for run, weight in weights.items()}
