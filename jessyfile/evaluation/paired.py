"""Two models on the same cases: every share with its interval, what got better and what got worse, and whether that is chance."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from jessyfile.errors import DamagedError, EvaluationError, ProjectError, StateError
from jessyfile.evaluation.ask_model import ModelEvaluation
from jessyfile.evaluation.criteria import Compared, compare_runs
from jessyfile.evaluation.metrics import Measurement, metrics_of
from jessyfile.evaluation.scores import Score, gained
from jessyfile.evaluation.verdict import read_verdict
from jessyfile.planning.runs import all_runs
from jessyfile.planning.store import Store
from jessyfile.results.facts import AnswersFacts, PromoteFacts
from jessyfile.results.typed_json import read_as

if TYPE_CHECKING:
    from pathlib import Path

    from jessyfile.planning.runs import RecordedStep, Run


@dataclass(frozen=True, slots=True)
class MetricPair:
    """One metric of two models over the same cases; `compared` is None for seconds."""

    metric: str
    first: Measurement
    second: Measurement
    compared: Compared | None

    @property
    def change(self) -> float:
        """By how much the second differs; the worst falls sort first."""
        first, second = self.first.value or 0.0, self.second.value or 0.0
        return second - first if self.compared is not None else first - second


@dataclass(frozen=True, slots=True)
class CasePair:
    """One case's scores by two models."""

    first: Score
    second: Score

    @property
    def change(self) -> int:
        """How many of shape and relevance the second gained; the worst cases sort first."""
        return gained(self.second, self.first)


@dataclass(frozen=True, slots=True)
class PairedComparison:
    """Two models on the cases that both were asked and checked alike: metrics and cases with the worst change first.

    `left_out` counts the cases that only one of them answered, or that were asked or checked otherwise.
    """

    first: ModelEvaluation
    second: ModelEvaluation
    metrics: tuple[MetricPair, ...]
    cases: tuple[CasePair, ...]
    left_out: int


def compare_models(first: ModelEvaluation, second: ModelEvaluation) -> PairedComparison:
    """Compare two models on the cases that they share. Raises EvaluationError when they share none."""
    one, two = first.by_case, second.by_case
    shared = [case for case in one if case in two and one[case].case == two[case].case]
    if not shared:
        raise EvaluationError(
            f"{first.name} and {second.name} share no case that was asked and checked alike",
            hint="`--ask` asks both now",
        )
    cases = sorted((CasePair(one[case], two[case]) for case in shared), key=lambda pair: pair.change)
    metrics = sorted(_metrics(first, second, shared), key=lambda pair: (pair.compared is None, pair.change))
    return PairedComparison(first, second, tuple(metrics), tuple(cases), len(one.keys() | two.keys()) - len(shared))


def _metrics(first: ModelEvaluation, second: ModelEvaluation, shared: list[str]) -> Iterator[MetricPair]:
    one, two = first.of(shared), second.of(shared)
    levels = dict.fromkeys(score.case.level for score in one.scores)
    for metric in metrics_of(one.scores, levels):
        old, new = one.measure(metric), two.measure(metric)
        if old.value is not None and new.value is not None:
            yield MetricPair(metric, old, new, compare_runs(new, old) if new.unit == "share" else None)


def run_evaluation(root: Path, run: Run) -> ModelEvaluation:
    """Return what a run's candidate was found to be. Raises ProjectError when the run judged nothing, or its verdict is gone."""
    record = run.result()
    steps = {step.name: step for step in record.steps} if record is not None else {}
    if "judge" not in steps or "evaluate" not in steps:
        raise ProjectError(f"run {run.number} has scored no model", hint="`jessy history` says what each run did")
    return _stored(root, steps["judge"], steps["evaluate"], f"run {run.number}")


def stored_evaluation(root: Path, name: str, digest: str, label: str) -> ModelEvaluation | None:
    """Return what a model was last found to be in a run here; None when no run has judged it.

    Args:
        root: the project's root folder.
        name: the recipe's name.
        digest: that of the model's file.
        label: what to call it.

    Raises:
        ProjectError: a run has judged it, but the verdict is gone.
    """
    for run in reversed(all_runs(root)):
        record = run.result()
        steps = {step.name: step for step in record.steps} if record is not None and record.name == name else {}
        if "judge" in steps and "evaluate" in steps and _facts(steps["evaluate"]).digest == digest:
            return _stored(root, steps["judge"], steps["evaluate"], label)
    return None


def promoted_before(root: Path, name: str, run: int, digest: str) -> ModelEvaluation | None:
    """Return what the model was found to be that was promoted under a name when a run began; None when there was none, it is the run's own,
    or its verdict is gone.

    Args:
        root: the project's root folder.
        name: the recipe's name.
        run: the run's number.
        digest: that of the run's own model.
    """
    for one in reversed(all_runs(root)):
        record = one.result() if one.number < run else None
        steps = {step.name: step for step in record.steps} if record is not None and record.name == name else {}
        if {"promote", "judge", "evaluate"} <= steps.keys() and _promoted(steps["promote"]):
            same = _facts(steps["evaluate"]).digest == digest
            with contextlib.suppress(ProjectError):
                return None if same else _stored(root, steps["judge"], steps["evaluate"], f"run {one.number}")
            return None
    return None


def _promoted(step: RecordedStep) -> bool:
    return read_as(PromoteFacts, step.facts, f"the record of `{step.name}`").promoted


def _facts(step: RecordedStep) -> AnswersFacts:
    return read_as(AnswersFacts, step.facts, f"the record of `{step.name}`")


def _stored(root: Path, judge: RecordedStep, evaluate: RecordedStep, label: str) -> ModelEvaluation:
    try:
        verdict = read_verdict(Store(root).verified(judge.object))
    except (DamagedError, FileNotFoundError, StateError) as error:
        raise ProjectError(f"the verdict of {label} is gone or of another format", hint="apply again") from error
    facts, often = _facts(evaluate), judge.parameters.get("personality.often", ())
    scores = tuple(one.after for one in verdict.cases)
    words = tuple(str(word) for word in often) if isinstance(often, list | tuple) else ()
    return ModelEvaluation(label, facts.digest, facts.engine, scores, words, facts.cold_seconds)
