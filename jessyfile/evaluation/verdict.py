"""The whole verdict of one run: criteria, metrics, and every case's scores. `verdict.json` is this value, written here
and read here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from jessyfile.errors import EvaluationError
from jessyfile.evaluation.criteria import (
    Beside,
    Compared,
    Judged,
    compare_runs,
    contrast_measurement,
    hold,
    hold_contrast,
)
from jessyfile.evaluation.fields import FieldTable, field_tables
from jessyfile.evaluation.length_baseline import level_by_length
from jessyfile.evaluation.metrics import CONFIDENCE, Measurement, ModelScores, metrics_of
from jessyfile.evaluation.scores import Score, gained, score
from jessyfile.evaluation.stock import stock_answers
from jessyfile.evaluation.ways import Ways
from jessyfile.fsops import write_text
from jessyfile.language.metric_table import needs_references
from jessyfile.planning.canonical import readable
from jessyfile.results.facts import JudgeFacts, Opinion
from jessyfile.results.typed_json import load_as

if TYPE_CHECKING:
    from jessyfile.evaluation.answers import Answered
    from jessyfile.evaluation.cases import Case
    from jessyfile.language.recipe import Criterion, Recipe
    from jessyfile.results.quality import Contrast, Contrasts

VERDICT = "verdict.json"
NO_MARKER = "none"
Change = Literal["better", "worse", "same"]
Column = Literal["base", "start", "previous", "candidate"]
"""Whose figures stand side by side: the untouched base, the model that training started from, the one promoted before, the new one."""
BETWEEN: tuple[Column, ...] = ("start", "previous")


@dataclass(frozen=True, slots=True)
class Took:
    """Seconds that are no answer's: the training, from a cold engine to the first token for the candidate and for the base, and the
    candidate's loops by level and case."""

    training: float | None = None
    load: float | None = None
    base_load: float | None = None
    loops: Mapping[str, Mapping[str, float]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric of the candidate, the base's value, and for a share how the two compare on the same cases; likewise the other models by
    their columns."""

    after: Measurement
    before: float | None
    compared: Compared | None = None
    others: Mapping[str, Beside] = field(default_factory=dict)

    def of(self, column: Column) -> float | None:
        """Return a column's value; None where it has none."""
        if column in ("base", "candidate"):
            return self.before if column == "base" else self.after.value
        return self.others[column].value if column in self.others else None

    def against(self, column: Column) -> Compared | None:
        """Return how the candidate compares with a column; None where it does not."""
        if column == "base":
            return self.compared
        return self.others[column].compared if column in self.others else None


@dataclass(frozen=True, slots=True)
class ScoredCase:
    """One case's scores: the candidate's, the base's where it was asked, and those of the other models by their columns."""

    after: Score
    before: Score | None
    others: Mapping[str, Score] = field(default_factory=dict)

    def of(self, column: Column) -> Score | None:
        """Return a column's score; None where it was not asked."""
        return {"base": self.before, "candidate": self.after}.get(column, self.others.get(column))

    @property
    def begun(self) -> Score | None:
        """What the candidate is held beside first: the model that training started from, the base where there is none."""
        return self.others.get("start", self.before)

    @property
    def change(self) -> Change:
        """Whether the answer got better or worse than what training began from, the marker left aside: shape and relevance together."""
        if self.begun is None:
            return "same"
        change = gained(self.after, self.begun)
        return "better" if change > 0 else "worse" if change < 0 else "same"


@dataclass(frozen=True, slots=True)
class Verdict:
    """Every number of a run, the criteria's outcomes, and both models' scores."""

    criteria: tuple[Judged, ...]
    metrics: Mapping[str, Metric]
    level_by_prompt_length: Measurement
    cases: tuple[ScoredCase, ...]
    opinion: Opinion | None = None
    ways: Ways | None = None
    format: Literal[2] = 2

    @property
    def columns(self) -> tuple[Column, ...]:
        """The models that stand side by side, from the first to the last."""
        return tuple(column for column in get_args(Column) if any(case.of(column) is not None for case in self.cases))

    @property
    def failed(self) -> tuple[str, ...]:
        """The MUST criteria that did not pass."""
        return self.facts().failed

    def facts(self) -> JudgeFacts:
        """Return what the status, the lock file and the step `promote` need."""
        values = {name: metric.after.value for name, metric in self.metrics.items()}
        measured = {name: round(value, 4) for name, value in values.items() if value is not None}
        said = self.opinion
        incomplete = said.problem if said is not None and said.incomplete else ""
        outcomes = tuple(judged.outcome for judged in self.criteria)
        found = JudgeFacts(outcomes, measured, said, incomplete, beside=self._beside())
        if self.ways is None:
            return found
        other = {name: round(value, 4) for name, value in self.ways.of_other().items()}
        return replace(found, other_way=self.ways.other, other=other)

    def _beside(self) -> dict[str, dict[str, float]]:
        """Return the values of the columns before the candidate's."""
        beside = [column for column in self.columns if column != "candidate"]
        return {
            column: {
                name: round(value, 4) for name, one in self.metrics.items() if (value := one.of(column)) is not None
            }
            for column in beside
        }

    def confusion(self) -> dict[str, dict[str, int]]:
        """Return how often each level was given each marker: `{wanted: {said: count}}`, `none` for no marker."""
        table: dict[str, dict[str, int]] = {}
        for one in (case.after for case in self.cases):
            if one.asked and one.marker is not None:
                row, said = table.setdefault(one.case.level, {}), one.answer.level or NO_MARKER
                row[said] = row.get(said, 0) + 1
        return table

    def fields(self) -> list[FieldTable]:
        """Return what the candidate said in place of each value of every field that cases ask for."""
        return field_tables([case.after for case in self.cases])


def write_verdict(folder: Path, verdict: Verdict) -> None:
    """Write `verdict.json` into a folder."""
    write_text(folder / VERDICT, readable(verdict))


def read_verdict(folder: Path) -> Verdict:
    """Return what `write_verdict` wrote. Raises StateError when it is damaged or of another format."""
    return load_as(Verdict, folder / VERDICT)


def judge(
    recipe: Recipe,
    cases: Sequence[Case],
    candidate: Mapping[str, Answered],
    baseline: Mapping[str, Answered],
    took: Took,
    contrasts: Contrasts | None = None,
    start: Mapping[str, Answered] | None = None,
    previous: Mapping[str, Answered] | None = None,
) -> Verdict:
    """Score the models' answers and compare the results with the recipe's criteria.

    Args:
        recipe: its levels, PERSONALITY and criteria are used.
        cases: every case that was to be answered.
        candidate: the candidate's answers by case.
        baseline: the base model's answers by case.
        took: what training and loading took, as far as it is known.
        contrasts: what was measured by reference answers; None for nothing.
        start: the answers of the model that training started from; None or empty where that is the base.
        previous: those of the model promoted before; empty where there was none, None where no criterion asks.

    Returns:
        Every number, the outcome of each criterion, and the models' scores.

    Raises:
        EvaluationError: a case has no answer of the candidate.
    """
    missing = [case.id for case in cases if case.id not in candidate]
    if missing:
        raise EvaluationError(
            f"{len(missing)} cases have no answer, the first is `{missing[0]}`", hint="run `jessy apply` again"
        )
    often = recipe.personality.often
    after, before, started, promoted = (
        score_all(recipe, cases, answers) for answers in (candidate, baseline, start or {}, previous or {})
    )
    new = ModelScores(tuple(after.values()), took.training, often, took.load, took.loops)
    old = ModelScores(tuple(before.values()), None, often, took.base_load)
    others: dict[Column, dict[str, Score]] = {"start": started, "previous": promoted}
    models: dict[str, ModelScores] = {"baseline": old}
    models |= {name: ModelScores(tuple(scores.values()), None, often) for name, scores in others.items() if scores}
    wanted = recipe.evaluation.criteria
    figures: dict[str, Contrast] = {one.metric: one for one in contrasts.figures} if contrasts else {}
    asked = [c.metric for c in wanted if not needs_references(c.metric)]
    names = dict.fromkeys([*asked, *metrics_of(new.scores, [level.name for level in recipe.complexity.levels])])
    found = Verdict(
        criteria=tuple(
            hold_contrast(c, figures.get(c.metric)) if needs_references(c.metric) else hold(c, *_sides(c, new, models))
            for c in wanted
        ),
        metrics={
            **{name: _metric(new.measure(name), old.measure(name)) for name in names},
            **{name: _of_contrast(one) for name, one in figures.items()},
        },
        level_by_prompt_length=level_by_length(cases, recipe.complexity),
        cases=tuple(ScoredCase(one, before.get(name)) for name, one in after.items()),
    )
    for name, scores in others.items():
        found = with_column(found, name, scores, often) if scores else found
    return found


def _sides(
    criterion: Criterion, new: ModelScores, models: Mapping[str, ModelScores]
) -> tuple[Measurement, dict[str, Measurement]]:
    """Return what a criterion's metric is of the candidate, and of the models that it may be held against."""
    metric, at = criterion.metric, criterion.confidence or CONFIDENCE
    return new.measure(metric, at), {name: one.measure(metric, at) for name, one in models.items()}


def with_column(verdict: Verdict, column: Column, scores: Mapping[str, Score], often: tuple[str, ...]) -> Verdict:
    """Return a verdict with another model beside the candidate, over the cases that both were asked and checked alike.

    Args:
        verdict: what is known of the candidate.
        column: what the other model is to it.
        scores: the other model's, by case.
        often: PERSONALITY's OFTEN.

    Returns:
        The verdict with its figures of every metric and case.
    """
    pairs = ((case.after, scores.get(case.after.case.id)) for case in verdict.cases)
    alike = {one.case.id: other for one, other in pairs if other is not None and other.case == one.case}
    new = ModelScores([case.after for case in verdict.cases if case.after.case.id in alike], None, often)
    figures = beside_all(new, ModelScores([*alike.values()], None, often), verdict.metrics)
    metrics = {
        name: replace(one, others={**one.others, column: figures[name]}) if name in figures else one
        for name, one in verdict.metrics.items()
    }
    cases = (
        replace(case, others={**case.others, column: alike[case.after.case.id]})
        if case.after.case.id in alike
        else case
        for case in verdict.cases
    )
    return replace(verdict, metrics=metrics, cases=tuple(cases))


def beside_all(new: ModelScores, old: ModelScores, names: Iterable[str]) -> dict[str, Beside]:
    """Return of every metric that another model has its value, and for a share how the candidate compares."""
    pairs = ((new.measure(name), old.measure(name)) for name in names)
    return {
        other.metric: Beside(other.value, compare_runs(one, other) if other.unit == "share" else None)
        for one, other in pairs
        if other.value is not None
    }


def score_all(recipe: Recipe, cases: Sequence[Case], answers: Mapping[str, Answered]) -> dict[str, Score]:
    """Return the score of every case that has an answer, by the recipe's levels and PERSONALITY; what was said to many
    different questions is relevant to none."""
    found = {
        case.id: score(case, answers[case.id], recipe.complexity, recipe.personality)
        for case in cases
        if case.id in answers
    }
    told = [case for case in cases if not case.plain]  # one JSON, or a label, is the right answer to many questions
    stock = stock_answers(told, {name: one.answer.text for name, one in found.items()})
    return {name: one.called_stock() if name in stock else one for name, one in found.items()}


def _of_contrast(found: Contrast) -> Metric:
    others = {"start": Beside(found.start.value)} if found.start else {}
    return Metric(contrast_measurement(found), found.before.value if found.before else None, others=others)


def _metric(after: Measurement, before: Measurement) -> Metric:
    compared = compare_runs(after, before) if after.unit == "share" and before.n else None
    return Metric(after, before.value, compared)
