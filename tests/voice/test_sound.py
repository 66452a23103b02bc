"""Sound files: read from anybody, written as every form that is named."""

from __future__ import annotations

import io
import wave

import pytest

pytest.importorskip("av")

from voice_fakes import tone

from jessyfile.errors import VoiceError
from jessyfile.voice.sound import FORMS, MADE_BY, SoundWriter, decoded, encoded, form_of, is_ours, kind_of


@pytest.mark.parametrize("name", [name for name in FORMS if name != "pcm"])
@pytest.mark.parametrize("rate", [16_000, 22_050, 24_000])
def test_what_is_written_is_read_back(name: str, rate: int) -> None:
    data = encoded([tone(0.5, rate), tone(0.5, rate)], FORMS[name])
    assert abs(decoded(data).seconds - 1.0) < 0.1
    assert decoded(data).rate == 16_000
    assert is_ours(data) == (name != "aac")


@pytest.mark.parametrize("name", FORMS)
def test_a_stream_sends_each_sentence_before_the_next_is_made(name: str) -> None:
    writer = SoundWriter(FORMS[name])
    first = writer.add(tone(1.5))
    assert len(first) > 1000
    data = first + writer.add(tone(0.5)) + writer.end()
    if name == "pcm":
        assert len(data) == 2 * 2 * 24_000
    else:
        assert abs(decoded(data).seconds - 2.0) < 0.1


def test_a_whole_wav_says_how_long_it_is_and_who_spoke() -> None:
    data = encoded([tone(0.25)], FORMS["wav"])
    with wave.open(io.BytesIO(data)) as found:
        assert (found.getnframes(), found.getframerate(), found.getnchannels()) == (6000, 24_000, 1)
    assert MADE_BY.encode() in data


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"RIFF",
        b"RIFF\x24\x00\x00\x00WAVEfmt ",
        b"#EXTM3U\nfile:///etc/passwd\n",  # a playlist names other files
        b"ffconcat version 1.0\nfile /etc/passwd\n",
        b"OggS" + bytes(200),
        b"\xff\xfb" + bytes(200),
        "düz metin".encode(),
    ],
)
def test_what_is_no_sound_is_one_sentence(data: bytes) -> None:
    with pytest.raises(VoiceError):
        decoded(data)


def test_a_playlist_is_never_opened() -> None:
    """FFmpeg would open what it names: files of this machine, and other machines' addresses."""
    assert kind_of(b"#EXTM3U\n") is None and kind_of(b"ffconcat version 1.0\n") is None


def test_a_small_file_that_lasts_long_is_refused() -> None:
    """An hour of silence is a few kilobytes of FLAC, and gigabytes once it is unpacked."""
    data = encoded([tone(3.0)], FORMS["flac"])
    with pytest.raises(VoiceError, match="longer than 2 seconds"):
        decoded(data, longest=2.0)


def test_an_ending_names_the_form() -> None:
    assert [form_of(name).name for name in ("a.wav", "b.MP3", "c.ogg", "d.opus")] == ["wav", "mp3", "opus", "opus"]
    for name in ("answer", "answer.txt", "wav"):
        with pytest.raises(VoiceError, match="ends like no sound file"):
            form_of(name)
