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

if TYPE_CHECKING:
    from jessyfile.evaluation.cases import Case
    from jessyfile.evaluation.references import References

CASES = 50


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
class _Worth:
    """An answer's worth at its kept places, by the served file and by the trained model."""

    served: float
    trained: float


@dataclass(frozen=True, slots=True)
class ServedReader:
    """Asks a served file about answers; `base` and `tuned` are what both models said of each case."""

    teller: TokenTeller
    layout: AnswerLayout
    base: Mapping[str, CaseLikelihood]
    tuned: Mapping[str, CaseLikelihood]

    def read(self, case: Case, references: References) -> ServedCase:
        """Hold a case's first good answer against its first bad one of each kind."""
        kinds = [(kind, number, answer) for number, (kind, answer) in enumerate(texts(references))]
        first = {kind: (number, answer) for kind, number, answer in reversed(kinds)}
        found = {kind: self._worth(case, answer, number) for kind, (number, answer) in first.items()}
        good = found.pop(GOOD)
        pairs = ((kind, good, bad) for kind, bad in found.items() if good is not None and bad is not None)
        return ServedCase(
            case.id,
            tuple((kind, _won(one.served, bad.served), _won(one.trained, bad.trained)) for kind, one, bad in pairs),
        )

    def _worth(self, case: Case, answer: str, number: int) -> _Worth | None:
        """Return an answer's worth over those places that the file tells of."""
        trained, bare = self.tuned[case.id].answers[number].asked, self.base[case.id].answers[number].alone
        if bare is None:
            return None
        told = zip(self._told(case, answer), trained.places, bare.places, strict=True)
        known = [(one - own, other - own) for one, other, own in told if one is not None]
        return _Worth(*(fmean(side) for side in zip(*known, strict=True))) if known else None

    def _told(self, case: Case, answer: str) -> list[float | None]:
        split = self.layout.asked(case, [answer])
        tokens, counted = split.row(0)
        ids, own = [*split.prefix.tolist(), *tokens.tolist()], counted.nonzero()[0] + len(split.prefix)
        return [self.teller.token_logprob(ids[:at], ids[at]) for at in own[places(len(own))].tolist()]


def _won(good: float, bad: float) -> float:
    return (good > bad) + (good == bad) / 2
