"""Whatever is knowable is refused before any step runs: what plan says is what apply refuses, and nothing is written."""

from __future__ import annotations

import ast
import json
import pkgutil
import shlex
import shutil
import sys
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from types import SimpleNamespace

import mlx_lm.models
import msgspec._core
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

sys.path.insert(0, str(Path(__file__).parents[1] / "models"))

from base_refusals import BASE_REFUSALS
from tiny import TYPES, tiny_adapter, tiny_model

import jessyfile.models
from jessyfile import machine
from jessyfile.cli import main
from jessyfile.errors import JessyError, PreflightError
from jessyfile.export import ggml
from jessyfile.export.gguf_writer import write_gguf
from jessyfile.export.tensor_types import FILE_TYPES
from jessyfile.language import load_recipe
from jessyfile.models import hub
from jessyfile.models.architectures import ARCHITECTURES
from jessyfile.models.chat_format import FORMATS
from jessyfile.models.folder_config import WRAPPERS
from jessyfile.models.rope import plain_rope
from jessyfile.pipeline import compile_steps
from jessyfile.planning import preflight
from jessyfile.planning.plan import Selection, make_plan
from jessyfile.planning.run import apply
from jessyfile.resources import resource

RECIPE = """JESSY 1
NAME tiny
FROM "./model"
DATASET {
  SEEDS "seeds"
  CATEGORY turkish 4 "Small talk" {
    language tr
    level low
    TOPIC gossip 4
  }
}
EXPORT gguf {
  quantize f16
}
DEPLOY {
  engine embedded
}
EVAL {
  SUITE small "small.jsonl"
  MUST no_loops > 10%
}
"""
ROW = {"complexity": "low", "iterations": 1, "category": "turkish", "topic": "gossip", "language": "tr", "tags": []}
CASE = {"id": "s-1", "suite": "small", "prompt": "napıyon", "level": "low", "language": "tr",
        "form": [{"check": "length", "max": 400}], "relevance": []}  # fmt: skip


class Project:
    """A project whose apply would begin, and ways to spoil it."""

    def __init__(self, root: Path) -> None:
        self.root, self.model = root, tiny_model(root / "model")
        (root / ".jessy").mkdir()
        self.text = RECIPE
        self.seeds(*[f"soru {number}" for number in range(4)])
        self.suite(CASE)

    def seeds(self, *queries: str, topic: str = "gossip") -> None:
        folder = self.root / "seeds" / "turkish"
        folder.mkdir(parents=True, exist_ok=True)
        rows = [
            {"query": query, "response": f"{query} mu dedin, bilmem ki.", **ROW, "topic": topic, "source": "hand"}
            for query in queries
        ]
        (folder / f"{topic}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))

    def suite(self, *cases: dict) -> None:
        (self.root / "small.jsonl").write_text("".join(json.dumps(case) + "\n" for case in cases))

    def config(self, drop: tuple[str, ...] = (), **values: object) -> None:
        path = self.model / "config.json"
        kept = {key: value for key, value in json.loads(path.read_text()).items() if key not in drop}
        path.write_text(json.dumps({**kept, **values}))

    def tensors(self, drop: str = "", **more: np.ndarray) -> None:
        path = self.model / "model.safetensors"
        kept = {name: array for name, array in load_file(path).items() if not drop or drop not in name}
        save_file({**kept, **{name.replace("__", "."): array for name, array in more.items()}}, path)

    def tokenizer(self, **values: object) -> None:
        path = self.model / "tokenizer.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **values}))

    def says(self, old: str, new: str) -> None:
        assert old in self.text
        self.text = self.text.replace(old, new)

    def adapter(self, **config: object) -> Path:
        self.says('FROM "./model"\n', 'FROM "./model"\nADAPTER "./old"\n')
        folder = tiny_adapter(self.root / "old", {"model.layers.0.self_attn.q_proj": (128, 64)})
        path = folder / "adapter_config.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **config}))
        return folder

    def compiled(self):
        (self.root / "tiny.jessy").write_text(self.text)
        loaded = load_recipe(self.root / "tiny.jessy")
        assert loaded.recipe is not None, loaded.diagnostics
        return loaded.recipe, compile_steps(loaded.recipe)

    def plan(self, **options):
        recipe, steps = self.compiled()
        return make_plan(recipe, self.root, steps, **options)


@pytest.fixture
def project(tmp_path, monkeypatch) -> Project:
    return surrounded(tmp_path, monkeypatch)


def surrounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """Return a project on a machine that has no other model."""
    monkeypatch.setenv("OLLAMA_MODELS", str(tmp_path / "ollama"))
    monkeypatch.setenv("OLLAMA_HOST", "127.0.0.1:9")  # where nothing listens
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    return Project(tmp_path)


def problems(project: Project, **options: object) -> list:
    return [finding for finding in project.plan(**options).findings if finding.severity != "note"]


def refused(project: Project) -> str:
    """Return what is said when plan and apply refuse alike, with nothing written."""
    plan = project.plan()
    recipe, steps = project.compiled()
    with pytest.raises(PreflightError) as caught:
        apply(recipe, project.root, steps)
    assert plan.errors == caught.value.findings
    assert all(finding.help for finding in plan.errors)
    left = {
        path.relative_to(project.root / ".jessy").parts[0]
        for path in (project.root / ".jessy").rglob("*")
        if path.is_file()
    }
    assert left <= {"lock", "files.json"}
    return "\n".join(map(str, plan.errors))


def pointer(project: Project) -> None:
    text = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n"
    (project.model / "model.safetensors").write_text(text)


def shards(project: Project) -> None:
    index = {"weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}}
    (project.model / "model.safetensors.index.json").write_text(json.dumps(index))
    (project.model / "model.safetensors").rename(project.model / "model-00001-of-00002.safetensors")


def pickles(project: Project) -> None:
    (project.model / "model.safetensors").rename(project.model / "pytorch_model.bin")


def unigram(project: Project) -> None:
    project.tokenizer(model={"type": "Unigram", "vocab": [["a", 0.0]]})


def strange_split(project: Project) -> None:
    shutil.rmtree(project.model)
    tiny_model(project.model, "qwen2")
    split = {"type": "Split", "pattern": {"Regex": "x+"}, "behavior": "Isolated", "invert": False}
    level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True}
    project.tokenizer(pre_tokenizer={"type": "Sequence", "pretokenizers": [split, level]})


def no_tokenizer(project: Project) -> None:
    (project.model / "tokenizer.json").unlink()
    (project.model / "tokenizer.model").write_bytes(b"x")


def broken_line(project: Project) -> None:
    with (project.root / "seeds" / "turkish" / "gossip.jsonl").open("a") as file:
        file.write("{no json\n")


def damaged_gguf(project: Project) -> None:
    (project.root / "m.gguf").write_bytes(b"GGUF\x03\0\0\0")
    project.says("./model", "./m.gguf")


def foreign_gguf(project: Project) -> None:
    from jessyfile.models.gguf_container import STRING, pair_bytes, write_container

    write_container(project.root / "m.gguf", [pair_bytes("general.architecture", STRING, "stablelm")], [])
    project.says("./model", "./m.gguf")


def prompt_tuning(project: Project) -> None:
    folder = project.adapter()
    (folder / "adapters.safetensors").rename(folder / "adapter_model.safetensors")
    (folder / "adapter_config.json").write_text(json.dumps({"peft_type": "PROMPT_TUNING", "num_virtual_tokens": 8}))


def other_base(project: Project) -> None:
    project.adapter()
    tiny_adapter(project.root / "old", {"model.layers.9.self_attn.q_proj": (128, 64)})


def small_machine(project: Project) -> None:
    project.monkeypatch.setattr(machine, "memory", lambda: 1000)


def full_disk(project: Project) -> None:
    project.monkeypatch.setattr(preflight.shutil, "disk_usage", lambda path: SimpleNamespace(free=1000))


def no_format(project: Project) -> None:
    shutil.rmtree(project.model)
    tiny_model(project.model, "llama")
    path = project.model / "tokenizer.json"
    path.write_text(path.read_text().replace("[INST]", "[XXXX]").replace("<start_of_turn>", "<xxxxx_of_turn>"))
    project.says("EXPORT gguf", "TRAIN {\n  end_weight 4\n}\nEXPORT gguf")


def foreign_library(project: Project) -> None:
    ggml.library.cache_clear()
    project.monkeypatch.setattr(ggml, "library_path", lambda: Path(msgspec._core.__file__))


REFUSALS = {
    "no config": (lambda p: (p.model / "config.json").unlink(), "no config.json with a model_type"),
    "a config that is no JSON": (lambda p: (p.model / "config.json").write_text("{"), "cannot be read as JSON"),
    "another architecture": (lambda p: p.config(model_type="stablelm"), "'stablelm' cannot be written as GGUF"),
    "a mixture": (lambda p: p.config(model_type="mixtral"), "'mixtral' cannot be written as GGUF"),
    "a classifier": (lambda p: p.config(architectures=["Gemma3ForSequenceClassification"]), "does not write text"),
    "an embedding model": (lambda p: p.config(architectures=["Gemma3TextModel"]), "does not write text"),
    "gptq": (lambda p: p.config(quantization_config={"quant_method": "gptq", "bits": 4}), "quantized by gptq"),
    "awq": (lambda p: p.config(quantization_config={"quant_method": "awq", "bits": 4}), "quantized by awq"),
    "fp8": (lambda p: p.config(quantization_config={"quant_method": "fp8"}), "quantized by fp8"),
    "a lacking number": (lambda p: p.config(drop=("hidden_size", "rms_norm_eps")), "lacks hidden_size, rms_norm_eps"),
    "dynamic rope": (lambda p: p.config(rope_scaling={"type": "dynamic", "factor": 2.0}), "'dynamic'"),
    "longrope": (lambda p: p.config(rope_parameters={"rope_type": "longrope", "factor": 2.0}), "'longrope'"),
    "yarn without numbers": (lambda p: p.config(rope_scaling={"rope_type": "yarn", "factor": 2.0}), "lacks original_max"),
    "a pointer of Git LFS": (pointer, "is a Git LFS pointer"),
    "a missing shard": (shards, "names `model-00002-of-00002.safetensors`"),
    "an adapter": (lambda p: (p.model / "config.json").rename(p.model / "adapter_config.json"), "an adapter, not a model"),
    "only pickles": (pickles, "has `pytorch_model.bin` and no model.safetensors"),
    "half a download": (
        lambda p: (p.model / "model.safetensors").write_bytes((p.model / "model.safetensors").read_bytes()[:-9]),
        "not a usable safetensors file",
    ),
    "a missing tensor": (lambda p: p.tensors(drop="layers.2.mlp.up_proj"), "lacks the tensor 'model.layers.2.mlp.up_proj"),
    "a tensor without a place": (lambda p: p.tensors(vision__weight=np.ones((2, 2), np.float32)), "'vision.weight'"),
    "no head": (lambda p: p.config(tie_word_embeddings=False), "'lm_head.weight' although config.json says `tie_word"),
    "a Unigram tokenizer": (unigram, "no BPE tokenizer but 'Unigram'"),
    "an unknown splitting": (strange_split, "splits words in a way"),
    "SentencePiece's own file": (no_tokenizer, "no tokenizer.json but SentencePiece's"),
    "a damaged GGUF": (damaged_gguf, "not a usable GGUF"),
    "a GGUF of another architecture": (foreign_gguf, "'stablelm' cannot be tuned"),
    "a full tuning by its word": (lambda p: p.adapter(fine_tune_type="full"), "fine_tune_type full and holds"),
    "an adapter of PEFT that is no LoRA": (prompt_tuning, "PEFT's PROMPT_TUNING, learned inputs"),
    "an adapter of another base": (other_base, "which the base model does not have"),
    "no adapter's folder": (lambda p: p.says('"./model"\n', '"./model"\nADAPTER "./small.jsonl"\n'), "no adapter's folder"),
    "TEMPLATE": (lambda p: p.says("DATASET {", 'TEMPLATE "{{ .Prompt }}"\nDATASET {'), "TEMPLATE is not the format"),
    "an engine without ggml's functions": (foreign_library, "does not give its ggml_quantize_chunk to others"),
    "too many drafts": (
        lambda p: p.says("DATASET {", "DATASET {\n  CATEGORY again 13 {\n    refine turkish\n  }"),
        "`again` asks for 13 rows and 12 can be made: at most 3 of each row that it refines",
    ),
    "too many rows": (lambda p: (p.says("turkish 4", "turkish 60"), p.says("gossip 4", "gossip 60")), "60 rows and 4 are there"),
    "a mistyped topic": (lambda p: p.says("gossip 4", "gosisp 4"), "a similar one exists: `gossip`"),
    "seeds of another level": (lambda p: p.says("level low", "level high"), "4 rows and 0 are there: 4 more are not tr and level high"),
    "seeds of another language": (lambda p: p.says("language tr", "language en"), "0 are there: 4 more are not en and level low"),
    "a line that is no JSON": (broken_line, "seeds/turkish/gossip.jsonl:5: is not JSON at column 2"),
    "too few markers": (lambda p: p.says('SEEDS "seeds"', 'SEEDS "seeds"\n  markers 5000'), "5000 marker rows are asked for"),
    "no case": (lambda p: p.suite(), "has no cases"),
    "a malformed case": (lambda p: p.suite({**CASE, "level": 3}), "has mistakes"),
    "a case twice": (lambda p: p.suite(CASE, CASE), "2 cases are called `s-1`"),
    "a name of four parts": (lambda p: p.says("NAME tiny", "NAME a/b/c/d"), "can be registered as `a/b/c/d`"),
    "too little memory": (small_machine, "in memory and this machine has"),
    "a full disk": (full_disk, "the disk of the project has"),
    "an end that is no token": (no_format, "has no token `<|im_end|>`"),
    "no base of that name": (lambda p: p.says("./model", "nowhere:7b"), "no base model for `nowhere:7b`"),
    **BASE_REFUSALS,
}  # fmt: skip


RAN: set[str] = set()
RAISED: set[str] = set()


@pytest.fixture(autouse=True, scope="module")
def noted():
    """Note where errors are made, as `module:function`; a helper may make one for the function that raises it."""
    original = JessyError.__init__

    def note(self, *words, **more):
        frame = sys._getframe(1)
        for _ in range(3):
            RAISED.add(f"{Path(frame.f_code.co_filename).stem}:{frame.f_code.co_name}")
            frame = frame.f_back
        original(self, *words, **more)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(JessyError, "__init__", note)
        yield


def spoiled(project: Project, monkeypatch: pytest.MonkeyPatch, name: str) -> Project:
    project.monkeypatch = monkeypatch
    REFUSALS[name][0](project)
    RAN.add(name)
    return project


@pytest.mark.parametrize("name", REFUSALS)
def test_what_is_known_to_fail_is_refused_before_any_step(project, monkeypatch, name):
    """Several of these were told after hours: the base was converted, trained and merged, and then could not be written."""
    assert REFUSALS[name][1] in refused(spoiled(project, monkeypatch, name))


# modules whose errors say that a base cannot be used
OF_A_BASE = (
    *(f"models/{name}" for name in (
        "architectures", "base_checks", "base_inputs", "config_checks", "folder_checks", "from_gguf",
        "gguf_config", "gguf_normalise", "gguf_reader", "pre_tokenizers", "reference", "resolve", "rope",
        "safetensors_check", "tokenizer", "tokenizer_build", "weights",
    )),
    "export/gguf_writer",
)  # fmt: skip
# what no plan can say: it is found while bytes are read that nobody reads twice, or only code can bring it about
NOT_BY_PLAN = {
    "base_checks:base_preflight": "a warning",
    "base_checks:_download": "a warning",
    "folder_checks:check_offered": "asked of the hub, see below",
    "from_gguf:_check_readable": "every type of the gguf library that has blocks is read by it",
    "gguf_writer:write_gguf": "the language knows the types",
    "gguf_writer:_named": "names and shapes of all tensors are checked before",
    "gguf_writer:_check": "reads back what was written",
    "gguf_writer:_require_faithful": "reads back what was written",
    "gguf_writer:_computed": "the merge is finite",
    "gguf_normalise:_changed": "numbers are held to their range when they are read",
    "gguf_reader:read_gguf": "a file whose reading the system refuses",
    "reference:parse_reference": "said by the language already",
    "reference:_place": "said by the language already",
    "reference:_local": "said by the language already",
    "resolve:locate": "the same places are named by base_checks:_absent",
    "resolve:_from_ollama": "a blob's digest, which takes reading it whole",
    "resolve:_from_package": "what a package's own verification says",
    "safetensors_check:check_safetensors": "a file whose reading the system refuses",
    "tokenizer:require_tokenizer": "a folder without one is refused by folder_checks before",
    "tokenizer:load_tokenizer": "the tokenizers library's last word; its file is checked before",
    "weights:_entry": "a name that no caller asks for",
    "weights:stored_array": "types are checked before",
    "weights:widened": "types are checked before",
}


def called(node: ast.Call) -> str:
    return str(getattr(node.func, "id", getattr(node.func, "attr", "")))


def raises(place: str) -> set[str]:
    """Return where a module makes an error of a base, as `module:function`."""
    path = Path(jessyfile.models.__file__).parents[1] / f"{place}.py"
    errors = ("ModelError", "TrainingError", "ExportError", "bad", "_bad", "_no_tokenizer")
    made = (
        (function.name, node)
        for function in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(function, ast.FunctionDef) and function.name not in errors
        for node in ast.walk(function)
    )
    names = (name for name, node in made if isinstance(node, ast.Call) and called(node) in errors)
    return {f"{path.stem}:{name}" for name in names}


def test_every_refusal_of_a_base_has_a_row(tmp_path_factory):
    """A new kind of refusal is told by plan as well, or says above why it cannot be."""
    for name in set(REFUSALS) - RAN:
        with pytest.MonkeyPatch.context() as patch:
            spoiled(surrounded(tmp_path_factory.mktemp("row"), patch), patch, name).plan()
    sites = set().union(*map(raises, OF_A_BASE))
    untold = sorted(sites - RAISED - set(NOT_BY_PLAN))
    assert not untold, untold
    assert not set(NOT_BY_PLAN) - sites


def test_a_sound_project_has_no_finding(project):
    assert problems(project) == []


def test_everything_that_is_wrong_is_said_together(project, capsys, monkeypatch):
    project.config(model_type="stablelm")
    project.says("NAME tiny", "NAME a/b/c/d")
    project.says("gossip 4", "gosisp 4")
    said = refused(project)
    assert said.count("error[") == 3
    assert "tiny.jessy:3" in said
    monkeypatch.chdir(project.root)
    assert main(["plan", "tiny.jessy"]) == 1
    out = capsys.readouterr().out
    assert "Nothing was started, and apply would refuse: fix the 3 errors above first." in out
    assert "jessy apply" not in out
    assert main(["plan", "tiny.jessy", "--json"]) == 1
    assert len(json.loads(capsys.readouterr().out)["findings"]) == 3


def test_only_the_steps_that_run_are_asked(project):
    project.config(model_type="stablelm")
    recipe, steps = project.compiled()
    assert make_plan(recipe, project.root, steps, Selection(only=("dataset",))).errors == ()


@pytest.mark.parametrize("model_type", sorted({found.name for found in pkgutil.iter_modules(mlx_lm.models.__path__)}))
def test_every_model_of_mlx_lm_is_exported_or_refused_by_plan(project, model_type):
    project.config(model_type=model_type)
    said = "\n".join(finding.message for finding in project.plan().errors)
    assert (f"the type {model_type!r} cannot be written as GGUF" in said) == (
        model_type not in {*ARCHITECTURES, *WRAPPERS}
    )


@pytest.mark.parametrize("model_type", TYPES)
@pytest.mark.parametrize("form", ["folder", "gguf"])
def test_every_architecture_that_is_exported_passes(project, model_type, form):
    shutil.rmtree(project.model)
    tiny_model(project.model, model_type)
    if form == "gguf":
        write_gguf(project.model, project.root / "m.gguf", "f16", lambda *_: None)
        project.says("./model", "./m.gguf")
    assert set(TYPES) == set(ARCHITECTURES)
    assert project.plan().errors == ()


def quantizations() -> list[str]:
    schema = json.loads(resource("grammar", "recipe.schema.json").read_text("utf-8"))
    return schema["properties"]["export"]["properties"]["quantize"]["enum"]


def test_every_quantization_of_the_language_is_made_here(project):
    assert quantizations() == list(FILE_TYPES)
    project.says("quantize f16", "quantize q3_k_s")
    assert problems(project) == []


@pytest.mark.parametrize("form", sorted(FORMATS))
def test_a_template_that_is_the_format_trained_is_no_other(project, form):
    template = FORMATS[form].go_template()
    project.says("DATASET {", f'TEMPLATE """\n{template}\n"""\nDATASET {{')
    recipe, steps = project.compiled()
    recipe = replace(recipe, template=template)
    assert bool(make_plan(recipe, project.root, steps).errors) == (form != "gemma")


@pytest.mark.parametrize(
    ("name", "engine", "severity"),
    [
        ("jessy.ai/friend", "ollama", "error"),
        ("jessy.ai/friend", "auto", "warning"),
        ("jessy.ai/friend", "embedded", None),
        ("friends/jessy.v2", "ollama", None),
        ("Jessy", "ollama", None),
    ],
)
def test_a_name_that_ollama_takes_not_is_said(project, name, engine, severity):
    project.says("NAME tiny", f"NAME {name}")
    project.says("engine embedded", f"engine {engine}")
    found = [finding.severity for finding in project.plan().findings if "Ollama takes no model" in finding.message]
    assert found == ([severity] if severity else [])


def test_a_base_that_is_nowhere_is_said_with_its_size(project):
    project.says("./model", "llama3.2:1b")
    (finding,) = problems(project)
    assert finding.severity == "warning"
    assert "the local Ollama store has none" in finding.message
    assert "apply will fetch hf:mlx-community/Llama-3.2-1B-Instruct-bf16, about 2.5 GB" in finding.message


@dataclass
class Info:
    """What the hub's client tells of a repository."""

    config: dict
    gated: bool = False
    siblings: tuple = (SimpleNamespace(rfilename="model.safetensors", size=7 * 10**9),)


def test_the_hub_is_asked_for_its_kind_before_anything_is_fetched(project, monkeypatch):
    import huggingface_hub

    info = Info({"model_type": "mixtral"}, gated=True)
    monkeypatch.setattr(huggingface_hub, "HfApi", lambda: SimpleNamespace(model_info=lambda repo, **_: info))
    project.says("./model", "hf:some/base")
    assert not project.plan().errors
    (error,) = project.plan(reach="network").errors
    assert "'mixtral' cannot be written as GGUF" in error.message
    info.config["model_type"] = "llama"
    told = project.plan(reach="network").findings[0]
    assert "about 7.0 GB" in told.message
    assert "accept terms" in told.help


def hub_of(monkeypatch, folder: Path, names: tuple[str, ...], **config: object) -> None:
    """Put a hub in place that has one repository with these files and this config.json."""
    import huggingface_hub

    (folder / "hub.json").write_text(json.dumps(config))
    info = Info({}, siblings=tuple(SimpleNamespace(rfilename=name, size=1) for name in names))
    monkeypatch.setattr(huggingface_hub, "HfApi", lambda: SimpleNamespace(model_info=lambda repo, **_: info))
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", lambda *_, **__: str(folder / "hub.json"))


WHOLE = ("config.json", "tokenizer.json", "model.safetensors")


@pytest.mark.parametrize(
    ("names", "config", "says"),
    [
        (("model-Q4_K_M.gguf",), {}, "has no config.json"),
        (("README.md",), {}, "has no config.json"),
        (
            ("config.json", "tokenizer.json", "pytorch_model.bin"),
            {},
            "has `pytorch_model.bin` and no model.safetensors",
        ),
        (("config.json", "tokenizer.model", "model.safetensors"), {}, "but SentencePiece's tokenizer.model"),
        (("config.json", "tekken.json", "model.safetensors"), {}, "but Mistral's tekken.json"),
        (WHOLE, {"quantization_config": {"quant_method": "awq"}}, "quantized by awq"),
        (WHOLE, {"quantization_config": {"quant_method": "bitsandbytes"}}, "quantized by bitsandbytes"),
        (WHOLE, {"architectures": ["LlamaForSequenceClassification"]}, "does not write text"),
        (WHOLE, {"rope_scaling": {"type": "dynamic", "factor": 2.0}}, "'dynamic'"),
        (WHOLE, {"hidden_act": "relu2"}, "the activation 'relu2'"),
        (WHOLE, {}, None),
    ],
)
def test_a_repository_that_cannot_be_used_is_not_fetched(project, monkeypatch, names, config, says):
    """All of them were downloaded whole, some ten gigabytes, before a word was said."""
    numbers = json.loads((tiny_model(project.root / "llama", "llama") / "config.json").read_text())
    hub_of(monkeypatch, project.root, names, **({**numbers, **config} if "config.json" in names else {}))
    project.says("./model", "hf:some/base")
    errors = project.plan(reach="network").errors
    assert ([says in error.message for error in errors] == [True]) if says else not errors


def test_a_snapshot_in_the_hubs_cache_is_looked_at(project):
    home = project.root / "hub" / "models--some--base"
    (home / "refs").mkdir(parents=True)
    (home / "refs" / "main").write_text("abc")
    (home / "snapshots").mkdir()
    project.config(model_type="stablelm")
    project.model.rename(home / "snapshots" / "abc")
    project.says("./model", "hf:some/base")
    assert hub.cached("some/base") == home / "snapshots" / "abc"
    assert "'stablelm'" in project.plan().errors[0].message


def test_cases_that_the_context_window_hardly_holds_are_told_before_work(project):
    """The shipped suite `edge` holds prompts of 5,000 characters, which were found too long after the training."""
    project.suite(CASE, {**CASE, "id": "s-2", "prompt": "a" * 5000}, {**CASE, "id": "s-3", "prompt": "b" * 4000})
    project.says("DATASET {", "PARAMETER num_ctx 1500\nDATASET {")
    (finding,) = problems(project)
    assert (finding.severity, finding.where) == ("warning", "tiny.jessy:4")
    assert "num_ctx 1500 is too small for 1 of 3 cases" in finding.message
    assert "about 1666 tokens, estimated at 3 characters each" in finding.message
    project.says("num_ctx 1500", "num_ctx 2000")
    assert problems(project) == []


def test_the_end_that_is_no_token_is_said_and_refused_only_with_a_weight(project):
    no_format(project)
    project.says("end_weight 4", "end_weight 1")
    (finding,) = problems(project)
    assert (finding.severity, "has no token `<|im_end|>`" in finding.message) == ("warning", True)


@pytest.mark.parametrize("model_type", ["llama", "mistral", "qwen2", "gemma3_text"])
def test_a_rope_under_rope_parameters_alone_is_where_mlx_lm_reads_it(model_type):
    """The weights trained with mlx-lm's default rope base, and were exported with the right one."""
    scaling = {"rope_type": "linear", "factor": 8.0}
    nested = {"rope_theta": 500000.0, **scaling}
    if model_type == "gemma3_text":
        nested = {"full_attention": nested, "sliding_attention": {"rope_type": "default", "rope_theta": 20000.0}}
    plain = plain_rope({"model_type": model_type, "rope_parameters": nested})
    assert plain["rope_theta"] == 500000.0
    assert {key: plain["rope_scaling"][key] for key in scaling} == scaling
    if model_type == "gemma3_text":
        assert plain["rope_local_base_freq"] == 20000.0
    assert plain_rope({"model_type": model_type, "rope_theta": 1.0}) == {"model_type": model_type, "rope_theta": 1.0}


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("gossip 4", "gosisp 4", "a similar one exists: `gossip`"),
        ("NAME tiny", "NAME a/b/c/d", "can be registered as `a/b/c/d`"),
    ],
)
def test_check_says_what_the_recipe_and_its_files_tell(project, capsys, monkeypatch, old, new, says):
    project.compiled()
    monkeypatch.chdir(project.root)
    assert main(["check", "tiny.jessy"]) == 0
    capsys.readouterr()
    project.says(old, new)
    project.config(model_type="stablelm")  # the machine is plan's to look at
    project.compiled()
    assert main(["check", "tiny.jessy"]) == 1
    said = capsys.readouterr()
    assert says in said.err
    assert f"{new}" in said.err
    assert "stablelm" not in said.err
    assert main(["check", "tiny.jessy", "--json"]) == 1
    assert any(says in json.dumps(entry, ensure_ascii=False) for entry in json.loads(capsys.readouterr().out))


class Refusing(BaseHTTPRequestHandler):
    """A server that takes no key."""

    def do_GET(self) -> None:
        self.send_response(401)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *words: object) -> None:
        """Say nothing."""


@pytest.fixture
def refusing():
    with ThreadingHTTPServer(("127.0.0.1", 0), Refusing) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/v1"
        server.shutdown()


def teacher(project: Project, url: str, count: int) -> None:
    project.says("turkish 4", f"turkish {count}")
    project.says("gossip 4", f"gossip {count}")
    project.says('  SEEDS "seeds"', f'  SEEDS "seeds"\n  TEACHER some-model at {url}')


def test_a_teacher_is_asked_only_where_rows_are_missing(project):
    teacher(project, "http://127.0.0.1:9/v1", 4)
    assert project.plan(reach="network").errors == ()


def test_a_teacher_that_does_not_answer_is_said_before_any_step(project):
    teacher(project, "http://127.0.0.1:9/v1", 60)
    assert project.plan().errors == ()
    assert "the teacher at http://127.0.0.1:9/v1 cannot be asked" in project.plan(reach="network").errors[0].message


def test_a_key_that_a_teacher_does_not_take_is_said_before_any_step(project, refusing):
    teacher(project, refusing, 60)
    (error,) = project.plan(reach="network").errors
    assert "it refuses the key (HTTP 401)" in error.message


@pytest.mark.parametrize(
    "values",
    [
        {"rope_scaling": "linear"},
        {"rope_scaling": {"rope_type": ["linear"]}},
        {"architectures": 7},
        {"layer_types": {"a": 1}},
        {"model_type": ["llama"]},
        {"model_type": None},
        {"num_hidden_layers": "three"},
        {"num_attention_heads": 0},
        {"quantization": {"bits": "four"}, "quantization_config": []},
    ],
    ids=str,
)
def test_a_strange_config_is_refused_or_read_and_never_a_bug(project, values):
    project.config(**values)
    for finding in project.plan().errors:
        assert finding.code == "E400"
        assert finding.help


@pytest.mark.parametrize(
    "values", [{"model": []}, {"model": {"type": "BPE", "vocab": 3}}, {"added_tokens": 5}], ids=str
)
def test_a_strange_tokenizer_is_refused_and_never_a_bug(project, values):
    project.tokenizer(**values)
    (error,) = project.plan().errors
    assert (error.code, bool(error.help)) == ("E400", True)


def test_the_plans_last_line_asks_for_what_was_planned(project, capsys, monkeypatch):
    """Pasted, it did nothing or another thing: what was given with --set and --skip was not in it."""
    project.compiled()
    monkeypatch.chdir(project.root)
    words = ["tiny.jessy", "--set", "system=a b", "--skip", "parity", "--replace", "train"]
    assert main(["plan", *words]) == 0
    *_, total, last = capsys.readouterr().out.splitlines()
    typed = last.removeprefix("Nothing was started. To run it: jessy apply ")
    assert sorted(shlex.split(typed)) == sorted(words)
    assert "an estimate, for nothing ran here yet" in total
    assert "About" not in total
    assert main(["plan", "tiny.jessy", "-o", "plan.json"]) == 0
    assert capsys.readouterr().out.splitlines()[-1].endswith("jessy apply plan.json")


def notes(project: Project) -> list[str]:
    return [finding.message for finding in project.plan().findings if finding.severity == "note"]


def test_a_plan_says_how_the_base_is_held_and_which_mac_has_room_for_it(project):
    """Whether a base fits was found out by training it; its shape says so before, also of one that is not here yet."""
    held, macs = notes(project)
    assert held.startswith("training holds the base in float32 (a CPU): ")
    assert macs.startswith("on a Mac with 8 or 16 GB of memory it fits with precision auto")
    project.says("./model", "mistral:7b")
    held, macs = notes(project)
    assert "29.5 GB with adapter and optimizer" in held
    # 5 GB of weights are not all: what is told is told with the rows that it holds for
    assert "with 16 GB of memory it fits with precision q4, one row at a time" in macs
    project.says("EXPORT", "BASE { precision q8 }\nTRAIN { on_memory stop }\nEXPORT")
    assert "q4, one row" not in notes(project)[1]
    assert "precision auto" not in notes(project)[1]


def test_a_base_that_will_be_fetched_quantized_is_said_to_be(project):
    project.says("./model", "gemma:2b")
    assert "in its own quantization computed in float32 (a CPU): 1.8 GB" in notes(project)[0]


def test_a_training_that_does_not_fit_is_told_before_it_runs_with_what_fits(project, monkeypatch):
    """Nothing was said of a training that had never run here: it began, and the system killed it."""
    monkeypatch.setattr(machine, "cores", lambda: 2)
    project.says("EXPORT", "TRAIN {\n  max_length 4096\n}\nEXPORT")
    step = next(step for step in project.plan().steps if step.name == "train")
    assert step.forecast.seconds is None
    assert not [finding for finding in project.plan().findings if finding.code == "E601"]

    monkeypatch.setattr(machine, "memory", lambda: step.forecast.peak - 10**6)
    told = [finding for finding in project.plan().findings if finding.code == "E601"]
    assert [(one.severity, one.step) for one in told] == [("warning", "train")]
    assert told[0].help == "it fits with batch_size 1 and grad_accumulation 8"

    for memory, way in ((300_000_000, "it fits with max_length 1024"), (100_000_000, "take a smaller base")):
        monkeypatch.setattr(machine, "memory", lambda memory=memory: memory)
        told = [finding for finding in project.plan().findings if finding.code == "E601"]
        assert told[0].help.startswith(way)


def test_an_adapter_of_rounded_weights_is_said_to_be_one(project):
    project.says("EXPORT", "BASE { precision q4 }\nEXPORT")
    assert "in q4 computed in float32 (BASE says so)" in notes(project)[0]
    assert "learns on rounded weights and is merged into the base as it came" in notes(project)[0]


def test_precision_is_part_of_the_plan_as_it_is_on_this_machine(project, monkeypatch):
    """An adapter that one chip trained in bfloat16 is not the one that another trains in float32."""

    def own(chip: str, precision: str = "auto") -> tuple[str, ...]:
        monkeypatch.setattr(machine, "chip", lambda: chip)
        project.text = RECIPE.replace("EXPORT", f"BASE {{ precision {precision} }}\nEXPORT")
        return tuple(step.own for step in project.plan().steps if step.name in ("base", "train"))

    base, train = own("CPU")
    assert own("CPU", "float32") == (base, train)
    marks = {own(chip, precision) for chip in ("CPU", "CUDA", "Apple M1") for precision in ("auto", "bfloat16", "q4")}
    assert {mark[0] for mark in marks} == {base}
    assert len({mark[1] for mark in marks}) == 7  # bfloat16 is bfloat16, asked for or not, on NVIDIA or Apple


def test_float16_is_refused_where_a_gemma_would_overflow_it(project, monkeypatch):
    """Its hidden states are cut off at 65,504 without a word, and the adapter is trained on what is left."""
    monkeypatch.setattr(machine, "chip", lambda: "Apple M1")
    assert "bfloat16 (Apple M1; gemma3_text passes the largest float16)" in notes(project)[0]
    project.says("EXPORT", "BASE { precision float16 }\nEXPORT")
    said = refused(project)
    assert "float16 ends at 65,504 and the hidden states of a gemma3_text pass it" in said
    assert "tiny.jessy:12" in said
    monkeypatch.setattr(machine, "chip", lambda: "CPU")  # computes float32 whatever it holds
    assert problems(project) == []


def test_a_precision_that_changes_nothing_is_said(project):
    project.config(quantization={"group_size": 64, "bits": 4})
    assert "in its own quantization computed in float32 (a CPU)" in notes(project)[0]
    project.says("EXPORT", "BASE { precision q8 }\nEXPORT")
    (finding,) = problems(project)
    assert (finding.severity, "its own folder holds it quantized" in finding.message) == ("warning", True)
