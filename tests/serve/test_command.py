"""`jessy serve` itself: its first lines, what it refuses to start with, and the model as `jessy chat` asks it."""

from __future__ import annotations

import re
import stat
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner, Result
from serve_fakes import FACTS, Double, asks, post, register_model

from jessyfile.commands.serve import serve
from jessyfile.engines.engine import ServedModel
from jessyfile.errors import ConsentError, EngineError, ProjectError
from jessyfile.language.recipe import Message
from jessyfile.retrieval.examples import Example, Neighbour, conversation
from jessyfile.serve import served as served_module
from jessyfile.serve import server
from jessyfile.serve.remembered import Markers
from jessyfile.serve.server import listening

if TYPE_CHECKING:
    from syrupy.assertion import SnapshotAssertion

EVERYWHERE = "0.0.0.0"  # noqa: S104 (named in the tests, never listened on for long)
KEY = "0123456789abcdef0123456789abcdef"


@pytest.fixture
def begin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """What starts the command with a double, and stops it as soon as it serves."""
    register_model(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("JESSY_SERVE_KEY", raising=False)
    monkeypatch.setattr(served_module, "loader", lambda root, tokens: lambda entry: Double(FACTS))
    monkeypatch.setattr(server, "run", lambda service, listener: service.close())

    def begun(*words: str) -> Result:
        return CliRunner().invoke(serve, ["--port", "0", *words], catch_exceptions=False)

    return begun


def test_the_first_lines_say_what_is_served_and_how_it_is_reached(
    begin: Callable[..., Result], snapshot: SnapshotAssertion
) -> None:
    assert re.sub(r":\d{4,5}\b", ":PORT", begin("tiny").output) == snapshot
    assert "with what was asked and answered" in begin("tiny", "--log-words").output


def test_an_address_that_others_reach_asks_for_a_key_or_for_consent(
    begin: Callable[..., Result], tmp_path: Path
) -> None:
    with pytest.raises(ConsentError, match=r"everybody who reaches 0\.0\.0\.0 could ask"):
        begin("--host", EVERYWHERE)
    assert (
        "everybody who reaches it can ask; questions and answers travel unencrypted"
        in begin("--host", EVERYWHERE, "--anyone").output
    )
    key = tmp_path / "key"
    key.write_text(f"{KEY}\n")
    key.chmod(stat.S_IRUSR | stat.S_IWUSR)
    said = begin("--host", EVERYWHERE, "--key-file", "key").output
    assert "everybody with the key can ask" in said
    assert KEY not in said


@pytest.mark.parametrize("text", ["short", "", "two words that are long enough", "çok gizli bir anahtar değil"])
def test_what_is_no_key_is_refused(begin: Callable[..., Result], tmp_path: Path, text: str) -> None:
    (tmp_path / "key").write_text(text, encoding="utf-8")
    (tmp_path / "key").chmod(0o600)
    with pytest.raises(ProjectError, match="`key` holds no API key"):
        begin("--key-file", "key")


def test_a_key_that_others_may_read_is_refused(begin: Callable[..., Result], tmp_path: Path) -> None:
    (tmp_path / "key").write_text(KEY)
    (tmp_path / "key").chmod(0o644)
    with pytest.raises(ProjectError, match="others may read the key") as error:
        begin("--key-file", "key")
    assert error.value.hint == "chmod 600 key"
    with pytest.raises(ProjectError, match="there is no file `no`"):
        begin("--key-file", "no")


def test_a_port_that_is_taken_and_a_model_that_is_not_there_are_said(begin: Callable[..., Result]) -> None:
    with listening("127.0.0.1", 0) as taken:
        port = str(taken.getsockname()[1])
        with pytest.raises(EngineError, match=f"cannot listen on 127.0.0.1, port {port}: Address already in use"):
            begin("--port", port)
    with pytest.raises(EngineError, match="there is no model `other:latest`"):
        begin("other")
    with pytest.raises(EngineError, match="is no address of this machine"):
        begin("--host", "no.such.host.invalid", "--anyone")


def test_a_system_prompt_stays_before_example_messages_and_rows() -> None:
    """A client's system prompt, of a model without one, stood in mid-conversation, which no chat format has."""
    turns = [Message("system", "rules"), Message("user", "selam")]
    row = Neighbour(Example("r", "naber", "iyi", "low", 1), 0.5)
    assert [turn.content for turn in conversation([row], turns)] == ["rules", "naber", "iyi", "selam"]
    model = ServedModel("m", None, "chatml", None, (Message("user", "a"), Message("assistant", "b")))
    assert [turn.content for turn in model.conversation(turns)] == ["rules", "a", "b", "selam"]


def test_earlier_answers_get_their_markers_back() -> None:
    """Clients send answers without the line that the model saw before every answer of its training."""
    from jessyfile.language.build import default_complexity

    markers, complexity = Markers(), default_complexity()
    markers.keep("Uzun bir cevap.", "high", 7)
    turns = [
        Message("user", "a"), Message("assistant", "Uzun bir cevap."), Message("user", "b"), Message("assistant", "bilinmeyen"),
        Message("user", "c"), Message("assistant", "[medium 4]\nkendi"), Message("user", "d"),
    ]  # fmt: skip
    said = [turn.content for turn in markers.restore(turns, complexity)]
    assert said[1::2] == ["[high 7]\nUzun bir cevap.", "[low 1]\nbilinmeyen", "[medium 4]\nkendi"]
    assert said[::2] == ["a", "b", "c", "d"]


def test_the_model_is_asked_as_chat_asks_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The loader's thinker, over an engine's double: the marker is read off, the loop goes round, earlier answers carry markers."""
    import hashlib
    import sys

    sys.path.insert(0, str(Path(__file__).parents[1] / "evaluation"))
    from evaluation_fakes import USUAL, FakeEngine
    from evaluation_fakes import served as told
    from serve_fakes import served

    from jessyfile.export.registry import Registration, register

    (tmp_path / ".jessy").mkdir()
    (tmp_path / "m.gguf").write_bytes(b"GGUF")
    digest = hashlib.sha256(b"GGUF").hexdigest()
    register(tmp_path, "tiny", "latest", Registration("embedded", digest, told(USUAL), gguf="m.gguf"))
    engine = FakeEngine(lambda prompt: "[low 2]\nSelam!")
    monkeypatch.setattr(served_module, "engine_of", lambda entry, stop=None: engine)
    with served(tmp_path, served_module.loader(tmp_path, 64)) as running:
        body = post(f"{running.url}/v1/chat/completions", asks()).json()
        assert (body["choices"][0]["message"]["content"], body["jessy"]["level"], body["jessy"]["iterations"]) == (
            "Selam!",
            "low",
            2,
        )
        assert body["choices"][0]["message"]["reasoning_content"].startswith("Selam!")
        again = [
            {"role": "user", "content": "selam"}, {"role": "assistant", "content": "Selam!"}, {"role": "user", "content": "naber"},
        ]  # fmt: skip
        assert (
            post(f"{running.url}/v1/chat/completions", asks(messages=again, think=False)).json()["jessy"]["iterations"]
            == 1
        )
        assert [turn.content for turn in engine.asked[-1]] == ["selam", "[low 2]\nSelam!", "naber"]
    assert engine.loads == 0
