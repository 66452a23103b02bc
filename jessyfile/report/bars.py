"""Metrics as bars: a metric's shares before and after, in the order in which a reader asks for them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from jessyfile.evaluation.verdict import BETWEEN
from jessyfile.language.metric_table import needs_references

if TYPE_CHECKING:
    from jessyfile.evaluation.verdict import Column, Metric, Verdict

_RANKS = ("must", "should", "may")
_SAME = 0.0005
UNCHANGED, OF_SUITES = "the same before and after", "form and relevance of every suite"


@dataclass(frozen=True, slots=True)
class Between:
    """A share of a column between the base and the candidate, and how the candidate compares with it."""

    column: Column
    value: float
    better: int
    worse: int
    p: float


@dataclass(frozen=True, slots=True)
class MetricBar:
    """One metric before and after, as shares, and of the columns `between`; `low` and `high` bound the second.

    `rank` is that of the criterion that asks for it, empty where none does.
    """

    metric: str
    rank: str
    before: float | None
    after: float
    low: float
    high: float
    n: int
    better: int
    worse: int
    p: float | None
    between: tuple[Between, ...] = ()

    @property
    def change(self) -> float | None:
        """By how much the share rose, from -1 to 1; None where the base has none."""
        return None if self.before is None else self.after - self.before

    @property
    def group(self) -> str:
        """Under which heading it is folded away; empty where it is shown at once."""
        if not self.rank and self.metric.endswith((".form", ".relevance")):
            return OF_SUITES
        return "" if self.rank or self.change is None or abs(self.change) > _SAME else UNCHANGED


@dataclass(frozen=True, slots=True)
class BarGroup:
    """Bars that stand together; `title` is empty for those that are shown at once."""

    title: str
    bars: tuple[MetricBar, ...]


def bar_groups(verdict: Verdict | None) -> list[BarGroup]:
    """Return every share of a verdict as bars: first what criteria ask for, MUST before MAY, then by the size of the change."""
    bars = sorted(_bars(verdict), key=_order) if verdict is not None else []
    groups = [BarGroup(title, tuple(bar for bar in bars if bar.group == title)) for title in ("", UNCHANGED, OF_SUITES)]
    return [group for group in groups if group.bars]


def _order(bar: MetricBar) -> tuple[int, float, str]:
    asked = _RANKS.index(bar.rank) if bar.rank in _RANKS else len(_RANKS)
    return asked, -abs(bar.change or 0.0), bar.metric


def _bars(verdict: Verdict) -> Iterator[MetricBar]:
    ranks: dict[str, str] = {}
    for judged in verdict.criteria:
        wanted = judged.outcome.criterion
        ranks[wanted.metric] = min(ranks.get(wanted.metric, wanted.rank), wanted.rank, key=_RANKS.index)
    for name, metric in verdict.metrics.items():
        bar = None if needs_references(name) else _bar(name, metric, ranks.get(name, ""))
        if bar is not None:
            yield bar


def _bar(name: str, metric: Metric, rank: str) -> MetricBar | None:
    after, compared = metric.after, metric.compared
    if after.unit != "share" or after.value is None or after.low is None or after.high is None:
        return None
    return MetricBar(
        metric=name,
        rank=rank,
        before=metric.before,
        after=after.value,
        low=after.low,
        high=after.high,
        n=after.n,
        better=len(compared.better) if compared else 0,
        worse=len(compared.worse) if compared else 0,
        p=compared.p if compared else None,
        between=tuple(_between(metric)),
    )


def _between(metric: Metric) -> Iterator[Between]:
    for column in BETWEEN:
        value, compared = metric.of(column), metric.against(column)
        if value is not None and compared is not None:
            yield Between(column, value, len(compared.better), len(compared.worse), compared.p)


@dataclass(frozen=True, slots=True)
class StackPart:
    """A named part of a whole, as a count and as a share."""

    name: str
    count: int
    share: float


def portions(counts: dict[str, int], order: Sequence[str] = ()) -> list[StackPart]:
    """Return counts as parts of their sum, in an order of names and then as they come."""
    total = sum(counts.values()) or 1
    names = [*(name for name in order if name in counts), *(name for name in counts if name not in order)]
    return [StackPart(name, counts[name], counts[name] / total) for name in names]
