"""Ollama over HTTP: what is sent, what is measured, and how its failures look."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from jessyfile.engines.engine import GenerationSettings, ServedModel
from jessyfile.engines.ollama_engine import Ollama
from jessyfile.errors import ContextFullError, EngineError, Interrupted
from jessyfile.language.recipe import Message

EXAMPLE = Message("user", "örnek")
MODEL = ServedModel(
    "tiny:candidate", None, "gemma", "Kısa konuş.", (EXAMPLE,), GenerationSettings(temperature=0.7, max_tokens=8)
)
WHOLE = (
    {"message": {"role": "assistant", "content": "Sel"}, "done": False},
    {"message": {"role": "assistant", "content": "am"}, "done": False},
    {"message": {"content": ""}, "done": True, "done_reason": "stop", "eval_count": 3, "prompt_eval_count": 9},
)


class Server:
    """Answers `/api/chat` with prepared lines; keeps every request."""

    def __init__(self) -> None:
        self.lines: tuple[Any, ...] = WHOLE
        self.status = 200
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.wait: Callable[[], object] = lambda: None
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                server.asked.append((self.path, body))
                server.wait()
                lines = server.lines if self.path == "/api/chat" else ({"done": True},)
                data = b"".join(
                    line if isinstance(line, bytes) else json.dumps(line).encode() + b"\n" for line in lines
                )
                self.send_response(server.status)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_: object) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}"


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    thread = threading.Thread(target=made.http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield made
    made.http.shutdown()
    made.http.server_close()
    thread.join()


def loaded(server: Server, **options: bool) -> Ollama:
    engine = Ollama(server.url, **options)
    engine.load(MODEL)
    return engine


def test_system_prompt_and_sampling_are_always_sent(server: Server) -> None:
    """Ollama's own defaults choose a random seed and a window by video memory."""
    reply = loaded(server).chat([Message("user", " selam ")])
    path, body = server.asked[-1]
    assert path == "/api/chat"
    assert body["messages"] == [{"role": "system", "content": "Kısa konuş."}, {"role": "user", "content": "selam"}]
    assert body["options"]["temperature"] == 0.7
    assert (body["options"]["seed"], body["options"]["num_ctx"], body["options"]["num_predict"]) == (42, 4096, 8)
    assert (reply.text, reply.tokens, reply.prompt_tokens, reply.stopped) == ("Selam", 3, 9, "stop")
    assert reply.first_token_seconds is not None


def test_an_answer_is_held_to_a_schema_only_where_one_is_given(server: Server) -> None:
    engine = loaded(server)
    engine.chat([Message("user", "selam")])
    assert "format" not in server.asked[-1][1]
    engine.chat([Message("user", "selam")], replace(MODEL.settings, schema='{"type": "object"}'))
    assert server.asked[-1][1]["format"] == {"type": "object"}
    assert "schema" not in server.asked[-1][1]["options"]


def test_a_model_that_can_think_is_asked_not_to_and_one_that_does_is_named(server: Server) -> None:
    """Since 0.12 `think` is true unless said; every answer of a thinking base came as thoughts, and its text was empty."""
    thoughts = ({"message": {"content": "", "thinking": "Hmm"}}, {"message": {"content": "", "thinking": ", bir"}})
    server.lines = (*thoughts, *WHOLE)
    said: list[str] = []
    engine = Ollama(server.url, note=said.append)
    engine.load(MODEL)
    assert [engine.chat([Message("user", "selam")]).text for _ in range(2)] == ["Selam", "Selam"]
    assert server.asked[-1][1]["think"] is False
    assert len(said) == 1
    assert "tiny:candidate thinks" in said[0]


def test_an_answer_that_ends_in_half_a_character_is_asked_one_token_shorter(server: Server) -> None:
    """At the token limit a newer Ollama broke off there, and one answer ended a whole evaluation."""
    engine = loaded(server)
    short = GenerationSettings(max_tokens=5)

    def shorter() -> None:
        limit = server.asked[-1][1]["options"]["num_predict"]
        server.lines = WHOLE if limit < 4 else WHOLE[:2]

    server.wait = shorter
    assert engine.chat([Message("user", "selam")], short).text == "Selam"
    assert [body["options"]["num_predict"] for _, body in server.asked[1:]] == [5, 4, 3]
    server.wait = lambda: setattr(server, "lines", WHOLE[:2])
    for settings, asked in ((short, 4), (GenerationSettings(max_tokens=100), 1)):  # far from its end it is a crash
        before = len(server.asked)
        with pytest.raises(EngineError, match="broke off"):
            engine.chat([Message("user", "selam")], settings)
        assert len(server.asked) == before + asked


def test_a_base_model_is_shown_the_examples_that_ollama_does_not_keep(server: Server) -> None:
    loaded(server, keeps_examples=False).chat([Message("user", "selam")])
    assert [turn["content"] for turn in server.asked[-1][1]["messages"]] == ["Kısa konuş.", "örnek", "selam"]


def test_a_cut_answer_ends_the_exchange(server: Server) -> None:
    reply = loaded(server).chat([Message("user", "selam")], on_piece=lambda text: text == "Sel")
    assert (reply.text, reply.stopped) == ("Sel", "cut")


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ((WHOLE[0], {"error": "out of\nmemory"}), "Ollama refused: out of memory"),
        ((WHOLE[0],), "broke off in the middle"),
        ((b"<html>\n",), "not JSON"),
        ((b"[]\n",), "not an object"),
    ],
)
def test_a_failure_after_a_200_is_one_clear_line(server: Server, lines: tuple[Any, ...], words: str) -> None:
    engine = loaded(server)
    server.lines = lines
    with pytest.raises(EngineError, match=words):
        engine.chat([Message("user", "selam")])


@pytest.mark.parametrize(
    ("said", "tokens"),
    [
        ("the input length exceeds the context length", 0),
        ("the prompt is longer than the context length currently available to the model", 0),
        (json.dumps({"error": {"type": "exceed_context_size_error", "n_prompt_tokens": 2622, "n_ctx": 512}}), 2622),
    ],
)
def test_a_prompt_that_is_too_long_is_refused_and_not_answered_in_part(server: Server, said: str, tokens: int) -> None:
    """Left alone Ollama drops the beginning of such a prompt, the system prompt with it, and answers what is left."""
    engine = loaded(server)
    server.status, server.lines = 400, ({"error": said},)
    with pytest.raises(ContextFullError) as error:
        engine.chat([Message("user", "selam")])
    assert error.value.tokens == tokens
    assert (server.asked[-1][1]["truncate"], server.asked[-1][1]["shift"]) == (False, False)


def test_an_ollama_that_does_not_answer_is_said_in_one_line() -> None:
    with pytest.raises(EngineError, match=r"Ollama does not answer at http://127\.0\.0\.1:1"):
        Ollama("http://127.0.0.1:1").load(MODEL)


def test_unloading_twice_and_from_a_dead_server_is_harmless(server: Server) -> None:
    engine = loaded(server)
    engine.unload()
    assert server.asked[-1][1]["keep_alive"] == 0
    count = len(server.asked)
    engine.unload()
    assert len(server.asked) == count


def test_an_ollama_that_hangs_holds_up_no_stop(server: Server) -> None:
    """The first Ctrl-C waited ten minutes for an answer that never came."""
    done = threading.Event()

    class Stop:
        asked = False

        def requested(self) -> bool:
            return self.asked

    stop = Stop()
    engine = Ollama(server.url, stop=stop)
    engine.load(MODEL)
    server.wait = lambda: (setattr(stop, "asked", True), done.wait(60))
    start = time.monotonic()
    with pytest.raises(Interrupted, match="while waiting for Ollama"):
        engine.chat([Message("user", "selam")])
    assert time.monotonic() - start < 20
    done.set()
    server.wait = lambda: None
    engine.unload()
    assert server.asked[-1][1]["keep_alive"] == 0


def test_it_says_that_it_gives_no_token_ids(server: Server) -> None:
    with pytest.raises(EngineError, match="which token"):
        loaded(server).next_logprobs("a", 3)


def test_a_load_that_is_measured_begins_without_the_model(server: Server) -> None:
    """Loading a model that somebody had just asked took no time, and `latency.load` said so."""
    loaded(server, cold=True)
    assert [body["keep_alive"] for _, body in server.asked] == [0, "5m"]
