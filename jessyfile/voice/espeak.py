"""Speaking with the program espeak-ng: no model, a hundred languages, and the sound of a machine."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Sequence

from jessyfile.errors import VoiceError
from jessyfile.voice.sound import Sound

PROGRAM = "espeak-ng"
_WORDS_A_MINUTE, _SLOWEST, _FASTEST = 150, 80, 450  # what the program takes
_SECONDS = 60.0
_HEAD, _RATE = 44, slice(24, 28)
_LANGUAGE, _VARIANT = re.compile(r"[a-z]{2,3}(-[a-z0-9]+)*"), re.compile(r"[A-Za-z0-9]{1,20}")


class Espeak:
    """espeak-ng in one language. Its voices are the program's own variants, such as `f3` and `m2`."""

    def __init__(self, language: str) -> None:
        """Find the program. Raises VoiceError where it is missing."""
        found = shutil.which(PROGRAM)
        if found is None:
            raise VoiceError(
                f"the program {PROGRAM} is not installed", hint=f"apt install {PROGRAM}, or brew install {PROGRAM}"
            )
        if not _LANGUAGE.fullmatch(language):
            raise VoiceError(f"`{language[:40]}` is no language of {PROGRAM}", hint=f"{PROGRAM} --voices lists them")
        self._program, self._language = found, language
        self.name = PROGRAM
        self.voices: Sequence[str] = ()

    def say(self, text: str, voice: str | None = None, speed: float = 1.0) -> Sound:
        """Return a sentence as sound."""
        import numpy as np

        if voice is not None and not _VARIANT.fullmatch(voice):
            raise VoiceError(
                f"`{voice[:40]}` is no variant of {PROGRAM}", hint=f"{PROGRAM} --voices=variant lists them"
            )
        spoken = f"{self._language}+{voice}" if voice else self._language
        pace = max(_SLOWEST, min(_FASTEST, round(_WORDS_A_MINUTE * speed)))
        words = [self._program, "-v", spoken, "-s", str(pace), "--stdout", "--stdin"]
        try:
            done = subprocess.run(words, input=text.encode(), capture_output=True, timeout=_SECONDS, check=True)
        except (OSError, subprocess.SubprocessError) as error:
            said = (getattr(error, "stderr", None) or b"").decode("utf-8", "replace").strip()
            raise VoiceError(
                f"{PROGRAM} failed: {said[:200] or error}", hint=f"{PROGRAM} --voices lists them"
            ) from error
        if len(done.stdout) <= _HEAD:
            raise VoiceError(f"{PROGRAM} said nothing", hint=f"try {PROGRAM} by hand")
        samples = np.frombuffer(done.stdout[_HEAD : len(done.stdout) // 2 * 2], dtype="<i2")
        return Sound(samples.astype(np.float32) / np.float32(32768), int.from_bytes(done.stdout[_RATE], "little"))
