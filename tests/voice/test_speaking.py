"""Speaking while the answer is written, and what the parts of a voice say when they are missing."""

from __future__ import annotations

import builtins
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("av")

import numpy as np
from voice_fakes import DoubleMouth

from jessyfile.errors import VoiceError
from jessyfile.voice import espeak, found
from jessyfile.voice.ears import HeardPart, HeardSpeech
from jessyfile.voice.kokoro import Kokoro, called
from jessyfile.voice.mouth import voice_of
from jessyfile.voice.sound import Sound
from jessyfile.voice.speaking import Speaking
from jessyfile.voice.subtitles import srt, vtt


def test_sound_begins_with_the_first_sentence_and_not_with_the_last_word() -> None:
    sounds: list[Sound] = []
    there = threading.Event()

    def take(sound: Sound) -> None:
        sounds.append(sound)
        there.set()

    speaking = Speaking(DoubleMouth(), take)
    speaking.feed("Birinci cümle. İkinci")
    assert there.wait(5), "the first sentence waits for the second"
    spoken = speaking.finish("Birinci cümle. İkinci de bu.")
    assert spoken.sentences == 2 and spoken.first is not None
    assert [len(sound.samples) for sound in sounds] == [3360, 6000, 3120]  # a pause stands between them
    assert spoken.sound_seconds == pytest.approx(0.14 + 0.25 + 0.13)


def test_what_fails_while_it_speaks_is_raised_to_the_one_who_waits() -> None:
    mouth = DoubleMouth(fails_at="İkinci")
    speaking = Speaking(mouth, lambda sound: None)
    speaking.feed("Bir. İkinci. Üç. ")
    with pytest.raises(RuntimeError, match="no breath"):
        speaking.finish("Bir. İkinci. Üç. ")
    assert [text for text, _, _ in mouth.said] == ["Bir."]


def test_nothing_is_spoken_of_nothing() -> None:
    spoken = Speaking(DoubleMouth(), lambda sound: None).finish("***")
    assert (spoken.first, spoken.sentences) == (None, 0)


def test_a_voice_is_found_by_name_or_refused_with_those_that_are_there() -> None:
    mouth = DoubleMouth()
    assert (voice_of(mouth, None), voice_of(mouth, "can"), voice_of(DoubleMouth(voices=()), None)) == (
        "ayla",
        "can",
        None,
    )
    with pytest.raises(VoiceError, match="no voice `alloy`") as raised:
        voice_of(mouth, "alloy")
    assert raised.value.hint == "it has ayla, can"


def test_subtitles_tell_the_seconds() -> None:
    heard = HeardSpeech("a b", "tr", 4000.0, 1.0, (HeardPart("a", 0.0, 1.25), HeardPart("b", 3661.5, 3662.0)))
    assert srt(heard) == "1\n00:00:00,000 --> 00:00:01,250\na\n\n2\n01:01:01,500 --> 01:01:02,000\nb\n"
    assert vtt(heard) == "WEBVTT\n\n00:00:00.000 --> 00:00:01.250\na\n\n01:01:01.500 --> 01:01:02.000\nb\n"


def test_without_the_extra_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    imported = builtins.__import__

    def refuse(name: str, *more: Any) -> Any:
        if name.partition(".")[0] in ("av", "faster_whisper", "piper"):
            raise ModuleNotFoundError(f"No module named '{name}'", name=name)
        return imported(name, *more)

    from jessyfile.voice import extra

    monkeypatch.setattr(extra.importlib, "import_module", refuse)
    from jessyfile.voice.sound import decoded

    for ask in (lambda: decoded(b"RIFF"), lambda: found.ears_of("whisper-base", fetch=False)):
        with pytest.raises(VoiceError) as raised:
            ask()
        assert raised.value.hint == "pip install 'jessy[voice]'"


def test_names_that_are_nowhere_are_refused_with_what_would_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(found, "find_spec", lambda name: None)
    monkeypatch.setattr(espeak.shutil, "which", lambda name: None)
    (tmp_path / "voice.onnx").write_bytes(b"?")
    for ask, said in (
        (lambda: found.ears_of("whisper-huge"), "name a folder, or one of whisper-tiny"),
        (lambda: found.ears_of("whisper-base", fetch=False), "jessy\\[voice,voice-models\\]"),
        (lambda: found.mouth_of("kokoro"), "--voice espeak-ng"),
        (lambda: found.mouth_of("alto"), "a file of Piper's"),
        (lambda: found.mouth_of("espeak-ng"), "apt install espeak-ng"),
        (lambda: found.mouth_of(str(tmp_path / "voice.onnx")), "voice.onnx.json"),
        (lambda: found.mouth_of(str(tmp_path)), "Kokoro's model, voices"),
    ):
        with pytest.raises(VoiceError) as raised:
            ask()
        assert __import__("re").search(said, f"{raised.value.message} {raised.value.hint}"), raised.value.hint


def test_weights_in_parts_are_put_together_once_and_checked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Whoever changed a package's part would otherwise decide what jessy loads."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "one").mkdir()
    for name, data in (("a", b"first "), ("b", b"second"), ("vocab.json", b"{}")):
        (tmp_path / "one" / name).write_bytes(data)
    monkeypatch.setattr(found, "_packaged", lambda file: tmp_path / file)
    digest = __import__("hashlib").sha256(b"first second").hexdigest()
    sound = found.Carried("whole", digest, ("one/a", "one/b"), (("vocab.json", "one/vocab.json"),))
    monkeypatch.setitem(found._CARRIED, "kokoro", sound)
    folder = found._carried("kokoro")
    assert (
        folder is not None and (folder / "whole").read_bytes() == b"first second" and (folder / "vocab.json").is_file()
    )
    (tmp_path / "one" / "a").write_bytes(b"other ")
    assert found._carried("kokoro") == folder
    monkeypatch.setitem(found._CARRIED, "kokoro", found.Carried("whole", "0" * 64, sound.parts, sound.files))
    with pytest.raises(VoiceError, match="other weights"):
        found._carried("kokoro")
    assert not (folder.parent / "kokoro-000000000000").exists()


def test_espeaks_signs_get_kokoros_names() -> None:
    assert called("tʃɯkaɫˈɯm  dʒˈam ɟyzˈæl", "tr") == "ʧɯkalˈɯm ʤˈam ɡyzˈɛl"
    # "köyde gün": the ü of a closed syllable was read as ö, and the ö as a
    assert (called("kœjdˈɛ ɟˈøn", "tr"), called("œf pø", "fr")) == ("køjdˈɛ ɡˈyn", "œf pø")
    # "pencereyi, çok, su, aldığım": the vowels of closed syllables were read as English has them, and ığı as three of them
    assert called("pændʒˈeɾejɪ tʃˈɔk sˈʊ aɫdˈɯɯɯm", "tr") == "pɛnʤˈeɾeji ʧˈok sˈu aldˈɯːm"
    assert (called("bɪt bʊk kæt", "en"), called("bɪt ˌbʊkˈɔː", "en", stressed=False)) == ("bɪt bʊk kæt", "bɪt bʊkɔː")


@pytest.mark.parametrize("speaker", ["jm_kumo", "af_heart", None])
def test_speakers_who_learned_no_stress_marks_read_none(speaker: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """`köpeğimiz` was heard as `kapayımız`: a Japanese speaker's vowel behind a mark was another."""
    numbers = {sign: at + 1 for at, sign in enumerate("køpekˈ")}
    mouth = Kokoro.__new__(Kokoro)
    mouth.name, mouth.voices, mouth._language, mouth._numbers = "kokoro", ("jm_kumo", "af_heart"), "tr", numbers
    mouth._styles = dict.fromkeys(mouth.voices)
    mouth._phonemes = SimpleNamespace(phonemize=lambda language, text: [list("kœpˈek")])
    said: list[list[int]] = []
    monkeypatch.setattr(mouth, "_piece", lambda signs, style, speed: said.append(signs) or np.zeros(240, np.float32))
    assert mouth.say("köpek", speaker).seconds == pytest.approx(0.01)
    assert (numbers["ˈ"] in said[0]) == (speaker == "af_heart")
    assert (
        "".join(sign for at in said[0] for sign, number in numbers.items() if number == at).replace("ˈ", "") == "køpek"
    )


def test_espeak_ng_speaks_and_is_never_given_a_text_as_an_option(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A double of the program: it writes down what it was called with, and answers with a WAV as espeak-ng streams one."""
    program = tmp_path / "espeak-ng"
    program.write_text(
        '#!/bin/sh\nprintf "%s " "$@" > "$0.args"\ncat > "$0.text"\n'
        'printf "RIFF....WAVEfmt ........\\042\\126\\000\\000........data...."\nhead -c 22050 /dev/zero\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    sound = found.mouth_of("espeak-ng", "tr").say("--version", "f3", 2.0)
    assert (tmp_path / "espeak-ng.args").read_text() == "-v tr+f3 -s 300 --stdout --stdin "
    assert (tmp_path / "espeak-ng.text").read_text() == "--version"
    assert sound.rate == 22050 and np.all(sound.samples == 0) and sound.seconds == pytest.approx(0.5, abs=0.01)
    with pytest.raises(VoiceError, match="no variant"):
        found.mouth_of("espeak-ng", "tr").say("a", "../x")
    with pytest.raises(VoiceError, match="no language"):
        found.mouth_of("espeak-ng", "-w/tmp/x")


def test_the_speaking_thread_is_not_left_behind() -> None:
    gate = threading.Event()
    speaking = Speaking(DoubleMouth(gate=gate), lambda sound: None)
    speaking.feed("Bir. İki")
    gate.set()
    speaking.close()
    time.sleep(0)
    assert speaking.spoken.sentences == 1
