"""What Whisper is given, and what becomes of its seconds; the library is doubled."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from voice_fakes import tone

from jessyfile.voice import ears
from jessyfile.voice.ears import HearWishes, Whisper


class _Model:
    """Hears one word, from the first sample that is not silent to the last."""

    supported_languages = ("tr",)

    def __init__(self, folder: str, *, compute_type: str, **rest: Any) -> None:
        self.kind = compute_type

    def transcribe(self, samples: Any, **wishes: Any) -> tuple[Any, Any]:
        loud = np.flatnonzero(samples) / 16_000
        word = SimpleNamespace(word=" naber", start=loud[0], end=loud[-1], probability=0.9)
        part = SimpleNamespace(
            text=" naber ", start=0.0, end=len(samples) / 16_000, words=[word], avg_logprob=-0.1, no_speech_prob=0.0,
            compression_ratio=1.0, temperature=0.0, tokens=[1],
        )  # fmt: skip
        return iter([part]), SimpleNamespace(language="tr")


@pytest.fixture(autouse=True)
def _doubled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ears, "library", lambda name: SimpleNamespace(WhisperModel=_Model))


def test_silence_stands_around_what_is_heard_and_its_seconds_are_those_of_the_sound(tmp_path: Path) -> None:
    """Of speech that began with the file's first sample the first sound was misheard, and of one that ended with it the last."""
    sound = tone(1.0, 16_000)
    given: list[Any] = []
    whisper = Whisper("double", tmp_path)
    plain = whisper._model.transcribe

    def transcribe(samples: Any, **wishes: Any) -> Any:
        given.append(samples)
        return plain(samples, **wishes)

    whisper._model.transcribe = transcribe
    heard = whisper.hear(sound, HearWishes("tr", words=True))
    assert len(given[0]) == 16_000 + 2 * 6_400
    assert not given[0][:6_400].any() and not given[0][-6_400:].any()
    (part,) = heard.parts
    assert (part.text, part.start, part.end, heard.sound_seconds) == ("naber", 0.0, 1.0, 1.0)
    assert part.words[0].start == pytest.approx(0.0, abs=0.01) and part.words[0].end == pytest.approx(1.0, abs=0.01)


def test_a_small_model_is_calculated_in_32_bits_and_a_large_one_in_8(tmp_path: Path) -> None:
    """In 8 bits the smallest models understand less."""
    for name, size in (("base", 145 << 20), ("small", 480 << 20)):
        (tmp_path / name).mkdir()
        with open(tmp_path / name / "model.bin", "wb") as handle:
            handle.truncate(size)  # a file of holes
    kinds = [Whisper(name, tmp_path / name)._model.kind for name in ("base", "small")]
    assert kinds == ["float32", "int8"]
