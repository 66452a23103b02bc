"""What `jessy import mlx-lm.yaml` writes trains as the configuration said; no key is swallowed."""

import json
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jessyfile.errors import ProjectError
from jessyfile.importing import import_file
from jessyfile.importing.from_mlx_lm import KEYS
from jessyfile.language import load_text
from jessyfile.language.format import format_text

FULL = """# a configuration as mlx-lm documents it
model: "mlx-community/gemma-3-270m-it-bf16"
train: true
fine_tune_type: lora
optimizer: adamw
optimizer_config:
  adamw: {weight_decay: 0.1}
data: rows
seed: 7
num_layers: -1
batch_size: 4
iters: 100
steps_per_eval: 60
learning_rate: 1e-4
save_every: 30
grad_accumulation_steps: 3
max_seq_length: 1024
mask_prompt: true
lora_parameters:
  keys: ["self_attn.q_proj", "mlp.up_proj"]
  rank: 16
  scale: 2.0
  dropout: 0.05
lr_schedule:
  name: cosine_decay
  warmup: 3
  arguments: [1e-4, 1000, 0.0]
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("mlx")
    (path / "rows").mkdir()
    (path / "rows" / "train.jsonl").write_text('{"messages": []}\n' * 80)
    return path


def imported(folder, text):
    """Import a text; one that names no model gets a last line that does."""
    named = re.search(r'^"?model"?:', text, re.MULTILINE)
    return imported_as_it_is(folder, text if named else f"{text}\nmodel: a/b\n")


def imported_as_it_is(folder, text):
    path = folder / "mlx-lm.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return import_file(path, target=folder / "out.jessy")


def recipe(folder, text):
    found = imported(folder, text)
    loaded = load_text(found.text, folder / "out.jessy", root=folder)
    assert [d for d in loaded.diagnostics if d.severity == "error"] == []
    assert format_text(found.text) == found.text
    return loaded.recipe, found.notes


def test_everything_that_both_say_arrives_in_jessys_units(folder):
    found, notes = recipe(folder, FULL)
    assert found.base == "hf:mlx-community/gemma-3-270m-it-bf16"
    assert (found.lora.rank, found.lora.scale, found.lora.dropout, found.lora.layers) == (16, 2.0, 0.05, None)
    assert found.lora.targets == ("q_proj", "up_proj")
    train = found.train
    assert (train.batch_size, train.grad_accumulation, train.max_length, train.seed) == (4, 3, 1024, 7)
    assert (train.learning_rate, train.warmup_steps, train.schedule, train.weight_decay) == (1e-4, 3, "cosine", 0.1)
    assert train.epochs == 5  # 100 batches of 4 from 80 rows
    assert (train.checkpoint_every, train.validate_every) == (10, 20)  # batches become updates of three
    assert [n.line for n in notes] == [8, 12, 27]  # the data, the iterations, the decay's length


def test_the_recipe_is_what_a_person_would_write(folder, snapshot):
    assert imported(folder, FULL).text == snapshot


def test_a_configuration_of_a_model_alone_has_mlx_lms_defaults_and_not_ours(folder):
    found, _ = recipe(folder, "model: a/b")
    assert found.base == "hf:a/b"
    assert (found.lora.rank, found.lora.alpha, found.lora.layers) == (8, 160, 16)
    train = found.train
    assert (train.batch_size, train.learning_rate, train.schedule) == (4, 1e-5, "constant")
    assert (train.max_length, train.seed, train.weight_decay) == (2048, 0, 0)


def test_dora_and_checkpointing_are_taken_over(folder):
    found, _ = recipe(folder, "model: a/b\nfine_tune_type: dora\ngrad_checkpoint: true")
    assert (found.lora.kind, found.train.grad_checkpointing) == ("dora", True)
    plain, _ = recipe(folder, "model: a/b\nfine_tune_type: lora\ngrad_checkpoint: false")
    assert (plain.lora.kind, plain.train.grad_checkpointing) == ("lora", False)


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("iterz: 5", 1, "mlx-lm has no such key"),
        ("lora_layers: 8", 1, "mlx-lm calls it num_layers now"),
        ("fine_tune_type: full", 1, "fine_tune_type full was left out"),
        ("train: false", 1, "a recipe always trains"),
        ("mask_prompt: false", 1, "answers alone"),
        ("optimizer: muon", 1, "optimizer muon was left out"),
        ("optimizer_config: {adamw: {eps: 1e-6}}", 1, "optimizer_config.adamw.eps was left out"),
        ("resume_adapter_file: a.safetensors", 1, "resume_adapter_file was left out"),
        ("report_to: wandb", 1, "report_to was left out"),
        ("batch_size: four", 1, "`four` is no whole number"),
        ("batch_size: true", 1, "`true` is no whole number"),
        ("batch_size: 2.5", 1, "`2.5` is no whole number"),
        ("learning_rate: .nan", 1, "is no number"),
        ("batch_size: 99999", 1, "batch_size was left out"),
        ("lora_parameters: 8", 1, "it is no mapping"),
        ("lora_parameters:\n  rank: 8\n  alpha: 16", 3, "lora_parameters.alpha was left out"),
        ("lora_parameters:\n  keys: [embed_tokens]", 2, "lora_parameters.keys embed_tokens was left out"),
        ("lora_parameters:\n  rank: 99999", 2, "lora_parameters.rank was left out"),
        (
            "lr_schedule:\n  name: step_decay\n  arguments: [1e-5, 0.9, 10]",
            2,
            "step_decay was left out",
        ),
        ("lr_schedule:\n  name: cosine_decay\n  arguments: [1e-5, 9, 1e-7]", 3, "ends at 1e-07"),
        ("lr_schedule:\n  name: linear_schedule\n  arguments: [1e-5, 1e-7, 9]", 3, "ends at 1e-07"),
        ("lr_schedule:\n  name: cosine_decay\n  warmup_init: 1e-7\n  arguments: [1e-5, 9]", 3, "warms up from zero"),
        ("lr_schedule:\n  name: cosine_decay", 1, "no usable arguments"),
        ("learning_rate: 1e-3\nlr_schedule:\n  name: cosine_decay\n  arguments: [1e-5, 9]", 1, "takes its place"),
        ("data: elsewhere", 1, "data elsewhere was left out"),
        ("iters: 50", 1, "the rows were not found"),
        ("grad_accumulation_steps: 3\nsave_every: 100", 2, "became 34 updates of 3 batches"),
        ("model: gpt2", 1, "is no repository"),
        ("hf_dataset:\n  path: x/y", 1, "hf_dataset was left out"),
    ],
)
def test_what_does_not_survive_is_named_with_its_line(folder, text, line, says):
    notes = imported(folder, text).notes
    assert line in [n.line for n in notes if says in n.message], notes


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("batch_size: 4\nseed: 1\nbatch_size: 8", "line 3: `batch_size` stands twice, first on line 1"),
        ("lora_parameters:\n  rank: 8\n  rank: 16", "line 3: `rank` stands twice"),
        ("a: &x 1\nb: *x", "line 2: the alias"),
        ("a: !!python/object/apply:os.system [ls]", "line 1: tags"),
        ("- a\n- b", "a configuration is a mapping"),
        ("[" * 40 + "]" * 40, "deeper"),
        ("a: [1,\n", "this is no YAML"),
        ("a: \x01", "this is no YAML"),
        (b"a: \xff", "not UTF-8"),
        ("? [1]\n: 2", "a key is one word"),
        ("seed: 2026-99-99", "is no value"),
    ],
)
def test_yaml_with_a_trap_is_refused_with_its_line(folder, text, says):
    with pytest.raises(ProjectError) as caught:
        imported_as_it_is(folder, text)
    assert says in caught.value.message


def test_numbers_are_read_as_mlx_lm_reads_them(folder):
    """YAML 1.1 takes `1e-5` for text; mlx-lm does not."""
    assert recipe(folder, "learning_rate: 1e-5")[0].train.learning_rate == 1e-5


def test_adapter_configurations_in_json_are_read_too(folder):
    path = folder / "adapter_config.json"
    path.write_text(json.dumps({"model": "a/b", "lora_parameters": {"rank": 4, "scale": 10.0}, "config": None}))
    text = import_file(path, target=folder / "out.jessy").text
    assert load_text(text, folder / "out.jessy", root=folder).recipe.lora.alpha == 40


NUMBERS = st.one_of(st.integers(-5, 50), st.integers(), st.floats(allow_nan=False), st.just(10**400))
VALUES = st.one_of(NUMBERS, st.booleans(), st.text("abc/.~$\"'çİ\n", max_size=8), st.just({}), st.just([]))


@given(st.dictionaries(st.one_of(st.sampled_from(KEYS), st.text("abz_", min_size=1, max_size=6)), VALUES, max_size=8))
@settings(max_examples=60, deadline=None)
def test_no_key_is_swallowed(folder, configuration):
    """Each key changes the recipe, is what the recipe says anyway, or is named in a note; the recipe stays readable."""
    lines = [f"{json.dumps(key)}: {json.dumps(value)}" for key, value in configuration.items()]
    whole = imported(folder, "\n".join(lines))
    errors = [d for d in load_text(whole.text, folder / "out.jessy", root=folder).diagnostics if d.severity == "error"]
    assert all(d.place and d.place.text.startswith("FROM") for d in errors)
    for at, key in enumerate(configuration):
        without = imported(folder, "\n".join(line for n, line in enumerate(lines) if n != at))
        named = any(note.line == at + 1 for note in whole.notes)
        said = {"train": True, "fine_tune_type": "lora", "mask_prompt": True, **DEFAULTS}
        assert named or without.text != whole.text or configuration[key] in (said.get(key, SAME), {}, "adam"), key


SAME = object()
DEFAULTS = {"num_layers": 16, "batch_size": 4, "iters": 1000, "seed": 0, "steps_per_eval": 200, "save_every": 100,
            "learning_rate": 1e-5, "max_seq_length": 2048, "grad_accumulation_steps": 1}  # fmt: skip
