"""Whether a model answers worse now than when it was judged: each score against the lock file's, by an exact test.

Where the project still holds the verdict that the lock tells of, the same cases are compared (McNemar); else only the two counts are
(Fisher's exact test, one-sided). Many scores are looked at, so the chances are corrected by Holm's method. Seconds have fallen behind
where their intervals do not touch.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from jessyfile.errors import DamagedError, StateError
from jessyfile.evaluation.criteria import CHANCE, compare_runs
from jessyfile.evaluation.metrics import Measurement
from jessyfile.evaluation.verdict import Verdict, read_verdict
from jessyfile.language.metric_table import known_metric
from jessyfile.planning.state import load_state
from jessyfile.planning.store import Store
from jessyfile.results.outcome import chance, spell

if TYPE_CHECKING:
    from jessyfile.evaluation.ask_model import ModelEvaluation
    from jessyfile.planning.lockfile import Lock, LockedScore

Counted = tuple[int, int]  # how many passed, of how many


@dataclass(frozen=True, slots=True)
class ScoreChange:
    """One score now and in the lock. `p` is the corrected chance that nothing fell, None where nothing can be said; `paired` says
    that the same cases were compared."""

    metric: str
    now: Measurement
    then: LockedScore
    p: float | None
    paired: bool = False

    @property
    def fell(self) -> bool:
        """Whether it is worse beyond chance."""
        if self.then.unit == "share":
            return self.p is not None and self.p < CHANCE
        low, high = self.now.low, self.then.high
        return low is not None and high is not None and low > high

    @property
    def said(self) -> str:
        """The change in words: `71.8% -> 40% (n = 78, 78), p = 0.002`."""
        unit = self.then.unit
        values = f"{spell(self.then.value, unit)} -> {spell(self.now.value, unit)} (n = {self.then.n}, {self.now.n})"
        how = " on the same cases" if self.paired else ""
        return values if self.p is None else f"{values}, p {chance(self.p)}{how}"


def score_changes(now: ModelEvaluation, lock: Lock, verdict: Verdict | None = None) -> list[ScoreChange]:
    """Return each of the lock's scores that was measured now, beside what it is now.

    `verdict` is the one that the lock tells of, where it is still there.
    """
    # a lock may be older than a plugin that has gone, or a level that has another name
    asked = [then for then in lock.scores if known_metric(then.metric) and then.metric != "training_time"]
    found = [_change(now, then, verdict) for then in asked]
    measured = [change for change in found if change.now.value is not None and change.then.value is not None]
    corrected = iter(holm([change.p for change in measured if change.p is not None]))
    return [change if change.p is None else replace(change, p=next(corrected)) for change in measured]


def _change(now: ModelEvaluation, then: LockedScore, verdict: Verdict | None) -> ScoreChange:
    measured = now.measured.measure(then.metric)
    if then.unit == "seconds" or measured.value is None or then.value is None:
        return ScoreChange(then.metric, measured, then, None)
    metric = verdict.metrics.get(then.metric) if verdict is not None else None
    if verdict is not None and metric is not None and metric.after.outcomes:
        before = replace(metric.after, outcomes=_same_cases(metric.after.outcomes, now, verdict))
        compared = compare_runs(measured, before)
        p = compared.p if len(compared.worse) > len(compared.better) else 1.0
        return ScoreChange(then.metric, measured, then, p, paired=True)
    passed, passed_then = round(measured.value * measured.n), round(then.value * then.n)
    p = fewer_by_chance((passed, measured.n), (passed_then, then.n))
    return ScoreChange(then.metric, measured, then, p)


def _same_cases(outcomes: Mapping[str, bool], now: ModelEvaluation, verdict: Verdict) -> dict[str, bool]:
    """Return the outcomes of those cases that are asked and checked now as they were then."""
    then = {one.after.case.id: one.after.case for one in verdict.cases}
    asked = {name for name, one in now.by_case.items() if then.get(name) == one.case}
    return {case: passed for case, passed in outcomes.items() if case in asked}


def fewer_by_chance(now: Counted, then: Counted) -> float:
    """Return the chance of so few passed, or fewer, if nothing has changed (Fisher 1935, one-sided)."""
    (passed, n), (passed_then, n_then) = now, then
    total, good = n + n_then, passed + passed_then
    ways = sum(math.comb(good, k) * math.comb(total - good, n - k) for k in range(max(0, n - total + good), passed + 1))
    return ways / math.comb(total, n)


def holm(chances: Sequence[float]) -> list[float]:
    """Return chances corrected for how many they are, in their order (Holm 1979)."""
    order = sorted(range(len(chances)), key=chances.__getitem__)
    corrected, worst = [0.0] * len(chances), 0.0
    for rank, number in enumerate(order):
        worst = max(worst, min(1.0, chances[number] * (len(chances) - rank)))
        corrected[number] = worst
    return corrected


def locked_verdict(root: Path, name: str, lock: Lock) -> Verdict | None:
    """Return the stored verdict that a lock file tells of; None when it is gone, or the lock is of another one."""
    action = load_state(root, name).steps.get("judge")
    if action is None:
        return None
    try:
        verdict = read_verdict(Store(root).verified(action.object))
    except (DamagedError, StateError, FileNotFoundError):
        return None
    said = {judged.outcome.claim: judged.outcome.measured for judged in verdict.criteria}
    return verdict if said == {score.claim: score.measured for score in lock.scores} else None
