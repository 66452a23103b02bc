"""Four numbers that say whether a model prefers good answers to bad ones: for each kind of bad answers, the share of a case's pairs
of a good and a bad one in which the model finds the good one likelier, averaged over the cases. 0.5 is chance.

An answer's own likelihood, which is taken off, is what the same model says of it without a question: so only what the question
brings counts, and a model that finds every sentence of the persona likely knows nothing by that. For `voice`, which is heard without a
question too, it is what the base says of it, for both models: by the tuned model's own, all that it learned would cancel out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING

from jessyfile.evaluation.answer_likelihood import GOOD, CaseLikelihood
from jessyfile.evaluation.statistics import auc, mean_interval, wilson
from jessyfile.results.quality import Contrast, ContrastName, Contrasts, Estimate

if TYPE_CHECKING:
    from jessyfile.evaluation.served_likelihood import ServedCase

# what a metric holds the good answers against
KINDS: Mapping[ContrastName, str] = {"knows": "wrong", "fits": "off", "voice": "voice", "kind": "cold"}
# metrics by which an answer's own likelihood is the base's for both models
SPOKEN: frozenset[ContrastName] = frozenset({"voice"})


@dataclass(frozen=True, slots=True)
class CaseWorth:
    """What a model makes of a case's answers: their worths by kind."""

    case: str
    kinds: Mapping[str, Sequence[float]]

    def share(self, kind: str) -> float | None:
        """Return the share of pairs that the good answer wins against those of a kind; None where there are none."""
        bad = self.kinds.get(kind)
        return auc(self.kinds[GOOD], bad) if bad else None


def worths(model: Sequence[CaseLikelihood], own: Sequence[CaseLikelihood]) -> list[CaseWorth]:
    """Return what a model makes of the cases that both have read, where `own` tells the answers' own likelihood."""
    bare, found = {one.case: one for one in own}, []
    for one in model:
        if one.case not in bare:
            continue
        kinds: dict[str, list[float]] = {}
        for answer, alone in zip(one.answers, bare[one.case].answers, strict=True):
            kinds.setdefault(answer.kind, []).append(answer.asked.mean - alone.alone.mean)
        found.append(CaseWorth(one.case, kinds))
    return found


def contrasts(
    before: Sequence[CaseLikelihood],
    after: Sequence[CaseLikelihood],
    served: Sequence[ServedCase],
    note: str = "",
    start: Sequence[CaseLikelihood] = (),
) -> Contrasts:
    """Return what is known of every metric that some case can be measured by.

    Args:
        before: what the base says of the answers, with their question and without.
        after: what the candidate says of the same.
        served: what the served file says of some of the cases.
        note: what a reader must know besides.
        start: what the model that training starts from says, where that is not the base.

    Returns:
        The metrics in the order of `KINDS`.
    """
    said = " ".join(filter(None, [note, _agreement(served)]))
    old = worths(before, before)
    new, started = (
        {metric: worths(one, before if metric in SPOKEN else one) for metric in KINDS} for one in (after, start)
    )
    found = (_contrast(metric, old, new[metric], served, started[metric]) for metric in KINDS)
    return Contrasts(tuple(one for one in found if one is not None), said)


def _contrast(
    metric: ContrastName,
    before: Sequence[CaseWorth],
    after: Sequence[CaseWorth],
    served: Sequence[ServedCase],
    start: Sequence[CaseWorth],
) -> Contrast | None:
    kind = KINDS[metric]
    old, new, started = (
        {one.case: share for one in side if (share := one.share(kind)) is not None} for side in (before, after, start)
    )
    new = {case: share for case, share in new.items() if case in old}
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
        start=_mean([started[case] for case in new]) if started else None,
        gain=_mean([share - started[case] for case, share in new.items()]) if started else None,
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
