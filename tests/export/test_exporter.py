"""`ModelExporter`: the steps behind a training from code, with the bytes of an apply, over nothing of the user's."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import mlx.core as mx
import numpy as np
import pytest
from fake_ollama import fake_ollama
from tiny import TYPES, tiny_adapter, tiny_model
from world import context, recipe

from jessyfile import (
    EngineError,
    ExportError,
    JessyError,
    LoRAConfig,
    MLXFineTuner,
    ModelError,
    ModelExporter,
    ProjectError,
    StorageError,
    TrainingConfig,
    TrainingDataGenerator,
    TrainingDataset,
)
from jessyfile.engines.promoted import find
from jessyfile.engines.serving import engine_of, loaded, served_model
from jessyfile.errors import ConsentError, ModelfileError
from jessyfile.export.export_steps import run_gguf, run_merge
from jessyfile.export.registry import lookup, rollback
from jessyfile.importing.modelfile_reader import read_modelfile
from jessyfile.language.recipe import Message
from jessyfile.models.base_step import run_base
from jessyfile.models.gguf_reader import read_gguf
from jessyfile.models.load import load_model
from jessyfile.planning.maintenance import check, collect

Q_PROJ = {"model.layers.1.self_attn.q_proj": (128, 64)}


@pytest.fixture
def place(tmp_path, monkeypatch):
    """The working folder, which is no project, with a base and an adapter of it."""
    tiny_model(tmp_path / "base")
    tiny_adapter(tmp_path / "adapter", Q_PROJ)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def gguf(place):
    return convert(place)


def convert(place, exporter=None, **more):
    exporter = exporter or ModelExporter()
    return exporter.convert_to_gguf(exporter.merge_lora_weights("./base", "adapter"), **more)


def names(folder):
    return sorted(path.name for path in Path(folder).iterdir())


@pytest.mark.parametrize("base", ["./base", "./base.gguf"])
def test_the_gguf_has_the_bytes_of_an_apply(base, place):
    """Two roads to one file would differ one day, and only one of them is proved by every apply."""
    if base == "./base.gguf":
        Path(ModelExporter().convert_to_gguf("base", quantize="f16")).rename(base)
        (place / "jessy-export.json").unlink()
    made, inputs = recipe(place, base=base, export=SimpleNamespace(format="gguf", quantize="q8_0")), {}
    inputs["train"] = place / "adapter"
    for name, run in (("base", run_base), ("merge", run_merge), ("gguf", run_gguf)):
        step = context(place / "project", made, inputs, step=name)
        if name == "base":
            step = replace(step, root=place)
        run(step)
        inputs[name] = step.output
    exporter = ModelExporter()
    mine = exporter.convert_to_gguf(exporter.merge_lora_weights(base, "adapter"))
    assert mine == str(place / "adapter-merged-Q8_0.gguf")
    assert Path(mine).read_bytes() == (inputs["gguf"] / "model.gguf").read_bytes()


@pytest.mark.parametrize("model_type", TYPES)
def test_merged_and_converted_a_model_answers_as_base_and_adapter_do(model_type, tmp_path, monkeypatch):
    from mlx_lm.utils import load_adapters

    monkeypatch.chdir(tmp_path)
    base = tiny_model(tmp_path / "base", model_type)
    name = "qkv_proj" if model_type == "phi3" else "q_proj"
    (rows, _) = mx.load(str(base / "model.safetensors"))[f"model.layers.1.self_attn.{name}.weight"].shape
    adapter = tiny_adapter(tmp_path / "adapter", {f"model.layers.1.self_attn.{name}": (rows, 64)}, scale=0.1)
    told = json.loads((adapter / "adapter_config.json").read_text())
    parameters = {"rank": 4, "scale": 0.1, "dropout": 0.0, "keys": [f"self_attn.{name}"]}
    layers = json.loads((base / "config.json").read_text())["num_hidden_layers"]
    (adapter / "adapter_config.json").write_text(
        json.dumps({**told, "num_layers": layers, "lora_parameters": parameters})
    )
    exporter = ModelExporter(tmp_path / "out")
    merged = exporter.merge_lora_weights(base, adapter)
    assert merged == str(tmp_path / "out" / "adapter-merged")
    ids = mx.array([[2, *range(30, 60)]])
    tuned = load_adapters(load_model(base)[0], str(adapter))
    tuned.eval()
    np.testing.assert_allclose(load_model(Path(merged))[0](ids), tuned(ids), atol=5e-3, rtol=1e-3)
    file = read_gguf(Path(exporter.convert_to_gguf(merged, quantize="F16")))
    assert file.path == tmp_path / "out" / "adapter-merged-F16.gguf"


def test_a_folder_of_another_program_is_converted_too(place):
    """A folder that is no jessy's has a config and a tokenizer that a GGUF cannot be written from as they are."""
    made = ModelExporter().convert_to_gguf("base", quantize="f16")
    assert read_gguf(Path(made)).text("general.architecture") == "gemma3"
    assert names(place) == ["adapter", "base", "base-F16.gguf", "jessy-export.json"]


def test_everything_is_made_again_over_what_was_made_before(place):
    first = convert(place)
    before = Path(first).read_bytes()
    tiny_adapter(place / "adapter", Q_PROJ, seed=2)
    assert convert(place) == first
    assert Path(first).read_bytes() != before
    ModelExporter().create_modelfile(first, "Bir.")
    assert "İki." in Path(ModelExporter().create_modelfile(first, "İki.")).read_text()
    assert names(place) == [
        "Modelfile", "adapter", "adapter-merged", "adapter-merged-Q8_0.gguf", "base", "jessy-export.json",
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["adapter-merged", "adapter-merged-Q8_0.gguf", "Modelfile", "jessy-export.json"])
@pytest.mark.parametrize("kind", ["file", "folder", "link", "changed"])
def test_what_jessy_did_not_write_stays(name, kind, place):
    if kind == "changed":
        ModelExporter().create_modelfile(convert(place), "Bir.")
        path = place / name / "config.json" if name == "adapter-merged" else place / name
        path.write_bytes(path.read_bytes() + b"\n")
    elif kind == "folder":
        path = place / name / "mine.txt"
        path.parent.mkdir()
        path.write_text("mine")
    else:
        path = place / name
        path.write_text("mine") if kind == "file" else path.symlink_to("base/config.json")
    before = path.read_bytes()
    with pytest.raises(ProjectError, match=r"jessy did not write|is no folder"):
        ModelExporter().create_modelfile(convert(place), "İki.")
    assert path.read_bytes() == before
    assert path.is_symlink() is (kind == "link")


def test_a_modelfile_says_what_the_model_was_trained_in(gguf, place):
    path = Path(ModelExporter().create_modelfile(gguf, "  Sen JESSY'sin.\n"))
    assert path == place / "Modelfile"
    told = {one.name: one.args for one in read_modelfile(path.read_text())}
    assert (path.parent / told["model"]).resolve() == Path(gguf)
    assert (told["system"], told["stop"]) == ("Sen JESSY'sin.", "<end_of_turn>")
    assert "<start_of_turn>user" in told["template"]
    assert not [
        one for one in read_modelfile(Path(ModelExporter().create_modelfile(gguf)).read_text()) if one.name == "system"
    ]


@pytest.mark.parametrize("system", ['"""\nx', "a\u200db", "a\u00a0b"])
def test_a_system_prompt_that_a_modelfile_cannot_say_is_refused(system, gguf, place):
    """It would have been left out, and the model asked without it."""
    with pytest.raises(ExportError, match="cannot say this SYSTEM"):
        ModelExporter().create_modelfile(gguf, system)
    assert not (place / "Modelfile").exists()


def test_ollama_gets_the_model_and_keeps_it_alone_where_there_is_no_project(gguf, place):
    with fake_ollama() as (state, url):
        exporter = ModelExporter(ollama=url)
        assert exporter.import_to_ollama(exporter.create_modelfile(gguf, "Kısa konuş."), "jessy-v2") == "ollama"
    (body,) = [body for word, body in state.bodies if word == "create"]
    assert (body["model"], body["system"]) == ("jessy-v2:latest", "Kısa konuş.")
    assert body["parameters"]["stop"] == ["<end_of_turn>"]
    assert state.blobs[body["files"]["model.gguf"]] == Path(gguf).read_bytes()
    assert not (place / ".jessy").exists()


def test_in_a_project_the_model_before_is_kept_in_ollama(gguf, place):
    (place / ".jessy").mkdir()
    with fake_ollama() as (state, url):
        exporter = ModelExporter(ollama=url)
        for system in ("Bir.", "İki."):
            exporter.import_to_ollama(exporter.create_modelfile(gguf, system), "jessy-v2")
        assert state.models["jessy-v2:latest"]["system"] == "İki."
        assert state.models["jessy-v2:previous"]["system"] == "Bir."
        assert lookup(place, "jessy-v2").served["system"] == "İki."
        rollback("jessy-v2", place)
        assert state.models["jessy-v2:latest"]["system"] == "Bir."


def test_a_modelfile_written_by_hand_is_imported_with_its_values(gguf, place):
    text = f'FROM {gguf}\nSYSTEM """Kısa\nkonuş."""\nPARAMETER temperature 0.5\nPARAMETER stop "X"\nMESSAGE user selam\nMESSAGE assistant sana da\nLICENSE MIT\n'
    (place / "Modelfile").write_text(text)
    with fake_ollama() as (state, url):
        ModelExporter(ollama=url).import_to_ollama("Modelfile", "mine")
    (body,) = [body for word, body in state.bodies if word == "create"]
    assert body["parameters"]["temperature"] == 0.5
    assert body["parameters"]["stop"] == ["X", "<end_of_turn>"]
    assert body["system"] == "Kısa\nkonuş."
    assert body["messages"] == [{"role": "user", "content": "selam"}, {"role": "assistant", "content": "sana da"}]
    assert body["license"] == ["MIT"]


def test_without_an_ollama_the_embedded_engine_serves_it(gguf, place):
    """The file lies in the store then: what the user does with his own changes nothing, and `gc` keeps it while it is served."""
    exporter = ModelExporter(ollama="http://127.0.0.1:9")
    assert exporter.import_to_ollama(exporter.create_modelfile(gguf, "Kısa konuş."), "jessy-v2") == "embedded"
    Path(gguf).unlink()
    collect(place, keep=0, held={Path(lookup(place, "jessy-v2").gguf).parents[1].name})
    assert check(place) == []
    entry = find(place, "jessy-v2").entry
    engine = engine_of(entry)
    with loaded(engine, served_model(entry, 4)):
        assert engine.chat((Message("user", "selam"),)).tokens > 0


def test_a_gguf_alone_is_served_in_the_format_of_its_vocabulary(gguf, place):
    ModelExporter(engine="embedded").import_to_ollama(gguf, "bare")
    entry = lookup(place, "bare")
    assert (entry.served["chat_format"], entry.served["system"]) == ("gemma", None)
    assert entry.served["parameters"]["stop"] == ["<end_of_turn>"]


@pytest.mark.parametrize(
    ("call", "error", "said"),
    [
        (lambda e, g: e.merge_lora_weights("./nothing", "adapter"), ModelError, "does not exist"),
        (lambda e, g: e.merge_lora_weights("nosuch:1b", "adapter"), ModelError, "no base model for|store has none"),
        (lambda e, g: e.merge_lora_weights("./base", "nothing"), ExportError, "is no adapter's folder"),
        (lambda e, g: e.merge_lora_weights("./base", "base"), ExportError, "has no adapter_config.json"),
        (lambda e, g: e.merge_lora_weights("./adapter", "adapter"), ModelError, "holds an adapter, not a model"),
        (lambda e, g: e.merge_lora_weights("./base", "other"), ExportError, "which the base model does not have"),
        (lambda e, g: e.merge_lora_weights("a\0b", "adapter"), ModelError, "leads nowhere"),
        (lambda e, g: e.merge_lora_weights("./base", "a\0b"), ProjectError, "no path can have"),
        (lambda e, g: e.convert_to_gguf("nothing"), ExportError, "is no model's folder"),
        (lambda e, g: e.convert_to_gguf(g), ExportError, "is no model's folder"),
        (lambda e, g: e.convert_to_gguf("adapter"), ModelError, "holds an adapter"),
        (lambda e, g: e.convert_to_gguf("base", quantize="q9"), ExportError, "no type|is no"),
        (lambda e, g: e.create_modelfile("nothing.gguf", "x"), JessyError, "nothing.gguf"),
        (lambda e, g: e.create_modelfile("base", "x"), ProjectError, "is a folder"),
        (lambda e, g: e.create_modelfile("cut.gguf", "x"), ModelError, "cut.gguf"),
        (lambda e, g: e.import_to_ollama(g, "a b"), EngineError, "can be registered as"),
        (lambda e, g: e.import_to_ollama(g, "jessy:v2"), EngineError, "can be registered as"),
        (lambda e, g: e.import_to_ollama(g, "jessy.ai/v2"), EngineError, "Ollama takes no model"),
        (lambda e, g: e.import_to_ollama("nothing", "x"), JessyError, "nothing"),
        (lambda e, g: e.import_to_ollama("empty", "x"), ModelfileError, "no FROM"),
        (lambda e, g: e.import_to_ollama("named", "x"), ExportError, "which is no file beside it"),
        (lambda e, g: e.import_to_ollama("templated", "x"), ExportError, "TEMPLATE is not the format"),
        (lambda e, g: e.import_to_ollama(g, "x"), EngineError, "does not answer at"),
    ],
)
def test_what_cannot_be_done_is_one_sentence_and_leaves_nothing(call, error, said, gguf, place):
    tiny_adapter(place / "other", {"model.layers.9.self_attn.q_proj": (128, 64)})
    (place / "cut.gguf").write_bytes(Path(gguf).read_bytes()[:900])
    (place / "empty").write_text("# nothing\n")
    (place / "named").write_text("FROM gemma3:270m\n")
    (place / "templated").write_text(f"FROM {gguf}\nTEMPLATE {{{{ .Prompt }}}}\n")
    before = names(place)
    with pytest.raises(error, match=said):
        call(ModelExporter(engine="ollama", ollama="http://127.0.0.1:9"), gguf)
    assert names(place) == before


def test_another_machine_needs_consent(gguf, monkeypatch):
    monkeypatch.delenv("JESSY_ALLOW_HOSTS", raising=False)
    with pytest.raises(ConsentError, match=r"the model and its system prompt to http://ollama\.example:11434"):
        ModelExporter(ollama="http://ollama.example:11434").import_to_ollama(gguf, "jessy-v2")


def test_a_disk_without_room_is_said(place, monkeypatch):
    free = shutil.disk_usage(place)._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda where: free)
    before = names(place)
    with pytest.raises(StorageError, match="would take"):
        ModelExporter().merge_lora_weights("./base", "adapter")
    assert names(place) == before


KILLED = """
import os, sys
sys.path.insert(0, sys.argv[1])
from jessyfile.export import gguf_writer, model_folder, exporter
if sys.argv[2] == "merge":
    model_folder.write_safetensors = lambda *_: os._exit(9)
else:
    gguf_writer.write_container = lambda path, *_: (path.write_bytes(b"half"), os._exit(9))
made = exporter.ModelExporter()
made.convert_to_gguf(made.merge_lora_weights("./base", "adapter"))
"""


@pytest.mark.parametrize("step", ["merge", "gguf"])
def test_what_a_killed_call_left_goes_with_the_next(step, place):
    house = str(Path(__file__).parents[2])
    assert (
        subprocess.run([sys.executable, "-c", KILLED, house, step], env={**os.environ, "PYTHONPATH": house}).returncode
        == 9
    )
    assert [name for name in names(place) if name.endswith(".tmp")]
    convert(place)
    assert names(place) == ["adapter", "adapter-merged", "adapter-merged-Q8_0.gguf", "base", "jessy-export.json"]
    assert not [name for name in names(place / "adapter-merged") if name.endswith(".tmp")]


def test_from_rows_to_a_served_model_with_the_names_of_the_design(place):
    """Full circle on a tiny base: rows saved, trained, adapter saved, merged, converted, imported, asked."""
    TrainingDataset(TrainingDataGenerator().generate_conversational(6)).save("train.jsonl")
    tuner = MLXFineTuner("./base", LoRAConfig(r=4, lora_alpha=8), TrainingConfig(epochs=1, warmup_steps=1))
    tuner.load_training_data("train.jsonl")
    tuner.train(epochs=1, batch_size=3)
    tuner.save_adapter("trained")
    exporter = ModelExporter(engine="embedded")
    merged = exporter.merge_lora_weights("./base", "trained")
    gguf = exporter.convert_to_gguf(merged)
    exporter.import_to_ollama(exporter.create_modelfile(gguf, "Sen JESSY'sin."), "jessy-v2")
    entry = find(place, "jessy-v2").entry
    engine = engine_of(entry)
    with loaded(engine, served_model(entry, 4)):
        assert engine.chat((Message("user", "selam"),)).tokens > 0
