"""Collect the results of the steps and render them as one HTML page that loads nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from jessyfile import __version__
from jessyfile.dataset.card import DatasetCard
from jessyfile.dataset.data_steps import CARD
from jessyfile.errors import StateError
from jessyfile.evaluation.verdict import NO_MARKER, VERDICT, Metric, Verdict
from jessyfile.planning.change_text import duration, size
from jessyfile.report.charts import Lane, latency_lanes, loss_curve
from jessyfile.results.facts import AnswersFacts, Curve, Mask, ParityFacts, PromoteFacts, TrainFacts
from jessyfile.results.outcome import chance, spell
from jessyfile.results.typed_json import load_as
from jessyfile.text.html import render_template

if TYPE_CHECKING:
    from jessyfile.language.recipe import Recipe
    from jessyfile.planning.run import RunResult

T = TypeVar("T")
_FILTERS: Mapping[str, Callable[..., object]] = {"duration": duration, "size": size, "spell": spell, "chance": chance}


@dataclass(frozen=True, slots=True)
class Left:
    """What a run's steps left behind for the page; None where the step was left out."""

    verdict: Verdict | None
    curve: Curve | None
    card: DatasetCard | None
    mask: Mask | None


def render_page(recipe: Recipe, result: RunResult) -> str:
    """Return the whole report as HTML; parts whose step was left out are missing."""
    left = Left(
        verdict=_read(result, "judge", VERDICT, Verdict),
        curve=_read(result, "train", "curve.json", Curve),
        card=_read(result, "dataset", CARD, DatasetCard),
        mask=_read(result, "encode", "mask.json", Mask),
    )
    bars, matrix = _bars(left.verdict), _matrix(recipe, left.verdict)
    promote = result.facts_of("promote", PromoteFacts)
    return render_template(
        "report.html.j2",
        _FILTERS,
        recipe=recipe,
        where=result.plan.recipe,
        version=__version__,
        run=result.run.number if result.run is not None else None,
        withheld=result.withheld,
        promoted=promote is not None and promote.promoted,
        steps=result.steps,
        sections=list(_sections(left, bars, matrix)),
        trained=result.facts_of("train", TrainFacts),
        evaluated=result.facts_of("evaluate", AnswersFacts),
        parity=result.facts_of("parity", ParityFacts),
        verdict=left.verdict,
        card=left.card,
        mask=left.mask,
        loss=loss_curve(left.curve.curve, left.curve.validations) if left.curve else None,
        latency=latency_lanes(_lanes(recipe, left.verdict)),
        bars=bars,
        matrix=matrix,
    )


def _read(result: RunResult, step: str, file: str, kind: type[T]) -> T | None:
    """Return what a step left in a file; None when it was left out, or the file is not there or damaged."""
    found = result.step(step)
    try:
        return load_as(kind, found.folder / file) if found is not None else None
    except (FileNotFoundError, StateError):
        return None


def _sections(left: Left, bars: Sequence[MetricBar], matrix: Matrix | None) -> Iterator[tuple[str, str]]:
    """Yield id and title of every part that this page has."""
    parts = (
        ("verdict", "Verdict", left.verdict),
        ("before", "Before and after", bars),
        ("levels", "Levels", matrix),
        ("latency", "Latency", left.verdict),
        ("training", "Training", left.curve),
        ("answers", "Answers", left.verdict),
        ("data", "Data", left.card or left.mask),
        ("made", "Made of", True),
    )
    return ((name, title) for name, title, there in parts if there)


@dataclass(frozen=True, slots=True)
class MetricBar:
    """One metric before and after, as shares; `low` and `high` bound the second.

    `suite` says that it is one of the pairs that every suite has, and that no criterion asks for it.
    """

    metric: str
    before: float | None
    after: float
    low: float
    high: float
    n: int
    better: int
    worse: int
    p: float | None
    suite: bool


def _bars(verdict: Verdict | None) -> list[MetricBar]:
    if verdict is None:
        return []
    claimed = {judged.outcome.criterion.metric for judged in verdict.criteria}
    return [bar for name, metric in verdict.metrics.items() if (bar := _bar(name, metric, name in claimed)) is not None]


def _bar(name: str, metric: Metric, claimed: bool) -> MetricBar | None:
    after, compared = metric.after, metric.compared
    if after.unit != "share" or after.value is None or after.low is None or after.high is None:
        return None
    return MetricBar(
        metric=name,
        before=metric.before,
        after=after.value,
        low=after.low,
        high=after.high,
        n=after.n,
        better=len(compared.better) if compared else 0,
        worse=len(compared.worse) if compared else 0,
        p=compared.p if compared else None,
        suite=name.endswith((".form", ".relevance")) and not claimed,
    )


def _lanes(recipe: Recipe, verdict: Verdict | None) -> list[Lane]:
    metrics = verdict.metrics if verdict is not None else {}
    found = [(level, metrics.get(f"latency.{level.name}")) for level in recipe.complexity.levels]
    return [
        Lane(level.name, sorted(metric.after.samples.values()), metric.after.value, level.within)
        for level, metric in found
        if metric is not None
    ]


@dataclass(frozen=True, slots=True)
class Matrix:
    """How often each level was answered with each marker; `rows` holds level, counts by `columns`, and the total."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[int, ...], int], ...]


def _matrix(recipe: Recipe, verdict: Verdict | None) -> Matrix | None:
    table = verdict.confusion() if verdict is not None else {}
    if not table:
        return None
    levels = [level.name for level in recipe.complexity.levels]
    columns = (*levels, NO_MARKER)
    rows = [(name, tuple(table[name].get(column, 0) for column in columns)) for name in levels if name in table]
    return Matrix(columns, tuple((name, counts, sum(counts)) for name, counts in rows))
