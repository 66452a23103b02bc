"""Speaking with a voice of Piper: a file `….onnx` with `….onnx.json` beside it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from jessyfile.errors import VoiceError
from jessyfile.voice.extra import library
from jessyfile.voice.mouth import voice_of
from jessyfile.voice.sound import Sound


class Piper:
    """One of Piper's voices. Only one thread may ask it at once."""

    def __init__(self, file: Path) -> None:
        """Load the voice. Raises VoiceError for files that are none."""
        self.name = str(file)
        self._library = library("piper")
        try:
            self._voice = self._library.PiperVoice.load(file)
        except Exception as error:  # a file of anybody's; onnxruntime's errors have no common class
            raise VoiceError(
                f"`{file}` is no voice of Piper that can be loaded: {str(error)[:200]}",
                hint=f"its settings must lie beside it, as {file.name}.json",
            ) from error
        self._numbers = dict(self._voice.config.speaker_id_map or {})
        self.voices: Sequence[str] = tuple(self._numbers)

    def say(self, text: str, voice: str | None = None, speed: float = 1.0) -> Sound:
        """Return a sentence as sound."""
        import numpy as np

        taken = voice_of(self, voice)
        usual = self._voice.config.length_scale or 1.0
        settings = self._library.SynthesisConfig(
            speaker_id=None if taken is None else self._numbers[taken], length_scale=usual / speed
        )
        pieces = [chunk.audio_float_array for chunk in self._voice.synthesize(text, syn_config=settings)]
        samples = np.concatenate(pieces) if pieces else np.zeros(0, dtype=np.float32)
        return Sound(samples.astype(np.float32), self._voice.config.sample_rate)


def is_piper(file: Path) -> bool:
    """Return whether a file has Piper's settings beside it."""
    try:
        return "phoneme_id_map" in json.loads(Path(f"{file}.json").read_bytes())
    except (OSError, ValueError):
        return False
