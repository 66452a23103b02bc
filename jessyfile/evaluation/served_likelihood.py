"""The same contrasts by the file that is served: llama.cpp is asked for single tokens of a few answers.

It tells one token's probability a call, so of each case one good answer is held against one bad answer of each kind, at the places
whose log-probabilities were kept of the trained model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING, Protocol

from jessyfile.evaluation.answer_likelihood import GOOD, AnswerLayout, CaseLikelihood, places, texts
from jessyfile.evaluation.contrast import KINDS, SPOKEN

if TYPE_CHECKING:
    from jessyfile.evaluation.cases import Case
    from jessyfile.evaluation.references import References

CASES = 50
_SPOKEN = {KINDS[metric] for metric in SPOKEN}


class TokenTeller(Protocol):
    """Tells how probable a token is after others."""

    def token_logprob(self, prompt: Sequence[int], token: int) -> float | None:
        """Return the log-probability in nats; None for a token that cannot be told of."""


@dataclass(frozen=True, slots=True)
class ServedCase:
    """One case's pairs: the kind of the bad answer, whether the good one won by the served file (1, 0, or 0.5 for a tie), and
    whether it did by the trained model, both at the same tokens.
    """

    case: str
    pairs: tuple[tuple[str, float, float], ...]


@dataclass(frozen=True, slots=True)
class _Told:
    """An answer at its kept places: what the served file and the trained model say behind the question, and its own likelihood by
    the trained model and by the base.
    """

    served: Sequence[float | None]
    trained: Sequence[float]
    own: Sequence[float]
    base: Sequence[float]

    def worths(self, kind: str) -> tuple[float, float] | None:
        """Return the answer's worth against a kind of bad answers by the file and by the model; None where the file tells nothing."""
        own = self.base if kind in _SPOKEN else self.own
        places = zip(self.served, self.trained, own, strict=True)
        known = [(served - bare, trained - bare) for served, trained, bare in places if served is not None]
        return (fmean(one for one, _ in known), fmean(other for _, other in known)) if known else None


@dataclass(frozen=True, slots=True)
class ServedReader:
    """Asks a served file about answers; `base` and `tuned` are what both models said of each case."""

    teller: TokenTeller
    layout: AnswerLayout
    base: Mapping[str, CaseLikelihood]
    tuned: Mapping[str, CaseLikelihood]

    def read(self, case: Case, references: References) -> ServedCase:
        """Hold a case's first good answer against its first bad one of each kind."""
        first: dict[str, _Told] = {}
        for number, (kind, answer) in enumerate(texts(references)):
            if kind not in first:
                first[kind] = self._told(case, answer, number)
        good, pairs = first.pop(GOOD), []
        for kind, bad in first.items():
            one, other = good.worths(kind), bad.worths(kind)
            if one is not None and other is not None:
                pairs.append((kind, _won(one[0], other[0]), _won(one[1], other[1])))
        return ServedCase(case.id, tuple(pairs))

    def _told(self, case: Case, answer: str, number: int) -> _Told:
        split = self.layout.asked(case, [answer])
        tokens, counted = split.row(0)
        ids, own = [*split.prefix.tolist(), *tokens.tolist()], counted.nonzero()[0] + len(split.prefix)
        served = [self.teller.token_logprob(ids[:at], ids[at]) for at in own[places(len(own))].tolist()]
        tuned, base = (side[case.id].answers[number] for side in (self.tuned, self.base))
        return _Told(served, tuned.asked.places, tuned.alone.places, base.alone.places)


def _won(good: float, bad: float) -> float:
    return (good > bad) + (good == bad) / 2
