"""What a voice is, whoever speaks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from jessyfile.errors import VoiceError
from jessyfile.voice.sound import Sound

SLOWEST, FASTEST = 0.25, 4.0


class Mouth(Protocol):
    """Speaks: one sentence at a time, in one of its voices."""

    @property
    def name(self) -> str:
        """Its name, as it is asked for."""

    @property
    def voices(self) -> Sequence[str]:
        """The voices that it has; the first is used unless another is wished for. Empty where there is only one, without a name."""

    def say(self, text: str, voice: str | None = None, speed: float = 1.0) -> Sound:
        """Return a sentence as sound; `speed` 2 is twice as fast. Raises VoiceError."""


def voice_of(mouth: Mouth, wished: str | None) -> str | None:
    """Return the voice that is taken for a wished one, None where there is only one. Raises VoiceError for one that is not there."""
    if wished is None:
        return mouth.voices[0] if mouth.voices else None
    if wished not in mouth.voices:
        there = ", ".join(mouth.voices) or "only one voice, without a name"
        raise VoiceError(f"`{mouth.name}` has no voice `{wished[:40]}`", hint=f"it has {there}")
    return wished
