"""The steps from an adapter to a promoted model, on a tiny real one, with both engines."""

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from adapters_made import numbers, peft_adapter
from embedded import compare, llama_cpp
from fake_ollama import fake_ollama, manifest_of
from packing_line import Line
from safetensors.numpy import load_file
from tiny import tiny_adapter, tiny_model
from world import context

from jessyfile.errors import DamagedError, EngineError, ExportError, Interrupted
from jessyfile.export.export_steps import run_gguf, run_import, run_merge
from jessyfile.export.registry import CANDIDATE, LATEST, PREVIOUS, check_answering, holds_candidate, lookup
from jessyfile.models.base_step import run_base
from jessyfile.models.gguf_reader import read_gguf
from jessyfile.planning.canonical import normal


@pytest.fixture
def root(tmp_path):
    tiny_model(tmp_path / "model")
    return tmp_path


def test_an_adapter_becomes_a_promoted_model_that_llama_cpp_serves(root):
    line = Line(root).packed()
    line.recipe.deploy.dotenv = (".env", "JESSY_MODEL")
    facts = line.step("import", run_import)
    assert facts.engine == "embedded"
    assert holds_candidate(line.recipe, root, normal(facts))
    entry = lookup(root, "tiny", CANDIDATE)
    assert entry.gguf == str(line.inputs["gguf"] / "model.gguf")
    assert entry.served["system"] == "Kısa konuş."
    assert lookup(root, "tiny", LATEST) is None
    assert line.promoted().promoted
    assert lookup(root, "tiny", LATEST).digest == facts.digest
    assert (root / ".env").read_text() == "JESSY_MODEL=tiny:latest\n"
    with llama_cpp(lookup(root, "tiny").gguf) as engine:
        parity = compare(line.inputs["merge"], engine.ask, ["selam", "napıyon"])
    assert parity.agreement == 1.0
    assert parity.divergence < 1e-3


@pytest.mark.parametrize("model_type", ["gemma3_text", "llama"])
def test_a_head_that_an_adapter_unties_is_served(model_type, root):
    """PEFT trains a copy of the embedding, so the base's head stays behind, and the GGUF needs a tensor for each."""
    shutil.rmtree(root / "model")
    shape = load_file(tiny_model(root / "model", model_type) / "model.safetensors")["model.embed_tokens.weight"].shape
    peft_adapter(root / "old", {"model.embed_tokens.weight": numbers(*shape)}, modules_to_save=["embed_tokens"])
    line = Line(root, adapter="./old").packed()
    with llama_cpp(line.inputs["gguf"] / "model.gguf") as engine:
        parity = compare(line.inputs["merge"], engine.ask, ["selam", "napıyon"])
    assert parity.agreement == 1.0
    assert parity.divergence < 1e-3


def test_a_failed_must_leaves_latest_where_it_was(root):
    first = Line(root, seed=1).packed()
    first.step("import", run_import)
    first.promoted()
    before = lookup(root, "tiny", LATEST)
    second = Line(root, seed=2).packed()
    second.step("import", run_import)
    facts = second.promoted(passed=False)
    assert not facts.promoted
    assert "turkish_accuracy" in facts.reason
    assert lookup(root, "tiny", LATEST) == before
    assert lookup(root, "tiny", CANDIDATE).digest != before.digest


def test_ollama_gets_the_model_by_json_and_its_names_move(root):
    with fake_ollama() as (state, url):
        deploy = SimpleNamespace(engine="auto", ollama=url, dotenv=None)
        for seed in (1, 2):
            line = Line(root, seed=seed, deploy=deploy).packed()
            assert line.step("import", run_import).engine == "ollama"
            assert line.promoted().promoted
        body = next(body for word, body in state.bodies if word == "create")
        assert body["model"] == "tiny:candidate"
        assert body["files"].keys() == {"model.gguf"}
        assert body["system"] == "Kısa konuş."
        assert "modelfile" not in body
        digests = {name: model["files"]["model.gguf"].removeprefix("sha256:") for name, model in state.models.items()}
    for tag in (CANDIDATE, LATEST, PREVIOUS):
        assert digests[f"tiny:{tag}"] == lookup(root, "tiny", tag).digest
    assert digests["tiny:latest"] != digests["tiny:previous"]


def test_a_server_that_writes_the_file_anew_is_asked_for_the_one_that_it_keeps(root):
    """Since 0.30 Ollama rewrites a created GGUF; other bytes in its store are no other model."""
    with fake_ollama() as (state, url):
        state.rewrites = True
        line = Line(root, deploy=SimpleNamespace(engine="ollama", ollama=url, dotenv=None)).packed()
        facts = line.step("import", run_import)
        entry = lookup(root, "tiny", CANDIDATE)
        assert (entry.digest, entry.kept) == (facts.digest, "e" * 64)
        check_answering(root, entry)
        assert holds_candidate(line.recipe, root, normal(facts), True)
        line.promoted()
        assert "tiny:previous" not in state.models
        state.models["tiny:latest"] = "theirs"
        with pytest.raises(DamagedError, match="serves another file"):
            check_answering(root, lookup(root, "tiny", LATEST))


def test_a_candidate_that_jessy_did_not_make_is_not_written_over(root):
    with fake_ollama() as (state, url):
        state.models["tiny:candidate"] = "theirs"
        line = Line(root, deploy=SimpleNamespace(engine="ollama", ollama=url, dotenv=None)).packed()
        line.step("import", run_import)
        line.step("import", run_import)
        kept = [name for name, model in state.models.items() if model == "theirs"]
    assert kept == [f"tiny:kept-{manifest_of('theirs')[:12]}"]


def test_an_interrupted_move_in_ollama_does_not_lose_the_previous_model(root, monkeypatch):
    """Stopped between the two copies and run again, previous is still the model before, not the new one."""
    from jessyfile.export.ollama_api import OllamaClient

    with fake_ollama() as (state, url):
        deploy = SimpleNamespace(engine="ollama", ollama=url, dotenv=None)
        lines = [Line(root, seed=seed, deploy=deploy).packed() for seed in (1, 2)]
        lines[0].step("import", run_import)
        lines[0].promoted()
        lines[1].step("import", run_import)
        copy, first = OllamaClient.copy, state.models["tiny:latest"]

        def dies(self, source, destination):
            copy(self, source, destination)
            if destination == "tiny:latest":
                raise EngineError("killed here")

        monkeypatch.setattr(OllamaClient, "copy", dies)
        with pytest.raises(EngineError):
            lines[1].promoted()
        monkeypatch.setattr(OllamaClient, "copy", copy)
        lines[1].promoted()
        assert state.models["tiny:previous"] == first
        assert state.models["tiny:latest"] != first


def test_an_ollama_that_the_recipe_insists_on_must_answer(root):
    line = Line(root, deploy=SimpleNamespace(engine="ollama", ollama="http://127.0.0.1:9", dotenv=None)).packed()
    with pytest.raises(EngineError, match="does not answer"):
        line.step("import", run_import)


def test_an_old_ollama_is_named(root):
    with fake_ollama() as (state, url):
        state.version = "0.16.0"
        line = Line(root, deploy=SimpleNamespace(engine="auto", ollama=url, dotenv=None)).packed()
        line.step("import", run_import)
    assert any("CVE-2026-7482" in note for note in line.contexts["import"].progress.notes)


def test_a_k_quant_is_made_here_and_ollama_is_asked_for_none(root):
    """It was left to Ollama, which stopped quantizing at import, or needed a program that nobody has."""
    with fake_ollama() as (state, url):
        line = Line(root, export=SimpleNamespace(format="gguf", quantize="q4_k_m"))
        line.recipe.deploy = SimpleNamespace(engine="auto", ollama=url, dotenv=None)
        assert line.packed().facts["gguf"].type == "q4_k_m"
        line.step("import", run_import)
        assert "quantize" not in state.models["tiny:candidate"]
    assert read_gguf(line.inputs["gguf"] / "model.gguf").metadata["general.file_type"] == 15


def test_the_same_inputs_give_the_same_outputs(root):
    """Nothing of a step's output depends on when or where it ran, or the store would never find it again."""
    outputs = []
    for number in (1, 2):
        line = Line(root).packed()
        files = {
            f"{name}/{path.name}": path.read_bytes() for name in line.facts for path in line.inputs[name].iterdir()
        }
        outputs.append(files)
        for name in list(line.facts):
            for path in line.inputs[name].iterdir():
                os.unlink(path)
        assert number == len(outputs)
    assert outputs[0] == outputs[1]


def test_a_stop_is_heard_while_writing(root):
    line = Line(root).packed()
    for run in (run_merge, run_gguf):
        made = context(root, line.recipe, line.inputs, line.facts, stop=True, step=f"stopped-{run.__name__}")
        with pytest.raises(Interrupted):
            run(made)
        assert not [path for path in made.output.iterdir() if path.suffix in (".gguf", ".safetensors")]


def test_an_adapter_of_another_base_is_refused(root):
    line = Line(root)
    line.inputs["train"] = tiny_adapter(root / "other", {"model.layers.9.self_attn.q_proj": (128, 64)})
    line.step("base", run_base)
    with pytest.raises(ExportError, match=r"cannot be merged.*layers\.9"):
        line.step("merge", run_merge)


def test_the_create_request_on_disk_is_valid_json_for_candidate(root):
    line = Line(root).packed()
    body = json.loads((line.inputs["modelfile"] / "create.json").read_text())
    assert body["model"] == "tiny:candidate"
    assert (line.inputs["modelfile"] / "Modelfile").read_text().count("FROM ") == 1


@pytest.mark.parametrize(("engine", "asked"), [("ollama", True), ("embedded", False), ("auto", False)])
def test_only_a_recipe_that_insists_on_ollama_is_stopped_before_the_first_step(engine, asked):
    from jessyfile.export.export_checks import import_preflight
    from jessyfile.language import load_recipe
    from jessyfile.planning.preflight import Outlook

    made = load_recipe(Path(__file__).parents[2] / "recipes" / "v2-270m.jessy").recipe
    made = replace(made, deploy=replace(made.deploy, engine=engine, ollama="http://127.0.0.1:9"))
    found = list(import_preflight(Outlook(made, made.path.parent, {"import"}, reach="network")))
    assert [finding.severity for finding in found] == ["error"] * asked
    assert all("does not answer at http://127.0.0.1:9" in finding.message for finding in found)
    assert list(import_preflight(Outlook(made, made.path.parent, {"import"}))) == []  # a plan asks nobody
