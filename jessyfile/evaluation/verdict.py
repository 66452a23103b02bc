"""The whole verdict of one run: scores, metrics, criteria, and what a reader needs to believe them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from jessyfile.errors import EvaluationError
from jessyfile.evaluation.criteria import Judged, compare_runs, hold, spell
from jessyfile.evaluation.length_baseline import level_by_length
from jessyfile.evaluation.metrics import CONFIDENCE, Measurement, Run, metrics_of
from jessyfile.evaluation.scores import Score, score

if TYPE_CHECKING:
    from jessyfile.evaluation.answers import Answered
    from jessyfile.evaluation.cases import Case
    from jessyfile.language.recipe import Recipe

_NO_MARKER = "none"


@dataclass(frozen=True, slots=True)
class Verdict:
    """Every number of a run, the criteria's verdicts, and both models' scores."""

    criteria: tuple[Judged, ...]
    candidate: Run
    baseline: Run
    metrics: Mapping[str, Measurement]
    before: Mapping[str, Measurement]
    by_length: Measurement

    @property
    def failed(self) -> tuple[str, ...]:
        """Return the MUST criteria that did not pass."""
        return tuple(j.criterion.metric for j in self.criteria if j.criterion.rank == "must" and not j.passed)

    def facts(self) -> dict[str, Any]:
        """Return what the status and the step `promote` need."""
        return {
            "verdict": "fail" if self.failed else "pass",
            "failed": list(self.failed),
            "metrics": {name: _rounded(found.value) for name, found in self.metrics.items() if found.value is not None},
            "criteria": [_line(judged) for judged in self.criteria],
        }

    def to_json(self) -> dict[str, Any]:
        """Return everything that the report shows."""
        return {
            **self.facts(),
            "format": 1,
            "judged": [_judged(judged) for judged in self.criteria],
            "measured": {name: self._measured(name) for name in self.metrics},
            "level_by_prompt_length": self.by_length.to_json(),
            "confusion": confusion(self.candidate.scores),
            "cases": [_case(new, old) for new, old in self._pairs()],
        }

    def _measured(self, name: str) -> dict[str, Any]:
        after, before = self.metrics[name], self.before[name]
        found: dict[str, Any] = {**after.to_json(), "baseline": before.value}
        if after.unit == "share" and before.n:
            found["compared"] = compare_runs(after, before).to_json()
        if after.samples:
            found["samples"] = sorted(after.samples.values())
        return found

    def _pairs(self) -> list[tuple[Score, Score | None]]:
        old = {score.case.id: score for score in self.baseline.scores}
        return [(new, old.get(new.case.id)) for new in self.candidate.scores]


def judge(
    recipe: Recipe,
    cases: Sequence[Case],
    candidate: Mapping[str, Answered],
    baseline: Mapping[str, Answered],
    training_seconds: float | None,
) -> Verdict:
    """Score both models' answers and hold the recipe's criteria against them. Raises EvaluationError."""
    missing = [case.id for case in cases if case.id not in candidate]
    if missing:
        raise EvaluationError(
            f"{len(missing)} cases have no answer, the first is `{missing[0]}`", hint="run `jessy apply` again"
        )
    often = recipe.personality.often
    new = Run(_scores(recipe, cases, candidate), training_seconds, often)
    old = Run(_scores(recipe, cases, baseline), None, often)
    names = dict.fromkeys([*(c.metric for c in recipe.evaluation.criteria), *metrics_of(new.scores, recipe.complexity)])
    judged = (
        hold(c, new.measure(c.metric, c.confidence or CONFIDENCE), old.measure(c.metric, c.confidence or CONFIDENCE))
        for c in recipe.evaluation.criteria
    )
    return Verdict(
        criteria=tuple(judged),
        candidate=new,
        baseline=old,
        metrics={name: new.measure(name) for name in names},
        before={name: old.measure(name) for name in names},
        by_length=level_by_length(cases, recipe.complexity),
    )


def _scores(recipe: Recipe, cases: Sequence[Case], answers: Mapping[str, Answered]) -> list[Score]:
    found = ((case, answers[case.id]) for case in cases if case.id in answers)
    return [score(case, answer, recipe.complexity, recipe.personality) for case, answer in found]


def confusion(scores: Sequence[Score]) -> dict[str, dict[str, int]]:
    """Return how often each level was given each marker: `{wanted: {said: count}}`, `none` for no marker."""
    table: dict[str, dict[str, int]] = {}
    for one in scores:
        if one.marker is not None:
            row, said = table.setdefault(one.case.level, {}), one.answer.level or _NO_MARKER
            row[said] = row.get(said, 0) + 1
    return table


def _line(judged: Judged) -> dict[str, Any]:
    found = judged.measured
    interval = "" if found.low is None else f" [{spell(found.low, found.unit)}, {spell(found.high, found.unit)}]"
    return {
        "claim": judged.claim(),
        "measured": f"{spell(found.value, found.unit)}{interval} n={found.n}",
        "rank": judged.criterion.rank,
        "verdict": "pass" if judged.passed else "fail",
    }


def _judged(judged: Judged) -> dict[str, Any]:
    compared = judged.compared.to_json() if judged.compared is not None else None
    return {
        **_line(judged),
        "metric": judged.criterion.metric,
        "passed": judged.passed,
        "note": judged.note,
        "bound": judged.criterion.value if not isinstance(judged.criterion.value, str) else judged.baseline,
        "baseline": judged.baseline,
        "compared": compared,
        **judged.measured.to_json(),
    }


def _case(new: Score, old: Score | None) -> dict[str, Any]:
    case = new.case
    return {
        "id": case.id,
        "suite": case.suite,
        "level": case.level,
        "language": case.language,
        "turns": [{"role": turn.role, "content": turn.content} for turn in case.turns],
        "prompt": case.prompt,
        "after": _scored(new),
        "before": _scored(old) if old is not None else None,
        "change": _change(new, old),
    }


def _scored(one: Score) -> dict[str, Any]:
    answer = {key: value for key, value in asdict(one.answer).items() if key != "id"}
    return {**answer, "form": one.form, "shape": one.shape, "relevant": one.relevant, "failures": one.failures()}


def _change(new: Score, old: Score | None) -> str:
    """Say whether an answer got better or worse, the marker left aside: shape and relevance together."""
    if old is None:
        return "same"
    after, before = (one.shape + one.relevant for one in (new, old))
    return "better" if after > before else "worse" if after < before else "same"


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
