"""Import and promotion beside an Ollama that fails at any request, or dies with jessy: NAME:latest is a working model all the time."""

import copy
import hashlib
import shutil
import socket
import threading
from types import SimpleNamespace

import pytest
from fake_ollama import fake_ollama, send, send_lines
from packing_line import Line
from tiny import tiny_model

from jessyfile.errors import JessyError
from jessyfile.export import ollama_api
from jessyfile.export.export_steps import run_import
from jessyfile.export.registry import CANDIDATE, LATEST, PREVIOUS, check_answering, lookup


class Killed(BaseException):
    """The process ends here."""


@pytest.fixture(scope="module")
def packed(tmp_path_factory):
    """A project with two packed models, and what stands registered once the first is promoted."""
    root = tmp_path_factory.mktemp("two")
    tiny_model(root / "model")
    with fake_ollama() as (state, url):
        deploy = SimpleNamespace(engine="ollama", ollama=url, dotenv=None)
        lines = [Line(root, seed=seed, deploy=deploy).packed() for seed in (1, 2)]
        lines[0].step("import", run_import)
        lines[0].promoted()
        shutil.copytree(root / ".jessy" / "models", root / "registered")
        yield root, state, lines[1], (dict(state.blobs), dict(state.models))


@pytest.fixture
def second(packed):
    """The second model's line, the server as the first promotion left it."""
    root, state, line, (blobs, models) = packed
    shutil.rmtree(root / ".jessy" / "models")
    shutil.copytree(root / "registered", root / ".jessy" / "models")
    state.blobs, state.models = dict(blobs), copy.deepcopy(models)
    state.answer.clear()
    yield root, state, line
    state.answer.clear()
    state.rewrites = False


def run(line):
    line.step("import", run_import)
    line.promoted()


def digest_at(state, tag):
    model = state.models.get(f"tiny:{tag}")
    return model and next(iter(model["files"].values())).removeprefix("sha256:")


def finished(root, state, line):
    """Whether everything is as after a run that nothing disturbed."""
    new, old = line.facts["gguf"].digest, hashlib.sha256(next(iter(state.blobs.values()))).hexdigest()
    kept = ["e" * 64] * 2 if state.rewrites else [new, new]
    assert [digest_at(state, tag) for tag in (CANDIDATE, LATEST, PREVIOUS)] == [*kept, old]
    assert [lookup(root, "tiny", tag).digest for tag in (CANDIDATE, LATEST, PREVIOUS)] == [new, new, old]
    assert not [name for name in state.models if "kept" in name or "swap" in name]
    for tag in (LATEST, PREVIOUS):
        check_answering(root, lookup(root, "tiny", tag))


def counted(monkeypatch, at):
    """Kill the process once its n-th request has been answered; None only counts."""
    genuine, count = ollama_api.OllamaClient._exchange, [0]

    def exchange(self, *arguments, **named):
        found = genuine(self, *arguments, **named)
        count[0] += 1
        if count[0] != at:
            return found

        class Dying:
            def __enter__(self):
                return found.__enter__()

            def __exit__(self, *error):
                found.__exit__(*error)
                raise Killed

        return Dying()

    monkeypatch.setattr(ollama_api.OllamaClient, "_exchange", exchange)
    return count


@pytest.mark.parametrize("rewrites", [False, True])
def test_a_kill_after_any_request_leaves_latest_on_a_model_and_goes_on(rewrites, second, monkeypatch):
    root, state, line = second
    state.rewrites = rewrites
    new, old = line.facts["gguf"].digest, digest_at(state, LATEST)
    registered, blobs, models = root / ".jessy" / "models", dict(state.blobs), copy.deepcopy(state.models)
    with monkeypatch.context() as patch:
        count = counted(patch, None)
        run(line)
    finished(root, state, line)
    requests = count[0]
    assert requests >= 9
    for at in range(1, requests + 1):
        shutil.rmtree(registered)
        shutil.copytree(root / "registered", registered)
        state.blobs, state.models = dict(blobs), copy.deepcopy(models)
        with monkeypatch.context() as patch:
            counted(patch, at)
            with pytest.raises(Killed):
                run(line)
        assert digest_at(state, LATEST) in (old, new, "e" * 64), at
        assert lookup(root, "tiny", LATEST) is not None
        run(line)
        finished(root, state, line)


HOSTILE = {
    "500": lambda h: send(h, 500, {"error": "boom"}),
    "404": lambda h: send(h, 404, {"error": "not found"}),
    "401": lambda h: send(h, 401),
    "gone": lambda h: h.connection.close(),
    "a page": lambda h: send_lines(h, [b"<html>sign in</html>\n"]),
    "a list": lambda h: send_lines(h, [b"[]\n"]),
    "an error after 200": lambda h: send_lines(h, [{"status": "x"}, {"error": "no space left on device"}]),
    "endless": lambda h: send_lines(h, [b"x" * (3 << 20)]),
}
REQUESTS = {
    "version": ("GET", "/api/version"),
    "is the blob there": ("HEAD", "/api/blobs"),
    "upload": ("POST", "/api/blobs"),
    "create": ("POST", "/api/create"),
    "show": ("POST", "/api/show"),
    "tags": ("GET", "/api/tags"),
    "copy": ("POST", "/api/copy"),
}


@pytest.mark.parametrize("request_", REQUESTS)
@pytest.mark.parametrize("answer", HOSTILE)
def test_a_hostile_answer_to_any_request_ends_clearly_or_changes_nothing(request_, answer, second, monkeypatch):
    root, state, line = second
    monkeypatch.setattr(ollama_api, "_CALL_SECONDS", 2.0)
    monkeypatch.setattr(ollama_api, "_CREATE_SECONDS", 2.0)
    new, old = line.facts["gguf"].digest, digest_at(state, LATEST)
    state.answer[REQUESTS[request_]] = HOSTILE[answer]
    try:
        run(line)
    except JessyError as error:
        assert len(error.message) < 600
        assert "\n" not in error.message
    assert digest_at(state, LATEST) in (old, new)
    registered = lookup(root, "tiny", LATEST).digest
    assert registered in (old, new)
    state.answer.clear()
    run(line)
    finished(root, state, line)


def test_a_cut_in_the_middle_of_a_large_file_says_so(tmp_path):
    """A network that went away in a gigabyte ended as `the connection broke`, with no word of what was lost and what to do."""
    path = tmp_path / "large.gguf"
    with open(path, "wb") as handle:
        handle.truncate(1 << 30)
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=cut_after, args=(server, 40 << 20))
        thread.start()
        client = ollama_api.OllamaClient(f"http://127.0.0.1:{server.getsockname()[1]}")
        with pytest.raises(JessyError, match=r"after \d+ of 1024 MiB") as caught:
            client.push_blob(path, lambda *_: None)
        thread.join()
    assert "from its beginning" in caught.value.hint


def cut_after(server, count):
    """Say that the blob is not there, take `count` bytes of it, and be gone."""
    with server.accept()[0] as first:
        first.recv(1 << 16)
        first.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    with server.accept()[0] as second:
        while count > 0:
            count -= len(second.recv(1 << 20))
