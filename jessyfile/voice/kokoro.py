"""Speaking with Kokoro: 82 million parameters that read phonemes, so that a voice of one language reads another with an accent.

Nobody trained Kokoro on Turkish. espeak-ng's phonemes of Turkish are all among those that it learned from other languages (ɯ from Japanese,
y and ø from French), and of the voices that were tried the Japanese `jm_kumo` is understood best: docs/voice.md has the figures.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jessyfile import machine
from jessyfile.errors import VoiceError
from jessyfile.voice.extra import library
from jessyfile.voice.mouth import voice_of
from jessyfile.voice.sound import Sound

_RATE = 24_000
_MOST = 500  # phonemes of a sentence; the voices know 510
_PREFERRED = ("jm_kumo",)
# what espeak-ng writes and Kokoro calls otherwise
_CALLED = (("tʃ", "ʧ"), ("dʒ", "ʤ"), ("ts", "ʦ"), ("dz", "ʣ"), ("ɫ", "l"), ("ɟ", "ɡ"), ("g", "ɡ"), ("c", "k"))
# of Turkish, espeak-ng writes the ü of a closed syllable as ø and the ö as œ: gün is ɡøn, göl is ɡœl; other vowels there as those of the
# English bit, book, cat and caught; and the long ı that ğ leaves, as in aldığım, as three
_TURKISH = (
    ("ø", "y"), ("œ", "ø"), ("ɪ", "i"), ("ʊ", "u"), ("æ", "ɛ"), ("ɔ", "o"), ("ɯɯɯ", "ɯː"), ("ɯɯ", "ɯː"),
)  # fmt: skip
# Kokoro's Japanese speakers (`j…`) learned no marks of stress, and spoil the vowel behind one
_STRESS, _UNSTRESSED = "ˈˌ", "j"
_SPEAKING = threading.Lock()  # espeak-ng keeps one voice for the whole process


class Kokoro:
    """Kokoro with its voices, reading one language. Only one thread may ask it at once."""

    def __init__(self, name: str, model: Path, voices: Path, vocabulary: Path, language: str) -> None:
        """Load the model.

        Args:
            name: what it is called.
            model: the ONNX file.
            voices: NumPy's archive of the voices.
            vocabulary: the JSON file with the numbers of the phonemes, under `vocab`.
            language: the code of the language that it reads, such as `tr`.

        Raises:
            VoiceError: a file is none of Kokoro's.
        """
        import numpy as np

        runtime = library("onnxruntime")
        options = runtime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = machine.cores(), 1
        # threads that wait by spinning would take their time from the model that writes the next sentence
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            self._session = runtime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
            with np.load(voices, allow_pickle=False) as found:
                self._styles = {key: found[key].astype(np.float32) for key in found.files}
            self._numbers = _vocabulary(vocabulary)
        except Exception as error:  # files of anybody's; onnxruntime's errors have no common class
            raise VoiceError(
                f"`{name}` cannot be loaded: {str(error)[:200]}",
                hint="give a folder with Kokoro's model.onnx, voices.npz and vocab.json",
            ) from error
        self._inputs = [one.name for one in self._session.get_inputs()]
        self.name, self._language, self._phonemes = name, language, _phonemizer(language)
        first = [voice for voice in _PREFERRED if voice in self._styles]
        self.voices: Sequence[str] = (*first, *(voice for voice in self._styles if voice not in first))

    def say(self, text: str, voice: str | None = None, speed: float = 1.0) -> Sound:
        """Return a sentence as sound."""
        import numpy as np

        speaker = voice_of(self, voice) or ""
        readable = self._readable(text, stressed=not speaker.startswith(_UNSTRESSED))
        pieces = [self._piece(numbers, self._styles[speaker], speed) for numbers in readable]
        return Sound(np.concatenate(pieces) if pieces else np.zeros(0, dtype=np.float32), _RATE)

    def _readable(self, text: str, *, stressed: bool) -> Sequence[list[int]]:
        """Return the numbers of a text's phonemes, as many at once as the model reads."""
        with _SPEAKING:
            parts = self._phonemes.phonemize(self._language, text)
        found = []
        for part in parts:
            phonemes = called("".join(part), self._language, stressed=stressed)
            numbers = [self._numbers[one] for one in phonemes if one in self._numbers]
            found += [numbers[at : at + _MOST] for at in range(0, len(numbers), _MOST)]
        return found

    def _piece(self, numbers: list[int], style: Any, speed: float) -> Any:  # noqa: ANN401 (arrays of a library of an extra)
        import numpy as np

        inputs = {
            self._inputs[0]: np.array([[0, *numbers, 0]], dtype=np.int64),
            self._inputs[1]: style[len(numbers)].reshape(1, -1),
            self._inputs[2]: np.array([speed], dtype=np.float32),
        }
        return self._session.run(None, inputs)[0].reshape(-1).astype(np.float32)


def called(phonemes: str, language: str, *, stressed: bool = True) -> str:
    """Return espeak-ng's phonemes of a language as Kokoro calls them, with marks of stress or without."""
    for theirs, ours in (*_CALLED, *(_TURKISH if language == "tr" else ())):
        phonemes = phonemes.replace(theirs, ours)
    if not stressed:
        phonemes = phonemes.translate(dict.fromkeys(map(ord, _STRESS)))
    return re.sub(r"\s+", " ", phonemes).strip()


def _vocabulary(file: Path) -> Mapping[str, int]:
    known = json.loads(file.read_bytes())
    return {str(sign): int(number) for sign, number in known.get("vocab", known).items()}


def _phonemizer(language: str) -> Any:  # noqa: ANN401 (a library of an extra)
    made = library("piper.phonemize_espeak").EspeakPhonemizer()
    try:
        with _SPEAKING:
            made.phonemize(language, "a")
    except RuntimeError as error:
        raise VoiceError(f"no voice reads the language `{language[:20]}`", hint="give its code, such as tr") from error
    return made
