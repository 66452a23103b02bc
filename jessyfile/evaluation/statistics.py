"""Small numbers said honestly: intervals of shares, means and percentiles, and whether two models differ on the same cases."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist

from jessyfile.results.quality import wilson as wilson

Interval = tuple[float, float]
_RESAMPLES = 2000
_DRAWN = 1 << 20  # numbers drawn at a time: memory stays the same however many values there are
_SEED = 20240229


def mcnemar(better: int, worse: int) -> float:
    """Return the exact two-sided p-value that as many cases got better as worse (McNemar 1947, binomial form)."""
    n = better + worse
    if n == 0:
        return 1.0
    tail = sum(math.comb(n, k) for k in range(min(better, worse) + 1))
    return float(min(1.0, 2 * tail / 2**n))


def mean_interval(values: Sequence[float], confidence: float = 0.95) -> Interval:
    """Return the percentile bootstrap interval of a mean (Efron 1979), such as one of paired differences; the same every time."""
    import numpy as np

    if not values:
        return 0.0, 0.0
    known, random = np.asarray(values, dtype=np.float64), np.random.default_rng(_SEED)
    size = max(1, _DRAWN // len(known))
    counts = [min(size, _RESAMPLES - start) for start in range(0, _RESAMPLES, size)]
    means = np.concatenate([known[random.integers(0, len(known), (n, len(known)))].mean(axis=1) for n in counts])
    low, high = np.quantile(means, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def auc(good: Sequence[float], bad: Sequence[float]) -> float:
    """Return the share of pairs in which the good value is the higher one, ties counted half: the area under the ROC curve
    (Hanley and McNeil 1982). Raises ValueError without a pair.
    """
    if not good or not bad:
        raise ValueError("a share of pairs needs a value on either side")
    won = sum((one > other) + (one == other) / 2 for one in good for other in bad)
    return won / (len(good) * len(bad))


def percentile(values: Sequence[float], share: float) -> float:
    """Return the smallest value that at least `share` of the values do not exceed (nearest rank)."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def percentile_interval(values: Sequence[float], share: float, confidence: float = 0.95) -> tuple[float, float | None]:
    """Return a distribution-free interval of a percentile from order statistics; each end holds at `confidence`.

    The upper end is None when there are too few values: a 95th percentile takes 59 at 95 %.
    """
    ordered, n = sorted(values), len(values)
    below = _binomial_cdf(n, share)
    upper = next((k for k in range(1, n + 1) if below[k - 1] >= confidence), None)
    lower = max((k for k in range(1, n + 1) if 1 - below[k - 1] >= confidence), default=None)
    return (ordered[lower - 1] if lower else ordered[0]), (ordered[upper - 1] if upper else None)


def _binomial_cdf(n: int, share: float) -> list[float]:
    """Return P(X <= k) for k from 0 to n; in logarithms, for factorials of n outgrow a float."""
    total, found = 0.0, []
    for k in range(n + 1):
        ways = math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
        total += math.exp(ways + k * math.log(share) + (n - k) * math.log1p(-share))
        found.append(total)
    return found


def cases_to_prove(share: float, confidence: float, limit: int = 100_000) -> int:
    """Return how many cases, all passed, put the Wilson interval's lower end above a share."""
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    if share >= 1:
        return limit
    return min(limit, math.floor(share * z * z / (1 - share)) + 1)
