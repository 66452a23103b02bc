"""The Ollama client does what its API asks, and every misbehaviour ends in one EngineError in time."""

import hashlib
import threading
import time

import pytest
from fake_ollama import fake_ollama, send, send_lines

from jessyfile.errors import EngineError
from jessyfile.export import ollama_api as ollama
from jessyfile.export.ollama_api import OllamaClient, answers, is_vulnerable
from jessyfile.planning.consent import key_for


def silent(*_):
    pass


@pytest.fixture
def served():
    with fake_ollama() as (state, url):
        yield state, OllamaClient(url)


def test_a_model_is_uploaded_once_and_created(served, tmp_path):
    state, client = served
    path = tmp_path / "model.gguf"
    path.write_bytes(b"weights" * 1000)
    digest = client.push_blob(path, silent)
    assert digest == "sha256:" + hashlib.sha256(path.read_bytes()).hexdigest()
    state.answer[("POST", "/api/blobs")] = lambda handler: send(handler, 500)
    assert client.push_blob(path, silent) == digest
    client.create({"model": "tiny:candidate", "files": {"model.gguf": digest}}, silent)
    assert client.has("tiny:candidate")


def test_names_are_copied_swapped_and_deleted(served):
    state, client = served
    state.models = {"t:latest": "1", "t:previous": "2"}
    client.swap("t:latest", "t:previous")
    assert state.models == {"t:latest": "2", "t:previous": "1"}
    client.delete("t:previous")
    client.delete("t:previous")
    assert state.models == {"t:latest": "2"}
    with pytest.raises(EngineError, match="not there"):
        client.copy("t:none", "t:latest")


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        ([{"status": "reading"}, {"error": "unsupported architecture"}], "unsupported architecture"),
        ([{"status": "reading"}], "without saying success"),
        ([], "without saying success"),
        ([b"not json\n"], "not JSON"),
        ([b"[1]\n"], "could not create"),
        ([b"[" * 50_000 + b"\n"], "not JSON"),
        ([b"x" * 200_000], "line of more than"),
        ([{"status": "success"}, {"status": "again"}], "without saying success"),
    ],
)
def test_a_create_without_a_final_success_has_failed(lines, says, served):
    """An error can come after HTTP 200, and a server can stop in the middle."""
    state, client = served
    state.create_lines = lines
    with pytest.raises(EngineError, match=says) as caught:
        client.create({"model": "t:candidate", "from": "base"}, silent)
    assert len(caught.value.message) < 500


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (lambda h: send(h, 500, {"error": "boom"}), "HTTP 500.*boom"),
        (lambda h: send(h, 404), "HTTP 404"),
        (lambda h: send(h, 302, headers=[("Location", "http://example.org/")]), "HTTP 302"),
        (lambda h: send(h, 200, {"version": 3}), "not as Ollama does"),
        (lambda h: send(h, 200, []), "not as Ollama does"),
        (lambda h: send_lines(h, [b"{"]), "not JSON"),
        (lambda h: send_lines(h, [b"x" * (2 << 20)]), "longer than 1 MiB"),
        (lambda h: send(h, 200, {"version": "1"}, headers=[("Content-Encoding", "gzip")]), "compressed its answer"),
        (lambda h: h.wfile.write(b"SSH-2.0-OpenSSH\r\n\r\n"), "broke"),
        (lambda h: h.connection.close(), "broke"),
    ],
)
def test_a_strange_server_is_one_clear_line(answer, says, served):
    state, client = served
    state.answer[("GET", "/api/version")] = answer
    with pytest.raises(EngineError, match=says):
        client.version()


@pytest.mark.parametrize("beginning", [b"HTTP/1.1 200 OK\r\nx: ", b"HTTP/1.1 200 OK\r\n\r\n"])
def test_an_answer_that_drips_is_cut_off(served, monkeypatch, beginning):
    """A byte now and then never ends a read's own time limit, in the headers neither; the whole exchange has one too."""
    state, client = served
    done = threading.Event()

    def drip(handler):
        handler.wfile.write(beginning)
        while not done.wait(0.02):
            handler.wfile.write(b"x")

    state.answer[("POST", "/api/create")] = drip
    monkeypatch.setattr(ollama, "_CREATE_SECONDS", 0.4)
    started = time.perf_counter()
    with pytest.raises(EngineError, match="too long"):
        client.create({"model": "t:candidate", "from": "base"}, silent)
    assert time.perf_counter() - started < 2
    done.set()


def test_nobody_there_is_found_out_at_once():
    started = time.perf_counter()
    assert answers("http://127.0.0.1:9") is None
    assert time.perf_counter() - started < 1
    with pytest.raises(EngineError, match="does not answer at") as caught:
        OllamaClient("http://127.0.0.1:9").version()
    assert "engine embedded" in caught.value.hint


def test_a_silent_server_does_not_hold_up_the_choice_of_engine(served):
    state, client = served
    done = threading.Event()
    state.answer[("GET", "/api/version")] = lambda handler: done.wait(5)
    started = time.perf_counter()
    assert answers(client.url) is None
    assert time.perf_counter() - started < 2
    done.set()


@pytest.mark.parametrize(("status", "key"), [(401, None), (403, None), (401, "k"), (403, "k")])
def test_a_server_that_lets_nobody_in_is_told_apart_from_one_that_is_down(status, key, served, monkeypatch):
    """Behind a proxy that wants a key, `does not answer` sent people to restart a server that ran."""
    state, client = served
    monkeypatch.delenv("JESSY_ALLOW_HOSTS", raising=False)
    if key:
        host = client.url.removeprefix("http://")
        monkeypatch.setenv("JESSY_ALLOW_HOSTS", f"{host}=OLLAMA_KEY other.example=JUDGE_KEY")
        monkeypatch.setenv("OLLAMA_KEY", key)
    sent = []

    def refuse(handler):
        sent.append(handler.headers.get("Authorization"))
        send(handler, status)

    for call in (("GET", "/api/version"), ("POST", "/api/show"), ("HEAD", "/api/blobs")):
        state.answer[call] = refuse
    for ask in (client.version, lambda: client.has("tiny")):
        with pytest.raises(EngineError, match=f"HTTP {status}") as caught:
            ask()
        assert "key" in caught.value.message + caught.value.hint
    assert set(sent) == {f"Bearer {key}" if key else None}


def test_a_key_goes_to_the_host_that_it_is_for(served, monkeypatch):
    state, client = served
    monkeypatch.setenv("JESSY_ALLOW_HOSTS", "other.example=OLLAMA_KEY")
    monkeypatch.setenv("OLLAMA_KEY", "secret")
    sent = []
    state.answer[("GET", "/api/version")] = lambda handler: (
        sent.append(handler.headers.get("Authorization")),
        send(handler, 200, {"version": "1"}),
    )
    client.version()
    assert sent == [None]


@pytest.mark.parametrize("name", ["library/tiny:latest", "registry.ollama.ai/library/tiny:latest", "Tiny:latest"])
def test_a_name_is_found_as_ollama_shortens_it(name, served):
    """A copy to `library/tiny` was made, listed as `tiny`, and taken for not made."""
    state, client = served
    state.models = {"tiny:latest": "1"}
    assert client.manifest(name) == client.manifest("tiny:latest")
    assert client.manifest(name) is not None
    assert client.manifest("other/tiny:latest") is None


@pytest.mark.parametrize(
    ("url", "allowed", "key"),
    [
        ("https://gw.example", "gw.example=A", "a"),
        ("http://gw.example", "gw.example=A", None),  # everybody on the way would read it
        ("http://127.0.0.1:11434", "127.0.0.1:11434=A", "a"),
        ("https://gw.example", "gw.example=A,gw.example=B", None),  # which of them is not said
        ("https://gw.example", "gw.example", None),
        ("nothing", "nothing=A", None),
    ],
)
def test_which_key_a_server_gets(url, allowed, key, monkeypatch):
    monkeypatch.setenv("JESSY_ALLOW_HOSTS", allowed)
    monkeypatch.setenv("A", "a")
    monkeypatch.setenv("B", "b")
    assert key_for(url) == key


def test_versions_with_a_known_hole_are_named():
    assert is_vulnerable("0.17.0")
    assert is_vulnerable("0.9.12-rc1")
    assert not is_vulnerable("0.17.1")
    assert not is_vulnerable("0.33.0")
    assert not is_vulnerable("dev")
    assert not is_vulnerable("0.0.0")  # built from the source


@pytest.mark.parametrize("url", ["", "127.0.0.1:11434", "ftp://x", "http://[", "http://\n"])
def test_an_address_that_is_none_is_refused(url):
    with pytest.raises(EngineError, match="is no address of an Ollama server"):
        OllamaClient(url).version()
