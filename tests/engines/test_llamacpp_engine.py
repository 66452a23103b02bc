"""The embedded engine: what is asked of llama.cpp, and what its refusals become."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from jessyfile.engines import llamacpp_engine as llamacpp
from jessyfile.engines.engine import GenerationSettings, ServedModel
from jessyfile.errors import EngineError
from jessyfile.language.recipe import Message

MODEL = ServedModel("tiny", Path("model.gguf"), "gemma", "Kısa konuş.", settings=GenerationSettings(max_tokens=8))


class FakeServer:
    """Stands for `xllamacpp.Server`: prepared chunks; swallows what a callback raises, as the real one does."""

    chunks: tuple[dict[str, Any], ...] = ()
    asked: dict[str, Any]

    def __init__(self, parameters: Any) -> None:
        self.parameters = parameters

    def handle_completions(self, request: dict[str, Any], take: Any = None) -> Any:
        type(self).asked = request
        if take is None:
            return self.chunks[0] if self.chunks else {}
        for chunk in self.chunks:
            try:
                if take(chunk):
                    return None
            except Exception:  # noqa: BLE001 (llama.cpp swallows everything here)
                return None
        return None


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> llamacpp.LlamaCpp:
    parameters = lambda: SimpleNamespace(  # noqa: E731 (it stands for a class)
        model=SimpleNamespace(), cpuparams=SimpleNamespace(), cpuparams_batch=SimpleNamespace()
    )
    monkeypatch.setitem(sys.modules, "xllamacpp", SimpleNamespace(Server=FakeServer, CommonParams=parameters))
    monkeypatch.setattr(llamacpp, "_checked", lambda model: model.path)
    made = llamacpp.LlamaCpp(parallel=2)
    made.load(MODEL)
    return made


def piece(text: str, reason: str | None = None, **extra: Any) -> dict[str, Any]:
    return {"choices": [{"text": text, "finish_reason": reason}], **extra}


def test_the_prompt_is_ours_with_the_system_prompt_and_no_bos(engine: llamacpp.LlamaCpp) -> None:
    """BOS in the text would come twice: llama.cpp adds its own."""
    FakeServer.chunks = (
        piece("Sel"),
        piece("am"),
        piece("", "stop", usage={"completion_tokens": 3, "prompt_tokens": 9}),
    )
    reply = engine.chat([Message("user", " selam ")])
    assert (
        FakeServer.asked["prompt"] == "<start_of_turn>user\nKısa konuş.\n\nselam<end_of_turn>\n<start_of_turn>model\n"
    )
    assert FakeServer.asked["stop"] == ["<end_of_turn>"]
    assert (FakeServer.asked["n_predict"], FakeServer.asked["temperature"]) == (8, 0.0)
    assert (reply.text, reply.tokens, reply.prompt_tokens, reply.stopped) == ("Selam", 3, 9, "stop")


def test_an_answer_is_held_to_a_schema_only_where_one_is_given(engine: llamacpp.LlamaCpp) -> None:
    FakeServer.chunks = (piece("{}", "stop", usage={"completion_tokens": 1, "prompt_tokens": 9}),)
    engine.chat([Message("user", "selam")])
    assert "json_schema" not in FakeServer.asked
    engine.chat([Message("user", "selam")], GenerationSettings(schema='{"type": "object"}'))
    assert FakeServer.asked["json_schema"] == {"type": "object"}


def test_every_parallel_answer_has_the_whole_window_and_the_port_is_locked(engine: llamacpp.LlamaCpp) -> None:
    parameters = engine._server.parameters
    assert (parameters.n_parallel, parameters.n_ctx) == (2, 2 * 4096)
    assert len(parameters.api_keys[0]) == 64
    assert parameters.verbosity < 0


def test_an_answer_at_the_limit_says_so(engine: llamacpp.LlamaCpp) -> None:
    FakeServer.chunks = (piece("a"), piece("", "length", usage={"completion_tokens": 8, "prompt_tokens": 9}))
    assert engine.chat([Message("user", "selam")]).stopped == "length"


def test_a_cut_answer_counts_the_pieces_it_got(engine: llamacpp.LlamaCpp) -> None:
    FakeServer.chunks = tuple(piece(letter) for letter in "abcdef")
    reply = engine.chat([Message("user", "selam")], on_piece=lambda text: len(text) == 3)
    assert (reply.text, reply.tokens, reply.stopped) == ("abc", 3, "cut")


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (
            {"type": "exceed_context_size_error", "n_prompt_tokens": 9000, "n_ctx": 4096},
            "9000 tokens and the context window 4096",
        ),
        ({"message": "out of\nmemory"}, "llama.cpp refused: out of memory"),
        ("nothing", "llama.cpp refused: nothing"),
    ],
)
def test_a_refusal_in_the_stream_becomes_one_line(engine: llamacpp.LlamaCpp, error: object, words: str) -> None:
    """The server swallows what a callback raises; a lost error looked like an empty answer."""
    FakeServer.chunks = ({"error": error},)
    with pytest.raises(EngineError, match=words):
        engine.chat([Message("user", "selam")])


def test_a_missing_file_and_a_model_not_loaded_are_one_line_each(tmp_path: Path) -> None:
    engine = llamacpp.LlamaCpp(parallel=1)
    with pytest.raises(EngineError, match="no model is loaded"):
        engine.chat([Message("user", "selam")])
    with pytest.raises(EngineError, match="the file of tiny is gone"):
        engine.load(ServedModel("tiny", tmp_path / "gone.gguf", "gemma"))
    (tmp_path / "bad.gguf").write_bytes(b"GGUF" + b"\xff" * 64)
    with pytest.raises(EngineError, match="not a usable GGUF"):
        engine.load(ServedModel("tiny", tmp_path / "bad.gguf", "gemma"))
