"""`jessy chat`: the answer without its marker, and what it took."""

from __future__ import annotations

import hashlib
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from evaluation_fakes import USUAL, FakeEngine, served

from jessyfile.commands.answer_shown import StreamedAnswer, WrittenWords, cutting
from jessyfile.commands.chat import chat
from jessyfile.engines import promoted, serving
from jessyfile.engines.engine import GenerationSettings, ServedModel
from jessyfile.errors import ContextFullError, DamagedError, EngineError
from jessyfile.export.registry import Registration, register
from jessyfile.language.recipe import Complexity, Level, Message
from jessyfile.planning.actions import Action
from jessyfile.planning.state import State, save_state
from jessyfile.thinking.thinker import Thinker


def add(root: Path, tag: str, complexity: Complexity = USUAL) -> None:
    """Register a model whose file is whole."""
    (root / "m.gguf").write_bytes(b"GGUF")
    digest = hashlib.sha256(b"GGUF").hexdigest()
    register(root, "tiny", tag, Registration("embedded", digest, served(complexity), gguf="m.gguf"))


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeEngine]:
    (tmp_path / ".jessy").mkdir()
    monkeypatch.chdir(tmp_path)
    add(tmp_path, "latest")
    made = FakeEngine(lambda prompt: f"[low 1]\n{prompt} diyorsun\x1b[2J.")
    monkeypatch.setattr(serving, "engine_of", lambda entry, stop=None: made)
    yield made
    assert made.loads == 0


def run(*arguments: str, typed: str = "") -> str:
    result = CliRunner().invoke(chat, arguments, input=typed, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_one_question_is_answered_with_level_iterations_and_seconds(engine: FakeEngine) -> None:
    """A control character that a model writes never reaches the terminal."""
    assert run("tiny", "selam") == "selam diyorsun\\u001b[2J.\nlow · 1 iteration · 0.0 s · 4 tokens\n"


def test_a_model_without_a_marker_misses_no_level(engine: FakeEngine, tmp_path: Path) -> None:
    """Every answer of a model that answers with JSON was said to have `no level`."""
    add(tmp_path, "latest", Complexity(USUAL.levels, None))
    engine.answer = lambda _: '{"queue": "billing"}'
    assert run("tiny", "selam") == '{"queue": "billing"}\n0.0 s · 2 tokens\n'


def test_answers_are_held_to_a_schema(engine: FakeEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    models = list[ServedModel]()
    monkeypatch.setattr(engine, "load", lambda model: models.append(model) or 0.0)
    monkeypatch.setattr(engine, "unload", lambda: None)
    schema = tmp_path / "ticket.schema.json"
    schema.write_text('{"type": "object"}\n', encoding="utf-8")
    run("tiny", "selam", "--schema", str(schema))
    run("tiny", "selam")
    assert [model.settings.schema for model in models] == ['{"type": "object"}', ""]


@pytest.mark.parametrize("text", ["", "{", "[1]", '{"type": "object"} {}'])
def test_a_file_that_is_no_schema_is_named(engine: FakeEngine, tmp_path: Path, text: str) -> None:
    (tmp_path / "s.json").write_text(text, encoding="utf-8")
    with pytest.raises(EngineError, match=r"`s\.json` holds no JSON schema"):
        run("tiny", "selam", "--schema", "s.json")


def test_json_has_everything(engine: FakeEngine) -> None:
    found = json.loads(run("tiny", "selam", "--json"))
    assert (found["format"], found["level"], found["iterations"], found["tokens"]) == (1, "low", 1, 4)


def test_a_conversation_remembers_what_was_said_with_its_markers(engine: FakeEngine) -> None:
    run("tiny", typed="selam\n\nnaber\n")
    last = [turn.content for turn in engine.asked[-1]]
    assert last == ["selam", "[low 1]\nselam diyorsun\x1b[2J.", "naber"]


@pytest.mark.parametrize(
    "words", [("tiny:candidate",), ("tiny", "--tag", "candidate"), ("tiny:candidate", "--tag", "candidate")]
)
def test_a_tag_may_stand_in_the_name(engine: FakeEngine, tmp_path: Path, words: tuple[str, ...]) -> None:
    """`tiny:latest`, as every message prints it, was taken for `tiny:latest:latest`."""
    with pytest.raises(EngineError, match="there is no model `tiny:candidate`"):
        run(words[0], "selam", *words[1:])
    add(tmp_path, "candidate")
    assert "selam diyorsun" in run(words[0], "selam", *words[1:])
    assert "selam diyorsun" in run("tiny:latest", "selam")


@pytest.mark.parametrize(
    "words", [("tiny:7b", "x"), ("tiny:", "x"), ("tiny:latest:latest", "x"), ("tiny:latest", "x", "--tag", "candidate")]
)
def test_a_tag_that_is_none_is_a_usage_error(engine: FakeEngine, words: tuple[str, ...]) -> None:
    assert CliRunner().invoke(chat, words).exit_code == 2  # click's own code; `main` makes it the one for usage


def test_a_full_context_window_lets_the_oldest_turns_go(engine: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    """The conversation ended with an error, and everything said in it was gone."""
    whole = engine.chat

    def small(messages, *rest):
        if len(messages) > 3:
            raise ContextFullError(
                "the conversation has 9 tokens and the context window 8", hint="raise PARAMETER num_ctx"
            )
        return whole(messages, *rest)

    monkeypatch.setattr(engine, "chat", small)
    said = run("tiny", typed="bir\niki\nüç\ndört\n")
    assert [turn.content for turn in engine.asked[-1]][::2] == ["üç", "dört"]
    assert said.count("(the oldest turn no longer fit") == 2


def test_a_question_that_does_not_fit_alone_is_said_and_the_conversation_goes_on(
    engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = engine.chat

    def small(messages, *rest):
        if len(messages[-1].content) > 10:
            raise ContextFullError(
                "the conversation has 9 tokens and the context window 8", hint="raise PARAMETER num_ctx"
            )
        return whole(messages, *rest)

    monkeypatch.setattr(engine, "chat", small)
    said = run("tiny", typed="çok ama çok uzun bir soru\nselam\n")
    assert "ask something shorter" in said
    assert "selam diyorsun" in said


def test_what_can_not_fit_whatever_is_dropped_is_counted_once(
    engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A question of a megabyte was counted again for every earlier turn, six seconds each."""
    whole, tries = engine.chat, list[int]()

    def small(messages, *rest):
        if len(messages[-1].content) > 100:
            tries.append(len(messages))
            raise ContextFullError("too long", tokens=500_000)
        return whole(messages, *rest)

    monkeypatch.setattr(engine, "chat", small)
    said = run("tiny", typed=f"bir\niki\nüç\n{'x' * 1000}\nselam\n")
    assert tries == [7]
    assert "too long; ask something shorter" in said
    assert len(engine.asked[-1]) == 7  # nothing of the conversation was lost


def test_slash_commands_are_not_sent_to_the_model(engine: FakeEngine) -> None:
    said = run("tiny", typed="bir\n/help\n/clear\niki\n/bye\nüç\n")
    assert [[turn.content for turn in asked] for asked in engine.asked] == [["bir"], ["iki"]]
    assert "/clear           start over" in said


def test_ctrl_c_cuts_an_answer_and_not_the_conversation() -> None:
    with cutting() as cut:
        os.kill(os.getpid(), signal.SIGINT)
        assert cut.asked
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
            signal.sigtimedwait([], 1)


def test_a_model_that_is_not_there_is_named_with_those_that_are(engine: FakeEngine) -> None:
    with pytest.raises(EngineError, match="there is no model `other:latest`") as error:
        run("other", "selam")
    assert error.value.hint == "registered are tiny"


def test_answers_are_read_by_the_marker_that_the_model_was_trained_with(engine: FakeEngine, tmp_path: Path) -> None:
    """A recipe got another marker and its candidate was withheld: the promoted model still writes the old one, and
    `jessy chat` looked for the new."""
    own = Complexity((Level("kolay", (1, 3), None), Level("zor", (4, 9), None)), "<{level} {iterations}>")
    add(tmp_path, "candidate", own)
    parameters = {"complexity.level.kolay.iterations": [1, 3], "complexity.marker": own.marker}
    action = Action("evaluate", "o", {}, "x", {}, 1.0, 0, 1, "", parameters, {}, 1)
    save_state(tmp_path, State("tiny", "l", steps={"evaluate": action}))
    assert promoted.find(tmp_path, "tiny").complexity == USUAL
    assert run("tiny", "selam").startswith("selam diyorsun")
    engine.answer = lambda prompt: "<zor 5>\nOlur."
    assert run("tiny", "selam", "--tag", "candidate").startswith("Olur.\nzor · 5 iterations")


def test_a_damaged_model_does_not_answer(engine: FakeEngine, tmp_path: Path) -> None:
    (tmp_path / "m.gguf").write_bytes(b"GGUG")
    with pytest.raises(DamagedError, match=r"tiny:latest has other bytes than were written .*m\.gguf"):
        run("tiny", "selam")
    (tmp_path / "m.gguf").unlink()
    with pytest.raises(DamagedError, match="tiny:latest is gone"):
        run("tiny", "selam")
    assert engine.asked == []


def test_an_answer_shown_live_never_shows_its_marker() -> None:
    whole, shown = "[low 1]\nSor kanka,\ndinliyorum. ", list[str]()
    live = StreamedAnswer(shown.append)
    thinker = Thinker(FakeEngine(lambda _: whole), USUAL, GenerationSettings(), "tiny:latest")
    thought = thinker.answer([Message("user", "selam")], None, live.show)
    assert len(shown) > 10
    assert "[" not in "".join(shown)
    live.finish(thought.text)
    assert "".join(shown) == "Sor kanka,\ndinliyorum."


def test_what_is_wished_for_is_spent_and_told(engine: FakeEngine) -> None:
    """`--level`, `--iterations`, `--max-seconds`, `--stop-early` and `--sample` reach the loop."""
    said = iter(f"[low 1]\nOlur {word}." for word in ("bir", "iki", "üç", "dört", "beş", "altı", "yedi", "sekiz"))
    engine.answer = lambda _: next(said)
    found = json.loads(run("tiny", "selam", "--json", "--level", "medium"))
    assert (found["level"], found["asked"], found["iterations"], found["ended"]) == ("medium", 3, 3, "full")
    assert found["marked_level"] == "low"
    assert [draft["text"] for draft in found["drafts"]] == ["Olur bir.", "Olur iki.", "Olur üç."]
    assert (found["text"], found["speaker"], found["reasoning_tokens"]) == ("Olur üç.", "tiny:latest", 8)
    assert "low · 2 iterations · " in run("tiny", "selam", "--iterations", "2")
    assert "2 of 3 iterations, for two drafts agree" in _agreeing(engine)
    with pytest.raises(EngineError, match="knows no level `extreme`") as error:
        run("tiny", "selam", "--level", "extreme")
    assert error.value.hint == "its levels are low, medium, high"


def _agreeing(engine: FakeEngine) -> str:
    engine.answer = lambda _: "[medium 3]\nHep aynı şey."
    return run("tiny", "selam", "--stop-early")


@pytest.mark.parametrize("pieces", [1, 3, 1000])
def test_an_answer_is_broken_between_words_however_it_comes(pieces: int) -> None:
    """The terminal broke the words of every answer that was longer than its lines."""
    said = "Bir  iki üç dört beş altı\n\n  yedi sekizdokuzonbirde on 日本語 iki."
    shown = list[str]()
    words = WrittenWords(shown.append, 12)
    for start in range(0, len(said), pieces):
        words.add(said[start : start + pieces])
    words.end()
    lines = "".join(shown).split("\n")
    assert lines == ["Bir  iki üç ", "dört beş ", "altı", "", "  yedi ", "sekizdokuzonbirde on ", "日本語 iki."]
    assert "".join(shown).split() == said.split()
