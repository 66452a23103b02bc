"""Ears that hear what they are told to, and a mouth whose sounds say how long a sentence was."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from jessyfile.voice.ears import HeardPart, HeardSpeech, HearWishes
from jessyfile.voice.sound import Sound


def tone(seconds: float, rate: int = 24_000) -> Sound:
    """Return a tone of 440 Hz."""
    return Sound((np.sin(np.arange(int(seconds * rate)) * 2 * np.pi * 440 / rate) * 0.3).astype(np.float32), rate)


@dataclass
class DoubleEars:
    """Hears `words`, whatever the sound; one part a sentence."""

    words: str = "naber"
    name: str = "double"
    asked: list[tuple[float, HearWishes]] = field(default_factory=list)

    def hear(self, sound: Sound, wishes: HearWishes, on_part: Callable[[HeardPart], bool] | None = None) -> HeardSpeech:
        """Hear."""
        self.asked.append((sound.seconds, wishes))
        parts = []
        for at, text in enumerate(one for one in self.words.split("|") if one):
            parts.append(HeardPart(text, at * 1.5, at * 1.5 + 1.25))
            if on_part is not None and on_part(parts[-1]):
                break
        language = "tr" if wishes.language == "auto" else wishes.language
        return HeardSpeech(" ".join(part.text for part in parts), language, sound.seconds, 0.01, tuple(parts))


@dataclass
class DoubleMouth:
    """Says a sentence in a hundredth of a second a letter; `gate`, where there is one, is waited for before those with `waits_at`."""

    name: str = "double"
    voices: tuple[str, ...] = ("ayla", "can")
    rate: int = 24_000
    said: list[tuple[str, str | None, float]] = field(default_factory=list)
    at: list[float] = field(default_factory=list)
    gate: threading.Event | None = None
    waits_at: str = ""
    fails_at: str = ""

    def say(self, text: str, voice: str | None = None, speed: float = 1.0) -> Sound:
        """Say."""
        if self.gate is not None and self.waits_at in text:
            assert self.gate.wait(10)
        if self.fails_at and self.fails_at in text:
            raise RuntimeError("no breath")
        self.said.append((text, voice, speed))
        self.at.append(time.perf_counter())
        return tone(len(text) / 100 / speed, self.rate)
