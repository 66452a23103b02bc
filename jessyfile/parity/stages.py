"""A stage's figures, held against the limits of its type."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from jessyfile.parity.faults import Mismatch, Stage
from jessyfile.parity.limits import limit_of
from jessyfile.parity.measures import distance, survival
from jessyfile.results.facts import StageFacts

if TYPE_CHECKING:
    from jessyfile.parity.passages import Passage
    from jessyfile.parity.readings import Answers, Whole

_OVERDONE = 1.25
_HINTS = {
    "merged": "merge again; if it persists, the adapter is of a kind that the merge does not know",
    "gguf": "the conversion of this base is wrong: report it with the base's name",
    "quantized": "choose q8_0 or f16 for `quantize`, or give it an imatrix",
    "served": "the engine does not read the file as it was written: update it, and report it with the base's name",
}


@dataclass(frozen=True, slots=True)
class Trained:
    """What every stage is compared with: the passages, and what the base and the trained model say of them. Without a tune
    to look for (`base` is None), no survival is told.
    """

    passages: Sequence[Passage]
    model: Whole
    base: Whole | None = None

    def facts(self, stage: Stage, kind: str, answers: Answers, weights: float | None = None) -> StageFacts:
        """Return the figures of a stage.

        Args:
            stage: which one.
            kind: the type that its weights are stored in.
            answers: what it says at the passages' places.
            weights: how much of the adapter's change is in its numbers, where that is known.

        Returns:
            The figures, rounded to what they are worth.
        """
        apart = distance(self.model, answers)
        left = None if self.base is None else survival(self.base, self.model, answers, self.passages)
        return StageFacts(
            stage=stage,
            type=kind,
            positions=apart.positions,
            agreement=round(apart.agreement, 4),
            divergence=float(f"{apart.divergence:.3g}"),
            largest=float(f"{apart.largest:.3g}"),
            survival=None if left is None else round(left.share, 4),
            low=None if left is None else round(left.low, 4),
            high=None if left is None else round(left.high, 4),
            noise=None if left is None else round(left.noise, 4),
            gain=None if left is None or left.gain is None else round(left.gain, 4),
            weights=None if weights is None else round(weights, 4),
        )


def stage_faults(facts: StageFacts, stage: Stage) -> Iterator[Mismatch]:
    """Yield what of a stage's figures its type does not explain."""
    limit, hint = limit_of(facts.type), _HINTS[stage]
    where = f"the {stage} model ({facts.type})"
    if facts.divergence > limit.divergence:
        message = f"{where} does not answer as the trained one: {facts.divergence:.2g} nats apart on average"
        yield Mismatch("divergence", stage, f"{message} (limit {limit.divergence:g})", hint)
    elif facts.agreement < limit.agreement - 1.5 / facts.positions:
        message = f"{where} does not answer as the trained one: {facts.agreement:.0%} of next tokens agree"
        yield Mismatch("agreement", stage, f"{message} (limit {limit.agreement:.0%})", hint)
    if facts.weights is not None and facts.weights < limit.survival / 2:
        message = f"{where} has lost the tune: {facts.weights:.0%} of the adapter's change is in its numbers"
        yield Mismatch("survival", stage, message, hint)
    elif facts.survival is not None and facts.low is not None and facts.high is not None and not drowned(facts):
        if facts.high < limit.survival:
            message = f"{where} has lost the tune: {facts.survival:.0%} of what was learned is left"
            yield Mismatch("survival", stage, f"{message} (limit {limit.survival:.0%})", hint)
        elif facts.low > _OVERDONE:
            message = f"{where} overdoes the tune: {facts.survival:.0%} of what was learned"
            yield Mismatch("overdone", stage, message, hint)


def drowned(facts: StageFacts) -> bool:
    """Return whether the tune is smaller than what the type's rounding changes: then the answers do not tell whether it is
    there, and its numbers in the file must.
    """
    return facts.noise is not None and facts.noise > 1
