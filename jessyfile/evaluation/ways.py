"""The two ways to ask one model, bare and behind the nearest rows, held against each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from jessyfile.evaluation.criteria import Beside, Compared, compare_runs
from jessyfile.evaluation.metrics import Measurement, ModelScores, metrics_of
from jessyfile.results.quality import Estimate

if TYPE_CHECKING:
    from jessyfile.evaluation.scores import Score

Way = Literal["bare", "retrieved"]


@dataclass(frozen=True, slots=True)
class TwoWays:
    """One share asked bare and behind rows, and how the second compares on the same cases."""

    bare: Measurement
    retrieved: Measurement
    compared: Compared


@dataclass(frozen=True, slots=True)
class Witnesses:
    """How often the level is right over `cases`: the one of the marker, and the one that the nearest rows vote for; in `agreeing` cases
    both say the same, and `right` of those are right. Shown, and read by no criterion.
    """

    cases: int
    marker: Estimate
    vote: Estimate
    agreeing: int
    right: int


@dataclass(frozen=True, slots=True)
class Ways:
    """Both ways over all cases. `served` is the way in which DEPLOY's clients ask, by which the criteria are measured; `as_they_stand` of
    `asked` answers were a row's own. `others` are the shares of the models beside the candidate, by their columns, where they were asked in
    the way in which DEPLOY's clients do not.
    """

    served: Way
    shares: Mapping[str, TwoWays]
    as_they_stand: int
    asked: int
    level: Witnesses | None
    others: Mapping[str, Mapping[str, Beside]] = field(default_factory=dict)

    @property
    def other(self) -> Way:
        """The way in which DEPLOY's clients do not ask."""
        return "bare" if self.served == "retrieved" else "retrieved"

    def of_other(self) -> dict[str, float]:
        """Return every share asked the other way."""
        return {name: float(getattr(both, self.other).value) for name, both in self.shares.items()}


def two_ways(served: Way, bare: Sequence[Score], retrieved: Sequence[Score], often: tuple[str, ...]) -> Ways:
    """Return how one model fares asked in two ways.

    Args:
        served: `bare` or `retrieved`.
        bare: the scores of the answers to bare questions.
        retrieved: those of the answers behind rows.
        often: PERSONALITY's OFTEN.

    Returns:
        Every share both ways, and what the rows themselves said.
    """
    without, behind = ModelScores(bare, None, often), ModelScores(retrieved, None, often)
    both = ((without.measure(name), behind.measure(name)) for name in metrics_of(retrieved, ()))
    shares = {
        one.metric: TwoWays(one, other, compare_runs(other, one))
        for one, other in both
        if one.unit == "share" and one.value is not None and other.value is not None
    }
    told = [score.answer.retrieved for score in retrieved if score.answer.retrieved is not None]
    return Ways(served, shares, sum(one.as_it_stands for one in told), len(retrieved), _witnesses(retrieved))


def _witnesses(scores: Sequence[Score]) -> Witnesses | None:
    """Return both witnesses over the answers in which a model was asked and rows voted."""
    said = [
        (score.case.level, score.answer.level, told.vote.level)
        for score in scores
        if (told := score.answer.retrieved) is not None
        and told.vote is not None
        and not told.as_it_stands
        and score.level is not None
    ]
    if not said:
        return None
    agreeing = [(wanted, vote) for wanted, marker, vote in said if marker == vote]
    return Witnesses(
        cases=len(said),
        marker=Estimate.of_share(sum(wanted == marker for wanted, marker, _ in said), len(said)),
        vote=Estimate.of_share(sum(wanted == vote for wanted, _, vote in said), len(said)),
        agreeing=len(agreeing),
        right=sum(wanted == vote for wanted, vote in agreeing),
    )
