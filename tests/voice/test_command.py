"""`jessy voice`: hears, asks as `jessy chat` does, and speaks; from files and through pipes."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

pytest.importorskip("av")

from voice_fakes import DoubleEars, DoubleMouth, tone

from jessyfile.commands import voice_call
from jessyfile.commands.conversation import Conversation
from jessyfile.commands.voice import voice
from jessyfile.errors import EngineError, ProjectError, VoiceError
from jessyfile.thinking.thought import Wishes
from jessyfile.voice import found
from jessyfile.voice.sound import FORMS, decoded, encoded

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "serve"))
from serve_fakes import Double


@pytest.fixture
def ears(monkeypatch: pytest.MonkeyPatch) -> DoubleEars:
    """What hears."""
    double = DoubleEars()
    monkeypatch.setattr(found, "ears_of", lambda name: double)
    return double


@pytest.fixture
def mouth(monkeypatch: pytest.MonkeyPatch) -> DoubleMouth:
    """What speaks."""
    double = DoubleMouth()
    monkeypatch.setattr(found, "mouth_of", lambda name, language: double)
    return double


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> Double:
    """What answers."""
    double = Double(answer_to=lambda prompt: f"**{prompt}** dedin. Ben de iyiyim.")

    @contextlib.contextmanager
    def ready(name: str, tag: str, max_tokens: int, wishes: Wishes) -> Iterator[Conversation]:
        if name != "tiny":
            raise EngineError(f"`{name}` is not registered")
        yield Conversation(double, wishes)

    monkeypatch.setattr(voice_call, "ready", ready)
    monkeypatch.setattr("jessyfile.commands.voice.ready", ready)
    return double


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """What calls the command in a folder with a recording."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "question.wav").write_bytes(encoded([tone(0.5)], FORMS["wav"]))

    def called(*words: str, stdin: bytes | str | None = None) -> Result:
        return CliRunner().invoke(voice, words, input=stdin, catch_exceptions=False)

    return called


def test_a_question_is_heard_answered_and_spoken(
    call: Callable[..., Result], ears: DoubleEars, mouth: DoubleMouth, model: Double, tmp_path: Path
) -> None:
    shown = call(
        "ask", "tiny", "question.wav", "--out", "answer.mp3", "--level", "high", "--speaker", "can", "--speed", "2"
    )
    assert shown.exit_code == 0
    assert "> naber\n**naber** dedin. Ben de iyiyim.\n" in shown.stdout
    assert "first sound after" in shown.stdout and "heard 0.5 s in" in shown.stdout and "answer.mp3" in shown.stdout
    (turns, wishes), heard = model.asked[0], ears.asked[0]
    assert (turns[-1].content, wishes.level) == ("naber", "high")
    assert heard[1].language == "tr"
    assert mouth.said == [("naber dedin.", "can", 2.0), ("Ben de iyiyim.", "can", 2.0)]
    assert decoded((tmp_path / "answer.mp3").read_bytes()).seconds == pytest.approx(0.06 + 0.125 + 0.07, abs=0.1)


def test_what_it_took_is_told_to_programs_too(
    call: Callable[..., Result], ears: DoubleEars, mouth: DoubleMouth, model: Double
) -> None:
    told = json.loads(call("ask", "tiny", "question.wav", "--out", "a.wav", "--json").stdout)
    assert told["format"] == 1 and told["heard"]["text"] == "naber"
    assert told["answer"]["text"] == "**naber** dedin. Ben de iyiyim." and told["answer"]["level"] == "low"
    assert told["spoken"]["sentences"] == 2 and told["spoken"]["file"] == "a.wav"
    assert 0 < told["first_sound_seconds"] < 5


def test_through_pipes_the_sound_stands_alone_on_the_standard_output(
    call: Callable[..., Result], ears: DoubleEars, mouth: DoubleMouth, model: Double, tmp_path: Path
) -> None:
    shown = call("ask", "tiny", "-", "--out", "-", stdin=(tmp_path / "question.wav").read_bytes())
    assert decoded(shown.stdout_bytes).seconds == pytest.approx(0.12 + 0.25 + 0.14, abs=0.02)
    assert "> naber" in shown.stderr and "first sound after" in shown.stderr
    spoken = call("say", "--out", "-", stdin="Selam. Naber?")
    assert decoded(spoken.stdout_bytes).seconds > 0.3 and "spoke" in spoken.stderr


def test_a_text_is_spoken_again_over_its_own_file_and_over_no_other(
    call: Callable[..., Result], mouth: DoubleMouth, tmp_path: Path
) -> None:
    for text in ("Bir.", "Bir, iki, üç."):
        assert call("say", text, "--out", "a.wav").exit_code == 0
    assert decoded((tmp_path / "a.wav").read_bytes()).seconds == pytest.approx(0.13, abs=0.01)
    before = (tmp_path / "question.wav").read_bytes().replace(b"spoken by jessy", b"a holiday sound")
    (tmp_path / "mine.wav").write_bytes(before)
    with pytest.raises(ProjectError, match="jessy did not write it"):
        call("say", "Bir.", "--out", "mine.wav")
    assert (tmp_path / "mine.wav").read_bytes() == before and len(mouth.said) == 2


def test_a_recording_is_heard_as_words_subtitles_and_json(call: Callable[..., Result], ears: DoubleEars) -> None:
    ears.words = "Naber.|İyiyim."
    assert call("hear", "question.wav", "--language", "auto", "--prompt", "Ayşe").output == "Naber. İyiyim.\n"
    assert (ears.asked[0][1].language, ears.asked[0][1].prompt) == ("auto", "Ayşe")
    assert call("hear", "question.wav", "--subtitles", "srt").output.startswith(
        "1\n00:00:00,000 --> 00:00:01,250\nNaber.\n"
    )
    assert json.loads(call("hear", "question.wav", "--json").output)["heard"]["parts"][1]["text"] == "İyiyim."
    ears.words = ""
    assert call("hear", "question.wav").output == "nothing was said\n"


def test_what_cannot_be_is_said_before_anybody_is_asked(
    call: Callable[..., Result], ears: DoubleEars, mouth: DoubleMouth, model: Double, tmp_path: Path
) -> None:
    (tmp_path / "notes.txt").write_text("selam")
    for words, kind, said in (
        (("ask", "tiny", "none.wav", "--out", "a.wav"), ProjectError, "no file `none.wav`"),
        (("ask", "tiny", "notes.txt", "--out", "a.wav"), VoiceError, "no sound file"),
        (("ask", "tiny", "question.wav", "--out", "a.txt"), VoiceError, "ends like no sound file"),
        (("ask", "tiny", "question.wav", "--out", "a.wav", "--speaker", "eda"), VoiceError, "no voice `eda`"),
        (("ask", "other", "question.wav", "--out", "a.wav"), EngineError, "not registered"),
        (("say", "***", "--out", "a.wav"), VoiceError, "nothing to say"),
    ):
        with pytest.raises(kind, match=said):
            call(*words)
    assert model.asked == [] and not (tmp_path / "a.wav").exists()
    ears.words = ""
    with pytest.raises(VoiceError, match="nobody says anything"):
        call("ask", "tiny", "question.wav", "--out", "a.wav")
