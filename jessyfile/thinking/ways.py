"""The two ways to think: each draft made of the last one, or all made independently and one of them chosen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from jessyfile.dataset.refinement import refinement_turns
from jessyfile.thinking.drafts import agree, last_good, middle, sound

if TYPE_CHECKING:
    from jessyfile.engines.engine import GenerationSettings
    from jessyfile.language.recipe import Message
    from jessyfile.thinking.thought import AnswerDraft, Way

_LEAST_TEMPERATURE = 0.7  # greedy samples would all be the same


class Iterating(Protocol):
    """How the iterations after the first are asked for, and which draft is the answer."""

    def at_once(self, parallel: int) -> int:
        """Return how many iterations are asked at once of an engine with so many slots."""

    def turns(self, question: Sequence[Message], drafts: Sequence[AnswerDraft]) -> list[Message]:
        """Return what the next iteration is asked."""

    def settings(self, usual: GenerationSettings, number: int) -> GenerationSettings:
        """Return how iteration `number` (from 1) samples."""

    def agreed(self, drafts: Sequence[AnswerDraft]) -> bool:
        """Return whether further drafts would say the same again."""

    def choose(self, drafts: Sequence[AnswerDraft]) -> int:
        """Return the place of the draft that is the answer."""


@dataclass(frozen=True, slots=True)
class Refine:
    """Each iteration sees the question and the last draft, and writes a better one."""

    def at_once(self, parallel: int) -> int:  # noqa: ARG002 (the protocol's signature)
        """One: each needs the one before."""
        return 1

    def turns(self, question: Sequence[Message], drafts: Sequence[AnswerDraft]) -> list[Message]:
        """Return the question, the last draft that is worth something as the model wrote it, and what asks for a better one."""
        usable = [one for one in drafts if sound(one)] or [one for one in drafts if one.text]
        return refinement_turns(question, usable[-1].reply.text.strip()) if usable else list(question)

    def settings(self, usual: GenerationSettings, number: int) -> GenerationSettings:
        """Return the usual ones, with a seed of the iteration's own."""
        return replace(usual, seed=usual.seed + number - 1)

    def agreed(self, drafts: Sequence[AnswerDraft]) -> bool:
        """Return whether the last draft says what the one before it said."""
        return len(drafts) > 1 and agree(drafts[-2], drafts[-1])

    def choose(self, drafts: Sequence[AnswerDraft]) -> int:
        """Return the last good one."""
        return last_good(drafts)


@dataclass(frozen=True, slots=True)
class Sample:
    """Each iteration sees the question alone; the draft is taken that the others are nearest to."""

    def at_once(self, parallel: int) -> int:
        """As many as the engine has slots."""
        return parallel

    def turns(self, question: Sequence[Message], drafts: Sequence[AnswerDraft]) -> list[Message]:  # noqa: ARG002 (the protocol's signature)
        """Return the question."""
        return list(question)

    def settings(self, usual: GenerationSettings, number: int) -> GenerationSettings:
        """Return settings under which drafts differ."""
        return replace(
            usual,
            seed=usual.seed + number - 1,
            temperature=max(usual.temperature, _LEAST_TEMPERATURE) if number > 1 else usual.temperature,
        )

    def agreed(self, drafts: Sequence[AnswerDraft]) -> bool:
        """Return whether any two drafts say the same."""
        return any(agree(one, two) for at, one in enumerate(drafts) for two in drafts[:at])

    def choose(self, drafts: Sequence[AnswerDraft]) -> int:
        """Return the one in the middle."""
        return middle(drafts)


def way_of(name: Way) -> Iterating:
    """Return a way by its name."""
    return Refine() if name == "refine" else Sample()
