"""A live Ollama, wherever OLLAMA_HOST answers: what is imported, rendered, evaluated, promoted and rolled back is what answers.

Names begin with `jessy-live-test`, and are removed afterwards. Tiny models alone: the server's own runner answers them.
"""

import json
import os
from pathlib import Path

import pytest
from store_blobs import write_blob

from jessyfile.addresses import ollama_host
from jessyfile.cli import main
from jessyfile.engines.engine import GenerationSettings
from jessyfile.engines.llamacpp_engine import LlamaCpp
from jessyfile.engines.serving import served_model, served_of
from jessyfile.export.ollama_api import OllamaClient, answers
from jessyfile.export.registry import CANDIDATE, LATEST, PREVIOUS, lookup
from jessyfile.language.recipe import Message
from jessyfile.parity.served import FileAnswers, served_faults
from tests.walks import RECIPE, project

NAME = "jessy-live-test"
URL = ollama_host() if os.environ.get("OLLAMA_HOST") else None
pytestmark = [
    pytest.mark.skipif(URL is None or answers(URL) is None, reason="no Ollama answers at OLLAMA_HOST"),
    pytest.mark.slow,
]
GREEDY = GenerationSettings(max_tokens=6)


THINKING = """{{- range .Messages }}<|im_start|>{{ .Role }}
{{ if eq .Role "assistant" }}{{ if .Thinking }}<think>{{ .Thinking }}</think>{{ end }}{{ end }}{{ .Content }}<|im_end|>
{{ end }}<|im_start|>assistant
"""


def silent(*_):
    pass


@pytest.fixture
def client(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = OllamaClient(str(URL))
    _clear(found)
    yield found
    _clear(found)


def _clear(client):
    for name in client.models():
        if name.startswith(NAME):
            client.delete(name)


def recipe_of(root: Path, system: str = "Kısa konuş, zerdali.", base: str = '"./model"') -> Path:
    path = project(root) if not (root / "walk.jessy").exists() else root / "walk.jessy"
    text = RECIPE.replace("NAME walk", f"NAME {NAME}").replace("Kısa konuş, zerdali.", system)
    text = text.replace("{ engine embedded }", '{\n  engine ollama\n  dotenv ".env" "JESSY_MODEL"\n}').replace(
        '"./model"', base
    )
    path.write_text(text, "utf-8")
    return path


def said_by_ollama(tag: str) -> str:
    body = {
        "model": f"{NAME}:{tag}",
        "messages": [{"role": "user", "content": "Erguvan, nerede acaba?"}],
        "stream": False,
        "options": {"temperature": 0, "num_predict": GREEDY.max_tokens},
    }
    told = OllamaClient(str(URL)).ask("/api/chat", body)["message"]
    assert isinstance(told, dict)
    return str(told["content"])


def said_by_file(root: Path, tag: str) -> str:
    entry = lookup(root, NAME, tag)
    assert entry is not None
    (gguf,) = [path for path in (root / ".jessy").glob("store/**/model.gguf") if _digest(path) == entry.digest][:1]
    model = served_model(entry, GREEDY.max_tokens)
    engine = LlamaCpp(parallel=1)
    engine.load(type(model)(**{**{name: getattr(model, name) for name in model.__slots__}, "path": gguf}))
    try:
        return engine.chat([Message("user", "Erguvan, nerede acaba?")], GREEDY).text
    finally:
        engine.unload()


def _digest(path: Path) -> str:
    from jessyfile.fsops import hash_file

    return hash_file(path)


def test_what_is_promoted_is_what_answers(client, tmp_path):
    assert main(["apply", str(recipe_of(tmp_path))]) == 0
    first = said_by_ollama(LATEST)
    assert first == said_by_file(tmp_path, LATEST)
    assert (tmp_path / ".env").read_text() == f"JESSY_MODEL={NAME}:latest\n"
    assert main(["apply", str(recipe_of(tmp_path, system="Uzun uzun anlat, kayısı."))]) == 0
    second = said_by_ollama(LATEST)
    assert second == said_by_file(tmp_path, LATEST)
    assert said_by_ollama(PREVIOUS) == first
    assert main(["rollback", NAME]) == 0
    assert said_by_ollama(LATEST) == first
    assert said_by_ollama(PREVIOUS) == second


def test_a_base_that_thinks_answers_and_its_tune_does_not_think(client, tmp_path):
    """Every answer of a thinking base came as thoughts, and its baseline was empty."""
    blob = write_blob(tmp_path / "thinker.gguf", "qwen3:0.6b")
    digest = client.push_blob(blob, silent)
    thinker = f"{NAME}-thinker:latest"
    client.create({"model": thinker, "files": {"m.gguf": digest}, "template": THINKING}, silent)
    assert "thinking" in client.ask("/api/show", {"model": thinker})["capabilities"]
    path = recipe_of(tmp_path, base=thinker)
    path.write_text(
        path.read_text("utf-8").replace("max_tokens 8", "max_tokens 4"), "utf-8"
    )  # random bytes end mid-character
    assert main(["apply", str(path)]) == 0
    (found,) = (tmp_path / ".jessy").glob("cache/baseline/*.jsonl")
    assert all(json.loads(line)["text"] for line in found.read_text("utf-8").splitlines())
    assert client.ask("/api/show", {"model": f"{NAME}:latest"})["capabilities"] == ["completion"]


def test_a_model_that_jessy_did_not_make_comes_back(client, tmp_path):
    digest = client.push_blob(write_blob(tmp_path / "own.gguf", "gemma3:1b"), silent)
    client.create({"model": f"{NAME}:latest", "files": {"m.gguf": digest}, "system": "Benim."}, silent)
    theirs, kept = said_by_ollama(LATEST), client.file_digest(f"{NAME}:latest")
    assert main(["apply", str(recipe_of(tmp_path))]) == 0
    assert client.file_digest(f"{NAME}:previous") == kept
    assert main(["rollback", NAME]) == 0
    assert said_by_ollama(LATEST) == theirs


@pytest.fixture(scope="module")
def applied(tmp_path_factory):
    """A project whose candidate an apply has given to Ollama."""
    root = tmp_path_factory.mktemp("applied")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        assert main(["apply", str(recipe_of(root))]) == 0
    yield root
    _clear(OllamaClient(str(URL)))


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ({"template": "{{ .Prompt }}"}, "template"),
        ({"system": "Sen başka birisin."}, "system"),
        ({"parameters": {"num_ctx": 2048}}, "parameters"),
        ({"parameters": {"stop": ["X"]}}, "parameters"),
        ({"files": "another"}, "file"),
        ({"template": "{{ if .Tools }}{{ .Tools }}{{ end }}{{ .Prompt }}"}, "capabilities"),
        ({"template": THINKING}, "capabilities"),
    ],
)
def test_a_served_copy_that_differs_is_named(change, kind, applied):
    faults = planted(applied, change)
    assert kind in [one.kind for one in faults], faults


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"license": "MIT"},
        {"parameters": {"num_thread": 1}},
        {"parameters": {"num_ctx": 4096.0}},
        {"messages": []},
        {"info": {"general.author": "x"}},
    ],
)
def test_a_served_copy_that_is_the_same_passes(change, applied):
    assert planted(applied, change) == []


def planted(root, change):
    """Give Ollama another copy of a registered model under its name, and return the faults that are found."""
    client, entry = OllamaClient(str(URL)), lookup(root, NAME, CANDIDATE)
    body = json.loads(next((root / ".jessy").glob("store/**/create.json")).read_text("utf-8"))
    digest = f"sha256:{entry.digest}"
    if "files" in change:
        digest = client.push_blob(write_blob(root / "other.gguf", "gemma3:1b"), silent)
    wanted = {key: value for key, value in change.items() if key != "files"}
    if "parameters" in wanted:
        wanted["parameters"] = {**body["parameters"], **wanted["parameters"]}
    client.create({**body, **wanted, "model": f"{NAME}:{CANDIDATE}", "files": {"model.gguf": digest}}, silent)
    return list(served_faults(client, f"{NAME}:{CANDIDATE}", served_of(entry), FileAnswers(()), [], entry.answering))
