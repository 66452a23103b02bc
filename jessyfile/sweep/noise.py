"""Whether the best point of a sweep stands out from what another seed alone would have brought."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from statistics import fmean, variance

_ALPHA = 0.05
_PANELS = 400


@dataclass(frozen=True, slots=True)
class Standing:
    """One point's mean over its seeds, and each seed's value."""

    point: str
    mean: float
    values: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class SweepOutcome:
    """The points, best first; the noise floor, None where no point has two seeds; the winner, None where there is none, and why."""

    ranking: tuple[Standing, ...]
    floor: float | None
    winner: str | None
    why: str


def decide(measured: Mapping[str, Sequence[float]], *, lower: bool) -> SweepOutcome:
    """Rank the points and say whether the best of them is a winner.

    Args:
        measured: each point's value with every seed that was trained.
        lower: whether a lower value is the better one.

    Returns:
        The outcome. A winner is better than the next by more than the floor: the least difference that the best of as many equal
        points would reach, by other seeds alone, one time in twenty.
    """
    standings = [Standing(point, fmean(values), tuple(values)) for point, values in measured.items() if values]
    ranking = tuple(sorted(standings, key=lambda one: one.mean if lower else -one.mean))
    floor = noise_floor([one.values for one in ranking])
    if len(ranking) < 2:
        return SweepOutcome(ranking, floor, None, "fewer than two points were measured")
    ahead = abs(ranking[0].mean - ranking[1].mean)
    if floor is None:
        why = "one seed does not tell what another would have brought; --seeds 3 does, and keeps what is trained"
        return SweepOutcome(ranking, None, None, why)
    if ahead <= floor:
        return SweepOutcome(ranking, floor, None, f"the best is ahead by {ahead:.4f}, within the noise of {floor:.4f}")
    return SweepOutcome(
        ranking, floor, ranking[0].point, f"it is ahead by {ahead:.4f}, beyond the noise of {floor:.4f}"
    )


def noise_floor(groups: Sequence[Sequence[float]]) -> float | None:
    """Return the least difference of two means that counts: pooled over the groups, corrected for how many are compared (Bonferroni).

    None where no group has two values.
    """
    several = [group for group in groups if len(group) > 1]
    freedom = sum(len(group) - 1 for group in several)
    if not freedom:
        return None
    spread = math.sqrt(sum(variance(group) * (len(group) - 1) for group in several) / freedom)
    fewest = min(len(group) for group in groups)
    return t_quantile(1 - _ALPHA / 2 / max(1, len(groups) - 1), freedom) * spread * math.sqrt(2 / fewest)


@cache
def t_quantile(share: float, freedom: int) -> float:
    """Return the value that Student's t with so many degrees of freedom stays below with this probability, of 0.5 or more."""
    low, high = 0.0, 1.0
    while _below(high, freedom) < share:
        low, high = high, 2 * high
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if _below(middle, freedom) < share else (low, middle)
    return high


def _below(value: float, freedom: int) -> float:
    """Return the probability of being below a value, by Simpson's rule over the angle whose tangent it is."""
    # with t = sqrt(freedom) tan(a) the density is a power of cos(a), smooth and without a far tail
    end = math.atan(value / math.sqrt(freedom))
    scale = math.exp(math.lgamma((freedom + 1) / 2) - math.lgamma(freedom / 2)) / math.sqrt(math.pi)
    step = end / _PANELS
    weights = (1 if at in (0, _PANELS) else 4 if at % 2 else 2 for at in range(_PANELS + 1))
    area = sum(weight * math.cos(at * step) ** (freedom - 1) for at, weight in enumerate(weights)) * step / 3
    return 0.5 + scale * area
