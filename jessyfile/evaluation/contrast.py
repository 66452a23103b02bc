"""Four numbers that say whether a model prefers good answers to bad ones: for each kind of bad answers, the share of a case's pairs
of a good and a bad one in which the model finds the good one likelier, averaged over the cases. 0.5 is chance.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING

from jessyfile.errors import EvaluationError
from jessyfile.evaluation.answer_likelihood import GOOD, CaseLikelihood
from jessyfile.evaluation.statistics import auc, mean_interval, wilson
from jessyfile.results.quality import Contrast, ContrastName, Contrasts, Estimate

if TYPE_CHECKING:
    from jessyfile.evaluation.served_likelihood import ServedCase

# what a metric holds the good answers against
KINDS: Mapping[ContrastName, str] = {"knows": "wrong", "fits": "off", "voice": "voice", "kind": "cold"}


@dataclass(frozen=True, slots=True)
class CaseWorth:
    """What a model makes of a case's answers: their worths by kind."""

    case: str
    kinds: Mapping[str, Sequence[float]]

    def share(self, kind: str) -> float | None:
        """Return the share of pairs that the good answer wins against those of a kind; None where there are none."""
        bad = self.kinds.get(kind)
        return auc(self.kinds[GOOD], bad) if bad else None


def worths(model: Sequence[CaseLikelihood], base: Sequence[CaseLikelihood]) -> list[CaseWorth]:
    """Return what a model makes of answers whose own likelihood the base tells. Raises EvaluationError where it does not."""
    own, found = {one.case: one for one in base}, []
    for one in model:
        kinds: dict[str, list[float]] = {}
        for answer, bare in zip(one.answers, own[one.case].answers if one.case in own else (), strict=False):
            if bare.alone is not None:
                kinds.setdefault(answer.kind, []).append(answer.asked.mean - bare.alone.mean)
        if sum(map(len, kinds.values())) != len(one.answers):
            raise EvaluationError(
                f"the base was not read on the answers to `{one.case}`",
                hint="run `jessy apply --replace likelihood.base`",
            )
        found.append(CaseWorth(one.case, kinds))
    return found


def contrasts(
    before: Sequence[CaseLikelihood], after: Sequence[CaseLikelihood], served: Sequence[ServedCase], note: str = ""
) -> Contrasts:
    """Return what is known of every metric that some case can be measured by.

    Args:
        before: what the base says of the answers, with their question and without.
        after: what the candidate says of the same.
        served: what the served file says of some of the cases.
        note: what a reader must know besides.

    Returns:
        The metrics in the order of `KINDS`.
    """
    said = " ".join(filter(None, [note, _agreement(served)]))
    old, new = worths(before, before), worths(after, before)
    found = (_contrast(metric, old, new, served) for metric in KINDS)
    return Contrasts(tuple(one for one in found if one is not None), said)


def _contrast(
    metric: ContrastName, before: Sequence[CaseWorth], after: Sequence[CaseWorth], served: Sequence[ServedCase]
) -> Contrast | None:
    kind = KINDS[metric]
    old, new = ({one.case: share for one in side if (share := one.share(kind)) is not None} for side in (before, after))
    if not new:
        return None
    told = [won for one in served for own, won, _ in one.pairs if own == kind]
    return Contrast(
        metric=metric,
        cases=len(new),
        pairs=sum(len(one.kinds[GOOD]) * len(one.kinds.get(kind, ())) for one in after),
        after=_mean(list(new.values())),
        before=_mean([old[case] for case in new]),
        change=_mean([share - old[case] for case, share in new.items()]),
        served=_mean(told) if told else None,
        served_cases=len(told),
    )


def _mean(values: Sequence[float]) -> Estimate:
    """Return a mean over cases with its bootstrap interval."""
    low, high = mean_interval(values)
    return Estimate(round(fmean(values), 4), round(low, 4), round(high, 4))


def _agreement(served: Sequence[ServedCase]) -> str:
    """Say in how many pairs the served file and the trained model prefer the same answer."""
    pairs = [(won, expected) for one in served for _, won, expected in one.pairs]
    if not pairs:
        return ""
    same = sum(won == expected for won, expected in pairs)
    low, high = wilson(same, len(pairs))
    share = f"{same / len(pairs):.0%} of {len(pairs)} pairs ({low:.0%} to {high:.0%})"
    return (
        f"Asked for single tokens of {len(served)} cases, the served file prefers the same answer as the trained model "
        f"in {share}."
    )
