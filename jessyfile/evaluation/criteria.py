"""Compare a measurement with a criterion, and say when there are too few cases to prove a claim."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from jessyfile.evaluation.metrics import CONFIDENCE, Measurement
from jessyfile.evaluation.statistics import cases_to_prove, mcnemar, mean_interval
from jessyfile.language.metric_table import needs_references
from jessyfile.results.outcome import Outcome

if TYPE_CHECKING:
    from jessyfile.language.recipe import Criterion
    from jessyfile.results.quality import Contrast

_COMPARE: Mapping[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "=": operator.eq,
}
CHANCE = 0.05


@dataclass(frozen=True, slots=True)
class Compared:
    """A candidate and the base on the same cases: what got better and what got worse.

    `p` is McNemar's exact two-sided p-value; `low` and `high` bound the mean difference (paired bootstrap).
    """

    better: tuple[str, ...]
    worse: tuple[str, ...]
    p: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Beside:
    """One metric of another model than base and candidate, and for a share how the candidate compares with it on the same cases."""

    value: float | None
    compared: Compared | None = None


@dataclass(frozen=True, slots=True)
class Judged:
    """One criterion's outcome, the cases that did not pass, and where it names another model how both compare."""

    outcome: Outcome
    failing: tuple[str, ...] = ()
    compared: Compared | None = None


_CALLED: Mapping[str, str] = {
    "baseline": "the base model",
    "start": "the model that training started from",
    "previous": "the model promoted before",
}


def hold(criterion: Criterion, measured: Measurement, models: Mapping[str, Measurement]) -> Judged:
    """Return the verdict on one criterion; what was not measured has not passed.

    `models` are what the models measure that it may be held against, by the words of the recipe.
    """
    if measured.value is None:
        return _judged(criterion, measured, passed=False, note="nothing was measured: its suite was not answered")
    if isinstance(criterion.value, str):
        return _against_model(criterion, measured, models.get(criterion.value))
    return _against_value(criterion, measured, measured.value, criterion.value)


def _judged(
    criterion: Criterion,
    measured: Measurement,
    passed: bool,
    note: str = "",
    other: float | None = None,
    compared: Compared | None = None,
) -> Judged:
    outcome = Outcome(
        criterion=criterion,
        unit=measured.unit,
        value=measured.value,
        n=measured.n,
        low=measured.low,
        high=measured.high,
        passed=passed,
        baseline=other,
        note=note,
    )
    return Judged(outcome, measured.failing, compared)


def _against_value(criterion: Criterion, measured: Measurement, value: float, bound: float) -> Judged:
    """Hold the observed value, or with `at 95%` the near end of its interval, against the bound."""
    near = measured.low if criterion.comparison in (">", ">=") else measured.high
    used = value if criterion.confidence is None or near is None else near
    return _judged(criterion, measured, _COMPARE[criterion.comparison](used, bound), _thin(criterion, measured, bound))


def _thin(criterion: Criterion, measured: Measurement, bound: float) -> str:
    """Say when not even a perfect result of so many cases would prove a share."""
    if measured.unit != "share" or criterion.comparison not in (">", ">=") or needs_references(measured.metric):
        return ""
    needed = cases_to_prove(bound, criterion.confidence or CONFIDENCE)
    if measured.n >= needed:
        return ""
    at = criterion.confidence or CONFIDENCE
    return f"{measured.n} cases cannot prove it at {at:.0%}; it takes {needed} without a failure"


def _against_model(criterion: Criterion, measured: Measurement, other: Measurement | None) -> Judged:
    """Compare with another model on the same cases; `> baseline` is a claim, so luck must be unlikely (McNemar) as well. The first model
    of a name has nothing to fall behind."""
    if other is None and criterion.value == "previous":
        return _judged(criterion, measured, passed=True, note="nothing was promoted before")
    if other is None or other.value is None or measured.value is None:
        return _not_measured(criterion, measured)
    passed = _COMPARE[criterion.comparison](measured.value, other.value)
    if measured.unit == "seconds":
        return _judged(criterion, measured, passed, other=other.value)
    compared = compare_runs(measured, other)
    lucky = criterion.comparison in (">", "<") and passed and compared.p >= CHANCE
    note = (
        "" if measured.value or other.value else "neither model passes a single case, so the comparison means nothing"
    )
    if lucky:
        note = f"the difference may be chance: {len(compared.better)} better, {len(compared.worse)} worse"
    return _judged(criterion, measured, passed and not lucky, note, other.value, compared)


def _not_measured(criterion: Criterion, measured: Measurement) -> Judged:
    note = f"{_CALLED[str(criterion.value)]} was not measured on it"
    return _judged(criterion, measured, passed=False, note=note)


def hold_contrast(criterion: Criterion, found: Contrast | None) -> Judged:
    """Return the verdict on a criterion about reference answers; `> baseline` is a claim, so the paired interval must exclude 0."""
    if found is None:
        note = "nothing was measured: no case that was answered has reference answers of that kind"
        return _judged(criterion, Measurement(criterion.metric, "share", None, 0), passed=False, note=note)
    measured = contrast_measurement(found)
    if not isinstance(criterion.value, str):
        return _against_value(criterion, measured, found.after.value, criterion.value)
    other, change = (found.before, found.change) if criterion.value == "baseline" else (found.start, found.gain)
    if other is None or change is None:
        return _not_measured(criterion, measured)
    passed = _COMPARE[criterion.comparison](found.after.value, other.value)
    lucky = criterion.comparison in (">", "<") and passed and change.low <= 0 <= change.high
    ends = " to ".join(f"{100 * end:+.1f}" for end in (change.low, change.high))
    note = f"the difference may be chance: {ends} points" if lucky else ""
    return _judged(criterion, measured, passed and not lucky, note, other.value)


def contrast_measurement(found: Contrast) -> Measurement:
    """Return the candidate's share of pairs as a metric's measurement."""
    after = found.after
    return Measurement(found.metric, "share", after.value, found.cases, after.low, after.high)


def compare_runs(measured: Measurement, baseline: Measurement) -> Compared:
    """Compare two models on the cases that both answered."""
    shared = [case for case in measured.outcomes if case in baseline.outcomes]
    pairs = [(case, measured.outcomes[case], baseline.outcomes[case]) for case in shared]
    better = tuple(case for case, new, old in pairs if new and not old)
    worse = tuple(case for case, new, old in pairs if old and not new)
    low, high = mean_interval([float(new) - float(old) for _, new, old in pairs], CONFIDENCE)
    return Compared(better, worse, mcnemar(len(better), len(worse)), low, high)
