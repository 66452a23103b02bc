"""Hearing: sound to words, by Whisper (faster-whisper on CTranslate2)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from jessyfile import machine
from jessyfile.errors import VoiceError
from jessyfile.voice.extra import library

if TYPE_CHECKING:
    from jessyfile.voice.sound import Sound

AUTO = "auto"
_BEAMS = 5
_MOST_PROMPT = 1000  # letters that say what is spoken of
_LEAD = 0.4  # seconds of silence put around a sound: Whisper mishears speech that begins or ends with it
_SMALL = 200 << 20  # bytes of weights: base has 145 million


@dataclass(frozen=True, slots=True)
class HeardWord:
    """A word with its seconds, and how sure the model is of it, from 0 to 1."""

    text: str
    start: float
    end: float
    sure: float


@dataclass(frozen=True, slots=True)
class HeardPart:
    """A stretch of speech between two pauses: its words, its seconds, and what the model says of them.

    `logprob` is the mean natural-log probability of its tokens, `silent` the probability that nobody spoke, `repeats` how far its text can
    be compressed.
    """

    text: str
    start: float
    end: float
    logprob: float = 0.0
    silent: float = 0.0
    repeats: float = 0.0
    temperature: float = 0.0
    tokens: tuple[int, ...] = ()
    words: tuple[HeardWord, ...] = ()


@dataclass(frozen=True, slots=True)
class HeardSpeech:
    """What was heard. `language` is a code such as `tr`; `sound_seconds` is how long the sound lasts, `seconds` how long hearing it took."""

    text: str
    language: str
    sound_seconds: float
    seconds: float
    parts: tuple[HeardPart, ...] = ()


@dataclass(frozen=True, slots=True)
class HearWishes:
    """How to hear: the language's code (`auto`: whichever it is), words that are likely to come, whether each word's seconds are told,
    and 0 for the likeliest words or more for others.
    """

    language: str = AUTO
    prompt: str = ""
    words: bool = False
    temperature: float = 0.0


class Ears(Protocol):
    """Hears: one sound at a time."""

    @property
    def name(self) -> str:
        """The model's name."""

    def hear(self, sound: Sound, wishes: HearWishes, on_part: Callable[[HeardPart], bool] | None = None) -> HeardSpeech:
        """Return what is said. `on_part` is shown each part as it is understood, and ends the hearing by returning True.

        Raises VoiceError for a language that the model does not know.
        """


class Whisper:
    """Whisper, calculated in 32 bits where it is small and in 8 where it is not. Only one thread may ask it at once."""

    def __init__(self, name: str, folder: Path) -> None:
        """Load a folder of CTranslate2's form. Raises VoiceError for one that holds no such model."""
        self.name = name
        made = library("faster_whisper").WhisperModel
        try:
            self._model = made(
                str(folder),
                device="cpu",
                compute_type=_kind(folder),
                cpu_threads=machine.cores(),
                local_files_only=True,
            )
        except (RuntimeError, ValueError, OSError) as error:
            raise VoiceError(
                f"`{folder}` holds no Whisper model that can be loaded: {str(error)[:200]}",
                hint="give a folder with model.bin, config.json and tokenizer.json, as CTranslate2 writes it",
            ) from error

    def hear(self, sound: Sound, wishes: HearWishes, on_part: Callable[[HeardPart], bool] | None = None) -> HeardSpeech:
        """Return what is said; pauses are cut out before, in which Whisper hears what nobody said."""
        import numpy as np

        started = time.perf_counter()
        if wishes.language not in (AUTO, *self._model.supported_languages):
            known = ", ".join(sorted(self._model.supported_languages)[:12])
            raise VoiceError(
                f"`{self.name}` does not know the language `{wishes.language[:20]}`",
                hint=f"it knows {known}, …; `{AUTO}` lets it find out",
            )
        found, facts = self._model.transcribe(
            np.pad(sound.samples, round(_LEAD * sound.rate)),
            language=None if wishes.language == AUTO else wishes.language,
            beam_size=_BEAMS,
            initial_prompt=wishes.prompt[:_MOST_PROMPT] or None,
            word_timestamps=wishes.words,
            temperature=wishes.temperature or [0.0, 0.2, 0.4],  # hotter where what came of the first repeats itself
            condition_on_previous_text=False,  # one misheard part would mislead those after it
            vad_filter=True,
        )
        parts = []
        for part in _parts(found, sound.seconds):
            parts.append(part)
            if on_part is not None and on_part(part):
                break
        text = " ".join(part.text for part in parts)
        return HeardSpeech(text, facts.language, sound.seconds, time.perf_counter() - started, tuple(parts))


def _kind(folder: Path) -> str:
    """Return how a model's numbers are calculated: 8 bits cost `base` one word in sixteen, 32 a quarter more time."""
    weights = folder / "model.bin"
    return "float32" if weights.is_file() and weights.stat().st_size < _SMALL else "int8"


def _parts(found: Any, seconds: float) -> Iterator[HeardPart]:  # noqa: ANN401 (a library of an extra)
    """Yield the parts with their seconds in the sound as it came, without the silence around it."""

    def at(heard: float) -> float:
        return min(max(0.0, float(heard) - _LEAD), seconds)

    for one in found:
        words = tuple(
            HeardWord(word.word.strip(), at(word.start), at(word.end), float(word.probability))
            for word in one.words or ()
        )
        yield HeardPart(
            one.text.strip(), at(one.start), at(one.end), float(one.avg_logprob), float(one.no_speech_prob),
            float(one.compression_ratio), float(one.temperature or 0.0), tuple(one.tokens), words,
        )  # fmt: skip
