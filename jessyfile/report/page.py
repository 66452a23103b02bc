"""Collect the results of the steps and render them as one HTML page that loads nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from jessyfile import __version__
from jessyfile.dataset.card import DatasetCard
from jessyfile.dataset.data_steps import CARD
from jessyfile.dataset.formatted import COMPOSED
from jessyfile.dataset.preference_card import preference_lines
from jessyfile.errors import StateError
from jessyfile.evaluation.verdict import NO_MARKER, VERDICT, Verdict, with_column
from jessyfile.language.metric_table import judges_content, metric_suites
from jessyfile.language.model_names import tuning_of
from jessyfile.parity.limits import limit_of
from jessyfile.planning.change_text import duration, size
from jessyfile.report.bars import BarGroup, bar_groups, portions
from jessyfile.report.charts import Lane, latency_lanes, loss_curve
from jessyfile.report.failures import folded
from jessyfile.report.first_screen import first_screen, near
from jessyfile.report.origin import Origin, origin_of
from jessyfile.resources import resource
from jessyfile.results.facts import (
    AnswersFacts,
    Curve,
    Facts,
    Mask,
    ParityFacts,
    PreferencesFacts,
    PreferFacts,
    PromoteFacts,
    TakenFacts,
    TrainFacts,
)
from jessyfile.results.outcome import chance, spell
from jessyfile.results.quality import CONTRAST_FILE, QUALITY_FILE, ChecksQuality, Contrasts
from jessyfile.results.typed_json import load_as
from jessyfile.text.html import render_template

if TYPE_CHECKING:
    from jessyfile.evaluation.ask_model import ModelEvaluation
    from jessyfile.language.recipe import Recipe
    from jessyfile.planning.run import RunResult, StepResult

F = TypeVar("F", bound=Facts)
T = TypeVar("T")
_FILTERS: Mapping[str, Callable[..., object]] = {
    "duration": duration,
    "size": size,
    "spell": spell,
    "chance": chance,
    "folded": folded,
    "near": near,
    "portions": portions,
}


@dataclass(frozen=True, slots=True)
class Reported:
    """What a page tells of: a run's number, the recipe's name, base and file, its levels with their limits in seconds, why the
    candidate was not promoted, what each step left, the model that was promoted before it, and how it came about."""

    name: str
    base: str
    where: str
    run: int | None
    levels: Mapping[str, float | None]
    withheld: str | None
    steps: Sequence[StepResult]
    previous: ModelEvaluation | None = None
    origin: Origin | None = None

    def step(self, name: str) -> StepResult | None:
        """Return one step's result; None when it was left out."""
        return next((step for step in self.steps if step.name == name), None)

    def facts_of(self, name: str, kind: type[F]) -> F | None:
        """Return what a step has said of its result; None when it was left out, or said it in another version's words."""
        step = self.step(name)
        try:
            return step.facts_of(kind) if step is not None else None
        except StateError:
            return None

    def left(self, name: str, file: str, kind: type[T]) -> T | None:
        """Return what a step left in a file; None when it was left out, or the file is not there or damaged."""
        step = self.step(name)
        try:
            return load_as(kind, step.folder / file) if step is not None else None
        except (FileNotFoundError, StateError):
            return None


@dataclass(frozen=True, slots=True)
class Left:
    """What a run's steps left behind for the page, and what is known of the checks; None where there is none."""

    verdict: Verdict | None
    curve: Curve | None
    taken: TakenFacts | None
    preferred: Curve | None
    card: DatasetCard | None
    mask: Mask | None
    contrasts: Contrasts | None
    checks: ChecksQuality | None


def render_page(recipe: Recipe, result: RunResult, previous: ModelEvaluation | None = None) -> str:
    """Return the report of an apply as HTML; parts whose step was left out are missing."""
    levels = {level.name: level.within for level in recipe.complexity.levels}
    told = Reported(
        name=recipe.name,
        base=str(recipe.base),
        where=result.plan.recipe,
        run=result.run.number if result.run is not None else None,
        levels=levels,
        withheld=result.withheld,
        steps=result.steps,
        previous=previous,
        origin=origin_of(result.run, result.seconds) if result.run is not None else None,
    )
    return render_reported(told)


def render_reported(reported: Reported) -> str:
    """Return a whole report as HTML."""
    verdict = reported.left("judge", VERDICT, Verdict)
    if verdict is not None and reported.previous is not None:
        verdict = with_column(verdict, "previous", reported.previous.by_case, reported.previous.often)
    left = Left(
        verdict=verdict,
        curve=reported.left("train", "curve.json", Curve),
        taken=reported.facts_of("train", TakenFacts),
        preferred=reported.left("prefer", "curve.json", Curve),
        card=next((card for step in COMPOSED if (card := reported.left(step, CARD, DatasetCard))), None),
        mask=reported.left("encode", "mask.json", Mask),
        contrasts=reported.left("contrast", CONTRAST_FILE, Contrasts),
        checks=_checks(verdict),
    )
    bars, matrix = bar_groups(left.verdict), _matrix(reported, left.verdict)
    promote = reported.facts_of("promote", PromoteFacts)
    promoted = promote is not None and promote.promoted
    compared = reported.facts_of("preferences", PreferencesFacts)
    preferred, parity = reported.facts_of("prefer", PreferFacts), reported.facts_of("parity", ParityFacts)
    return render_template(
        "report.html.j2",
        _FILTERS,
        reported=reported,
        version=__version__,
        promoted=promoted,
        top=first_screen(reported, verdict, left.curve, promoted),
        sections=list(_sections(left, bars, matrix)),
        trained=reported.facts_of("train", TrainFacts),
        preferences=preference_lines(compared) if compared else [],
        preferred=[*preferred.lines()] if preferred else [],
        margins=loss_curve(left.preferred.curve, left.preferred.validations) if left.preferred else None,
        pretrained=tuning_of(reported.base) == "pretrained",
        evaluated=reported.facts_of("evaluate", AnswersFacts),
        before=reported.facts_of("baseline", AnswersFacts),
        parity=parity,
        parity_limit=limit_of(parity.type).divergence if parity and parity.type else None,
        left=left,
        beside=partial(_beside, left.checks),
        loss=loss_curve(left.curve.curve, left.curve.validations) if left.curve else None,
        latency=latency_lanes(_lanes(reported, left.verdict)),
        bars=bars,
        matrix=matrix,
        tables=left.verdict.fields() if left.verdict else [],
    )


def _checks(verdict: Verdict | None) -> ChecksQuality | None:
    """Return how good the checks of the suites are that were answered; None where nobody has measured them."""
    if verdict is None:
        return None
    try:
        known = load_as(ChecksQuality, resource("data", "eval", QUALITY_FILE))
    except (FileNotFoundError, StateError):
        return None
    asked = {one.after.case.suite for one in verdict.cases}
    return replace(known, suites=tuple(one for one in known.suites if one.suite in asked))


def _beside(checks: ChecksQuality | None, metric: str) -> str:
    """Return how good the checks behind a share are, `checks 88% / 91%` (precision and recall); empty where none is known."""
    known = {one.suite: one for one in checks.suites} if checks is not None and judges_content(metric) else {}
    found = [known[suite] for suite in metric_suites(metric) if suite in known]
    if len(found) != 1 or found[0].precision is None or found[0].recall is None:
        return ""
    return f"checks {spell(found[0].precision.value, 'share')} / {spell(found[0].recall.value, 'share')}"


def _sections(left: Left, bars: Sequence[BarGroup], matrix: Matrix | None) -> Iterator[tuple[str, str]]:
    """Yield id and title of every part that this page has."""
    parts = (
        ("verdict", "Verdict", left.verdict),
        ("before", "Before and after", bars),
        ("contrast", "Contrast", left.contrasts),
        ("checks", "Checks", left.checks and left.checks.suites),
        ("opinion", "Opinion", left.verdict and left.verdict.opinion),
        ("ways", "Two ways", left.verdict and left.verdict.ways),
        ("fields", "Fields", left.verdict and left.verdict.fields()),
        ("levels", "Levels", matrix),
        ("latency", "Latency", left.verdict),
        ("training", "Training", left.curve or left.taken),
        ("answers", "Answers", left.verdict),
        ("data", "Data", left.card or left.mask),
        ("made", "Made of", True),
    )
    return ((name, title) for name, title, there in parts if there)


def _lanes(reported: Reported, verdict: Verdict | None) -> list[Lane]:
    metrics = verdict.metrics if verdict is not None else {}
    found = [(level, within, metrics.get(f"latency.{level}")) for level, within in reported.levels.items()]
    return [
        Lane(level, sorted(metric.after.samples.values()), metric.after.value, within)
        for level, within, metric in found
        if metric is not None
    ]


@dataclass(frozen=True, slots=True)
class Matrix:
    """How often each level was answered with each marker; `rows` holds level, counts by `columns`, and the total."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[int, ...], int], ...]


def _matrix(reported: Reported, verdict: Verdict | None) -> Matrix | None:
    table = verdict.confusion() if verdict is not None else {}
    if not table:
        return None
    levels = list(reported.levels)
    columns = (*levels, NO_MARKER)
    rows = [(name, tuple(table[name].get(column, 0) for column in columns)) for name in levels if name in table]
    return Matrix(columns, tuple((name, counts, sum(counts)) for name, counts in rows))
