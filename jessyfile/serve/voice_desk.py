"""What hears and what speaks for a server: loaded when first asked, one thing at a time each, for a bounded number who wait."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Generic, TypeVar

from jessyfile.errors import JessyError, VoiceError
from jessyfile.serve.faults import RefusedError, bad_request

if TYPE_CHECKING:
    from jessyfile.voice.ears import Ears, HeardPart, HeardSpeech, HearWishes
    from jessyfile.voice.mouth import Mouth
    from jessyfile.voice.sound import Sound

T = TypeVar("T")
R = TypeVar("R")
_RETRY = 5  # seconds


class _Line(Generic[T]):
    """One thread with what it works with, which is made when it is first needed; `bound` may wait beyond the one that is served."""

    def __init__(self, make: Callable[[], T], bound: int) -> None:
        self._make, self._bound, self._held = make, bound, []  # type: tuple[Callable[[], T], int, list[T]]
        self._thread = ThreadPoolExecutor(max_workers=1)
        self._waiting = 0

    def made(self) -> T:
        """Return what the thread works with; called in that thread, or before the first."""
        if not self._held:
            self._held.append(self._make())
        return self._held[0]

    async def do(self, work: Callable[[T], R]) -> R:
        """Return what `work` makes of it, in the thread. Raises RefusedError where too many wait, or what was needed is not there."""
        if self._waiting > self._bound:
            raise RefusedError(429, f"{self._waiting} wait already; ask again later", "queue_full", retry=_RETRY)
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, lambda: work(self._ready()))
        finally:
            self._waiting -= 1

    def _ready(self) -> T:
        try:
            return self.made()
        except JessyError as error:
            # no fault of the server's that a second try would mend, so no client should try again by itself
            said = f"{error.message}{f': {error.hint}' if error.hint else ''}"
            raise RefusedError(404, said, "voice_not_installed", close=True) from error

    def close(self) -> None:
        """Let the thread go once it has done what it does."""
        self._thread.shutdown(wait=False, cancel_futures=True)


class VoiceDesk:
    """Ears and a mouth. `language` is what is spoken where a client says nothing."""

    def __init__(self, ears: Callable[[], Ears], mouth: Callable[[], Mouth], bound: int, language: str) -> None:
        """Take what makes them; nothing is loaded yet.

        Args:
            ears: makes what hears; raises JessyError.
            mouth: makes what speaks; raises JessyError.
            bound: how many may wait for each.
            language: a language's code.
        """
        self.language = language
        self._ears, self._mouth = _Line(ears, bound), _Line(mouth, bound)
        self._cut = False

    def load(self, *, ears: bool, mouth: bool) -> None:
        """Load before anybody asks. Raises JessyError."""
        if ears:
            self._ears.made()
        if mouth:
            self._mouth.made()

    async def ears_name(self) -> str:
        """Return what the model that hears is called. Raises RefusedError where the extra or the model is missing."""
        return await self._ears.do(lambda ears: ears.name)

    async def hear(self, data: bytes, wishes: HearWishes, on_part: Callable[[HeardPart], bool]) -> HeardSpeech:
        """Return what is said in a file's bytes; `on_part` is called in another thread, and ends the hearing by returning True.

        Raises RefusedError: it is no sound, or the language is not known.
        """

        def heard(ears: Ears) -> HeardSpeech:
            from jessyfile.voice.sound import decoded

            return ears.hear(decoded(data), wishes, lambda part: self._cut or on_part(part))

        try:
            found = await self._ears.do(heard)
        except VoiceError as error:
            raise bad_request(f"{error.message}{f'; {error.hint}' if error.hint else ''}", "invalid_audio") from error
        self._check()
        return found

    async def mouth_name(self) -> tuple[str, tuple[str, ...]]:
        """Return what the voice is called, and who its speakers are. Raises RefusedError where the extra or the voice is missing."""
        return await self._mouth.do(lambda mouth: (mouth.name, tuple(mouth.voices)))

    async def say(self, text: str, speaker: str | None, speed: float) -> Sound:
        """Return a sentence as sound. Raises RefusedError where the voice fails."""
        self._check()
        try:
            return await self._mouth.do(lambda mouth: mouth.say(text, speaker, speed))
        except VoiceError as error:
            raise RefusedError(500, f"the voice could not speak: {error.message}", error.code) from error

    def _check(self) -> None:
        if self._cut:
            raise RefusedError(503, "the server is stopping", "stopping", close=True)

    def cut(self) -> None:
        """End what is heard at its next pause, and what is spoken at its next sentence."""
        self._cut = True

    def close(self) -> None:
        """Take no more work."""
        self.cut()
        self._ears.close()
        self._mouth.close()


def usual_voice(ears: str = "whisper-base", voice: str = "kokoro", language: str = "tr", bound: int = 32) -> VoiceDesk:
    """Return the desk of the models with these names, none of which is fetched from elsewhere.

    Args:
        ears: what hears, as `jessy voice` names it.
        voice: what speaks.
        language: the code of the language that is spoken.
        bound: how many may wait for each.

    Returns:
        The desk; nothing is loaded yet.
    """
    loading = threading.Lock()  # both load libraries that are not made to be loaded by two threads

    def made_ears() -> Ears:
        from jessyfile.voice.extra import library
        from jessyfile.voice.found import ears_of

        library("python_multipart")  # a recording comes in a form
        with loading:
            return ears_of(ears, fetch=False)

    def made_mouth() -> Mouth:
        from jessyfile.voice.found import mouth_of

        with loading:
            return mouth_of(voice, language)

    return VoiceDesk(made_ears, made_mouth, bound, language)
