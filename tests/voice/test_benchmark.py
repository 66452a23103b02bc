"""benchmarks/voice.py: which recordings it reads, and what it counts."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))

import voice


def _folder(root: Path, *names: str) -> Path:
    for name in names:
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(name.encode())
    return root


def _read(folder: Path) -> list[tuple[str, str]]:
    return [(said.data.decode(), said.text) for said in voice.recorded(folder)]


def test_words_lie_beside_a_recording_or_in_one_table(tmp_path: Path) -> None:
    beside = _folder(tmp_path / "a", "2.mp3", "1.wav", "without words.wav")
    (beside / "1.txt").write_text("Bir ışık.\n", "utf-8")
    (beside / "2.txt").write_text("İki.", "utf-8")
    (beside / "lost.txt").write_text("Yok.", "utf-8")
    assert _read(beside) == [("1.wav", "Bir ışık."), ("2.mp3", "İki.")]
    common_voice = _folder(tmp_path / "b", "clips/x.mp3", "clips/y.mp3")
    (common_voice / "test.tsv").write_text(
        'client_id\tpath\tsentence\n1\tx.mp3\t"Gel" dedi.\n2\tgone.mp3\tYok.\n3\ty.mp3\t\n', "utf-8"
    )
    assert _read(common_voice) == [("clips/x.mp3", '"Gel" dedi.')]
    speech = _folder(tmp_path / "c", "wavs/LJ-1.wav")
    (speech / "metadata.csv").write_text("LJ-1|3 gün|üç gün\n", "utf-8")
    assert _read(speech) == [("wavs/LJ-1.wav", "üç gün")]


def test_a_table_names_no_file_outside_its_folder(tmp_path: Path) -> None:
    _folder(tmp_path, "secret.wav", "in/1.wav")
    (tmp_path / "in" / "x.tsv").write_text("path\tsentence\n../secret.wav\tBir.\n", "utf-8")
    with pytest.raises(SystemExit, match="no recordings"):
        _read(tmp_path / "in")


def test_sounds_that_mbrolas_voices_lack_are_named_as_they_name_them() -> None:
    """They were left out without a word, so that `gel` was spoken as `g`."""
    assert voice.mbrolas_phonemes("g\t65\n&\t82\t 0 102 80 75\nl/\t115\nL/\t20\n_\t301\n") == (
        "g\t65\ne\t82\t 0 102 80 75\nl\t115\nl\t20\n_\t301\n"
    )


def test_what_is_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from voice_fakes import tone

    from jessyfile.voice.sound import FORMS, encoded

    data = encoded([tone(0.5)], FORMS["mp3"])
    all_said = voice.saved([voice.Said("IŞIK var, gel!", data, 1.0), voice.Said("Bir iki.", data)], tmp_path / "kept")
    heard = iter((("ışık war gel", 0.5), ("bir iki üç", 0.5)))
    voice.told(voice.trials(all_said, lambda _: next(heard)))
    said = capsys.readouterr().out
    assert "| IŞIK var, gel! | ışık war gel | 1 of 3 |" in said
    assert "word error rate 40.0% (2 of 5)" in said
    assert [text for _, text in ((one.data, one.text) for one in voice.recorded(tmp_path / "kept"))] == [
        "IŞIK var, gel!",
        "Bir iki.",
    ]
