"""Speaking an answer while it is written: a thread takes each sentence as soon as it is whole, so that sound begins with the first."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from jessyfile.voice.mouth import Mouth
from jessyfile.voice.sentences import Sentences
from jessyfile.voice.sound import Sound, silence

_PAUSE = 0.25  # seconds between two sentences


@dataclass(slots=True)
class Spoken:
    """What was spoken. `first` is the clock's time of the first sound, None where nothing was said; `seconds` is how long speaking worked,
    `sound_seconds` how long the sound lasts.
    """

    first: float | None = None
    seconds: float = 0.0
    sound_seconds: float = 0.0
    sentences: int = 0


@dataclass(slots=True)
class Speaking:
    """Speaks a text that grows. `take` gets each sentence's sound, in the thread that speaks."""

    mouth: Mouth
    take: Callable[[Sound], None]
    voice: str | None = None
    speed: float = 1.0
    spoken: Spoken = field(default_factory=Spoken)
    _sentences: Sentences = field(default_factory=Sentences)
    _line: queue.SimpleQueue[str | None] = field(default_factory=queue.SimpleQueue)
    _thread: threading.Thread | None = None
    _failed: BaseException | None = None

    def feed(self, text: str) -> None:
        """Take the text so far."""
        self._put(self._sentences.feed(text))

    def finish(self, text: str) -> Spoken:
        """Take the whole text, and return when all of it is spoken. Raises what speaking raised."""
        self._put(self._sentences.finish(text))
        self.close()
        if self._failed is not None:
            raise self._failed
        return self.spoken

    def close(self) -> None:
        """Speak what was taken, and end the thread; calling it twice is harmless."""
        if self._thread is not None:
            self._line.put(None)
            self._thread.join()
            self._thread = None

    def _put(self, sentences: list[str]) -> None:
        if sentences and self._thread is None:
            self._thread = threading.Thread(target=self._work, daemon=True)
            self._thread.start()
        for one in sentences:
            self._line.put(one)

    def _work(self) -> None:
        while (sentence := self._line.get()) is not None:
            if self._failed is not None:
                continue  # nobody hears the rest
            try:
                self._say(sentence)
            except BaseException as error:  # noqa: BLE001 (raised again where it is waited for)
                self._failed = error

    def _say(self, sentence: str) -> None:
        began = time.perf_counter()
        for sound in spoken_sentence(self.mouth, sentence, self.voice, self.speed, first=not self.spoken.sentences):
            self.take(sound)
            self.spoken.sound_seconds += sound.seconds
        now = time.perf_counter()
        self.spoken.seconds += now - began
        self.spoken.sentences += 1
        if self.spoken.first is None:
            self.spoken.first = now


def spoken_sentence(mouth: Mouth, sentence: str, voice: str | None, speed: float, *, first: bool) -> Iterator[Sound]:
    """Yield a sentence's sound, behind a pause unless it is the first.

    Args:
        mouth: what speaks.
        sentence: what is said.
        voice: whose voice of the mouth's.
        speed: how fast.
        first: whether nothing was said before.

    Returns:
        The pieces of sound.
    """
    sound = mouth.say(sentence, voice, speed)
    if not first:
        yield silence(_PAUSE / speed, sound.rate)
    yield sound
