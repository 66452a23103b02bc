"""The recipe's metrics. Each is a number over named cases: how many there were, which passed and which failed.

An accuracy (`turkish_accuracy`, `technical_accuracy`) needs the whole form and relevance. The other metrics that
compare with an untuned base (`philosophical_depth`, `personality`, `multi_turn`, …) leave the marker out: the base
cannot know it, so it would lose every comparison.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from jessyfile.evaluation.checks import rule_holds
from jessyfile.evaluation.fields import field_metrics, field_right
from jessyfile.evaluation.plugin_rules import plugin_rule
from jessyfile.evaluation.statistics import percentile, percentile_interval, wilson
from jessyfile.language.metric_table import (
    THINKING,
    is_listed,
    metric_field,
    metric_level,
    metric_suites,
    needs_references,
)
from jessyfile.results.outcome import Unit

if TYPE_CHECKING:
    from jessyfile.evaluation.scores import Score

Rule = Callable[["Score"], bool | None]
CONFIDENCE = 0.95
LATENCY_SHARE = 0.95
_OFTEN = 0.5
_CONTEXT_TAG = "context"


@dataclass(frozen=True, slots=True)
class Measurement:
    """One metric: `value` is a share or seconds, None when nothing was measured; `low` and `high` its interval.

    `outcomes` says for every case whether it passed (shares); `samples` are seconds by case (latency).
    """

    metric: str
    unit: Unit
    value: float | None
    n: int
    low: float | None = None
    high: float | None = None
    outcomes: Mapping[str, bool] = field(default_factory=dict)
    samples: Mapping[str, float] = field(default_factory=dict)

    @property
    def failing(self) -> tuple[str, ...]:
        """Return the cases that did not pass."""
        return tuple(case for case, passed in self.outcomes.items() if not passed)


@dataclass(frozen=True, slots=True)
class ModelScores:
    """One model's scores over all suites, how long its training took (None for the base), how long it takes from a cold
    engine to the first token, and the seconds of its loops by level and case."""

    scores: Sequence[Score]
    training_seconds: float | None = None
    often: tuple[str, ...] = ()
    load_seconds: float | None = None
    loops: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    def measure(self, metric: str, confidence: float = CONFIDENCE) -> Measurement:
        """Return one metric; one of a suite that was not answered, or that answers do not measure, has n 0."""
        if needs_references(metric):
            return Measurement(metric, "share", None, 0)
        if metric in ("training_time", "latency.load"):
            seconds = self.training_seconds if metric == "training_time" else self.load_seconds
            return Measurement(metric, "seconds", seconds, int(seconds is not None))
        level = metric_level(metric)
        if level is not None and metric.startswith(THINKING):
            return _timed(metric, self.loops.get(level, {}), confidence)
        if level is not None:
            return _latency(metric, level, self.scores, confidence)
        return _share(metric, self._outcomes(metric), confidence)

    def _outcomes(self, metric: str) -> dict[str, bool]:
        suite, rule = rule_of(metric)
        scores = [score for score in self.scores if suite is None or score.case.suite == suite]
        judged = ((score, rule(score)) for score in scores)
        outcomes = {score.case.id: passed and score.asked for score, passed in judged if passed is not None}
        return self._often(scores, outcomes) if metric == "personality" else outcomes

    def _often(self, scores: Sequence[Score], outcomes: dict[str, bool]) -> dict[str, bool]:
        """Fail the answers without any OFTEN words when fewer than half of the answers hold one."""
        holding = {score.case.id for score in scores if any(rule_holds(rule, score.answer.text) for rule in self.often)}
        if not self.often or len(holding) >= _OFTEN * len(scores):
            return outcomes
        return {case: passed and case in holding for case, passed in outcomes.items()}


def rule_of(metric: str) -> tuple[str | None, Rule]:
    """Return the suite that a share is taken over (None: all) and what a case must do to pass."""
    suites = metric_suites(metric)
    if is_listed(metric):
        field = metric_field(metric)
        rule = partial(field_right, name=field) if field else _RULES.get(metric) or _PARTS[metric.rpartition(".")[2]]
        return (suites[0] if suites else None), rule
    return None, plugin_rule(metric)


def _share(metric: str, outcomes: Mapping[str, bool], confidence: float) -> Measurement:
    n, passed = len(outcomes), sum(outcomes.values())
    if n == 0:
        return Measurement(metric, "share", None, 0)
    low, high = wilson(passed, n, confidence)
    return Measurement(metric, "share", passed / n, n, low, high, outcomes)


def _latency(metric: str, level: str, scores: Sequence[Score], confidence: float) -> Measurement:
    """Take the 95th percentile over complete answers that were made alone; one that was cut short has no time of its own."""
    own = [score.answer for score in scores if score.case.level == level]
    samples = {answer.id: answer.seconds for answer in own if answer.alone and answer.stopped != "cut"}
    return _timed(metric, samples, confidence)


def _timed(metric: str, samples: Mapping[str, float], confidence: float) -> Measurement:
    if not samples:
        return Measurement(metric, "seconds", None, 0)
    values = list(samples.values())
    low, high = percentile_interval(values, LATENCY_SHARE, confidence)
    return Measurement(metric, "seconds", percentile(values, LATENCY_SHARE), len(values), low, high, {}, samples)


def _accurate(score: Score) -> bool:
    return score.form and score.relevant


def _fitting(score: Score) -> bool:
    return score.shape and score.relevant


def _aware(score: Score) -> bool | None:
    """Whether a fact of an earlier turn was used; where a suite tags such cases, only those count."""
    asks = not score.case.tags or _CONTEXT_TAG in score.case.tags
    return score.relevant if asks and score.case.turns and score.case.relevance else None


_RULES: Mapping[str, Rule] = {
    "turkish_accuracy": _accurate,
    "technical_accuracy": _accurate,
    "philosophical_depth": _fitting,
    "personality": _fitting,
    "iteration_efficiency": lambda score: score.band,
    "multi_turn": _fitting,
    "context_awareness": _aware,
    "emotional_intelligence": _fitting,
    "crisis": _fitting,
    "edge": _accurate,
    "level_accuracy": lambda score: score.level,
    "marker_format": lambda score: score.marker,
    "no_loops": lambda score: score.loop is None,
    "language": lambda score: score.language,
}
_PARTS: Mapping[str, Rule] = {
    "form": lambda score: score.form,
    "relevance": lambda score: score.relevant if score.case.relevance else None,
}


def metrics_of(scores: Sequence[Score], levels: Iterable[str]) -> list[str]:
    """Return every metric that these scores of cases of these levels can give, the named ones first."""
    suites = list(dict.fromkeys(score.case.suite for score in scores))
    named = [metric for metric in _RULES if set(metric_suites(metric)) <= set(suites)]
    latency = [f"latency.{level}" for level in levels]
    return [
        *named,
        *latency,
        "latency.load",
        "training_time",
        *(f"{suite}.{part}" for suite in suites for part in _PARTS),
        *field_metrics(score.case for score in scores),
    ]
