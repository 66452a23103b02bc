"""Every adapter that cannot be applied is refused by `plan`, by its name and with the way out, before any step; of one that can
be, `plan` knows what the base weighs with it.
"""

import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import mlx.core as mx
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

sys.path.insert(0, str(Path(__file__).parents[1] / "models"))

from adapters_made import halves, mlx_adapter, numbers, peft_adapter
from tiny import tiny_model

from jessyfile.errors import ModelError
from jessyfile.language import load_recipe
from jessyfile.models.adapters.folder import read_adapter
from jessyfile.models.base_checks import base_sizes, known_shape
from jessyfile.models.folder_checks import Outline
from jessyfile.pipeline import compile_steps
from jessyfile.planning.plan import Selection, make_plan
from jessyfile.planning.preflight import Outlook

RECIPE = """JESSY 1
NAME tiny
FROM "./{base}"
ADAPTER "{adapter}"
DATASET {{
  CATEGORY turkish 4 "Small talk" {{
    language tr
    TOPIC greetings 4
  }}
}}
EVAL {{
  SUITE turkish
}}
"""
Q, UP, EMBED = "model.layers.0.self_attn.q_proj", "model.layers.1.mlp.up_proj", "model.embed_tokens"
A, B, M = f"{Q}.lora_a", f"{Q}.lora_b", f"{Q}.m"
LOW = {A: numbers(64, 4), B: numbers(4, 128)}
GOOD = halves(Q, 128, 64)
LENGTHS = {f"{Q}.lora_magnitude_vector": numbers(128)}
ROWS = f"{EMBED}.token_adapter.trainable_tokens_delta"


def peft(arrays=GOOD, **config) -> Callable[[Path], object]:
    return lambda folder: peft_adapter(folder, arrays, **config)


def mlx(arrays=LOW, kind: str | None = "lora", **config) -> Callable[[Path], object]:
    return lambda folder: mlx_adapter(folder, arrays, kind, **config)


def pickle_alone(folder: Path) -> None:
    peft_adapter(folder, GOOD)
    (folder / "adapter_model.safetensors").rename(folder / "adapter_model.bin")


def checkpoints_alone(folder: Path) -> None:
    mlx_adapter(folder, LOW)
    (folder / "adapters.safetensors").rename(folder / "0000100_adapters.safetensors")
    shutil.copyfile(folder / "0000100_adapters.safetensors", folder / "0000200_adapters.safetensors")


def inner_folder(folder: Path) -> None:
    peft_adapter(folder / "checkpoint-20", GOOD)


def spoiled_file(folder: Path) -> None:
    path = peft_adapter(folder, GOOD) / "adapter_model.safetensors"
    path.write_bytes(path.read_bytes()[:-5])


def spoiled_configuration(folder: Path) -> None:
    (peft_adapter(folder, GOOD) / "adapter_config.json").write_text('{"peft_type":')


def pointer(folder: Path) -> None:
    text = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n"
    (peft_adapter(folder, GOOD) / "adapter_model.safetensors").write_text(text)


def whole_model(folder: Path) -> None:
    tiny_model(folder, "llama")


def old_file(folder: Path) -> None:
    (mlx_adapter(folder, LOW) / "adapters.safetensors").rename(folder / "adapters.npz")


def packed(folder: Path) -> None:
    save_file({f"{Q}.weight": np.zeros((128, 8), np.uint32)}, mlx_adapter(folder, LOW, "full") / "adapters.safetensors")


KINDS = [
    "ADALORA", "IA3", "LOHA", "LOKR", "OFT", "BOFT", "VERA", "LN_TUNING", "HRA", "VBLORA", "FOURIERFT", "RANDLORA", "MISS",
    "TRAINABLE_TOKENS", "XLORA", "POLY", "PREFIX_TUNING", "PROMPT_TUNING", "P_TUNING", "MULTITASK_PROMPT_TUNING",
    "ADAPTION_PROMPT", "CPT", "SOMETHING_NEW",
]  # fmt: skip
REFUSED = {
    **{f"PEFT's {kind}": (peft(peft_type=kind), f"PEFT's {kind}") for kind in KINDS},
    **{
        f"init_lora_weights {way}": (peft(init_lora_weights=way), f"init_lora_weights {way}, which")
        for way in ("pissa", "pissa_niter_16", "olora", "corda", "loftq", "lora_ga", "newer")
    },
    **{
        key: (peft(**{key: value}), f"ADAPTER has {key}: it")
        for key, value in {
            "alora_invocation_tokens": [1, 2], "arrow_config": {"top_k": 3}, "kasa_config": {"beta": 1}, "lora_bias": True,
            "layer_replication": [[0, 2], [1, 3]], "monteclora_config": {"num_samples": 8}, "use_qalora": True,
            "target_parameters": ["mlp.experts.down_proj"], "use_bdlora": {"nblocks": 2},
        }.items()
    },
    "a setting of a newer PEFT": (peft(use_next=True), "sets use_next, which is not known"),
    "a classifier": (peft(task_type="SEQ_CLS"), "trained for SEQ_CLS, not to write text"),
    "an embedding model": (peft(task_type="FEATURE_EXTRACTION"), "trained for FEATURE_EXTRACTION"),
    "a rank that is none": (peft(r=0), "has r '0', which PEFT does not write"),
    "an alpha that is none": (peft(lora_alpha="8"), "has lora_alpha '8'"),
    "an alpha without end": (peft(lora_alpha=10**400), "has lora_alpha '1000"),
    "a flag that is none": (peft(use_rslora="yes"), "has use_rslora 'yes'"),
    "DoRA that is neither on nor off": (peft(use_dora="quantized"), "has use_dora 'quantized'"),
    "a pattern that is none": (peft(rank_pattern={"(": 4}), "rank_pattern of the adapter_config.json cannot be used"),
    "a pattern without end": (peft(alpha_pattern={"(a+)+b": 4}), "could take exponential time"),
    "patterns as a list": (peft(rank_pattern=["q_proj"]), "has rank_pattern"),
    "modules_to_save as a word": (peft(modules_to_save="lm_head"), "has modules_to_save 'lm_head'"),
    "token numbers that are none": (peft(trainable_token_indices=["a"]), "has trainable_token_indices"),
    "a pickle": (pickle_alone, "is a pickle, which can run any code"),
    "no tensors of PEFT": (lambda folder: (peft_adapter(folder, GOOD) / "adapter_model.safetensors").unlink(), "of PEFT without adapter_model"),
    "an empty file of PEFT": (peft({}), "holds no adapter"),
    "a damaged file": (spoiled_file, "not a usable safetensors file"),
    "a damaged configuration": (spoiled_configuration, "cannot be read as JSON"),
    "a folder around it": (inner_folder, "has no adapter_config.json"),
    "another rank than the file's": (peft(r=8), "has rank 4, and its adapter_config.json says 8"),
    "half a product": (peft({key: one for key, one in GOOD.items() if "lora_A" in key}), "has lora_A and not lora_A and lora_B"),
    "DoRA without lengths": (peft(use_dora=True), "has no lora_magnitude_vector, and its adapter_config.json says use_dora true"),
    "lengths without DoRA": (peft({**GOOD, **LENGTHS}), "has lora_magnitude_vector, and its adapter_config.json says use_dora false"),
    "lengths of another number": (peft({**GOOD, f"{Q}.lora_magnitude_vector": numbers(64)}, use_dora=True), "is for (64,), the base has (128, 64)"),
    "halves that do not multiply": (peft({**GOOD, f"{Q}.lora_B.weight": numbers(128, 3)}), "do not multiply"),
    "parts that were not gathered": (peft({**GOOD, f"{Q}.lora_B.weight": np.zeros((0,), np.float32)}), "holds no number in"),
    "parts that were flattened": (peft({**GOOD, f"{Q}.lora_B.weight": numbers(512)}), "do not multiply"),
    "a whole module that was not gathered": (peft({**GOOD, "lm_head.weight": np.zeros((0,), np.float32)}, modules_to_save=["lm_head"]), "holds no number in"),
    "a convolution": (peft({f"{Q}.lora_A.weight": numbers(4, 64, 1, 1), f"{Q}.lora_B.weight": numbers(128, 4, 1, 1)}), "do not multiply"),
    "two adapters in one file": (
        peft({key.replace(".weight", f".{name}.weight"): one for name in ("a", "b") for key, one in GOOD.items()}),
        "holds several adapters (a, b)",
    ),
    "a module under two names": (
        peft({**GOOD, **{key.replace("model.", "model.language_model.", 1): one for key, one in GOOD.items()}}), "twice",
    ),
    "a bias of a product": (peft({**GOOD, f"{Q}.lora_B.bias": numbers(128)}), "lora_B.bias', which is not known"),
    "a name without end": (peft({**GOOD, "x" * 5000: numbers(4)}), "names a tensor 'base_model.model.x"),
    "a tensor of another method": (peft({**GOOD, f"{Q}.lora_diag": numbers(4)}), "lora_diag', which is not known"),
    "experts": (peft(halves("model.layers.0.mlp.experts.3.up_proj", 96, 64)), "for the experts of a mixture"),
    "fused experts": (peft(halves("model.layers.0.mlp.experts.base_layer", 96, 64)), "for the experts of a mixture"),
    "a vision tower": (peft(halves("model.vision_tower.layers.0.q_proj", 64, 64)), "not of the text part of the model"),
    "another base": (peft(halves("model.layers.9.self_attn.q_proj", 128, 64)), "`model.layers.9.self_attn.q_proj`, which the base model does not have"),
    "a wider base": (peft(halves(Q, 128, 96)), "is for (128, 96), the base has (128, 64)"),
    "fused layers": (peft(halves("model.layers.0.self_attn.qkv_proj", 256, 64)), "qkv_proj`, which the base model does not have"),
    "a bias that the base has not": (peft({**GOOD, f"{Q}.base_layer.bias": numbers(128)}, bias="all"), "q_proj.bias`, which the base model"),
    "added tokens": (peft({f"{EMBED}.weight": numbers(300, 64)}, modules_to_save=["embed_tokens"]), "has 300 rows and the base's vocabulary"),
    "added tokens beside a product": (peft({**GOOD, "lm_head.weight": numbers(300, 64), f"{EMBED}.weight": numbers(300, 64)}), "tokens were added"),
    "rows of added tokens": (peft({ROWS: numbers(2, 64)}, trainable_token_indices=[3, 900]), "has 901 rows and the base's vocabulary"),
    "a part whose adapter has a name of two words": (peft({**GOOD, f"{Q}.lora_A.a.b.weight": numbers(4, 64)}), "is not known"),
    "rows without numbers": (peft({ROWS: numbers(2, 64)}, trainable_token_indices=[3]), "trainable_token_indices names 1"),
    "a module that was not saved": (peft(modules_to_save=["lm_head"]), "lacks lm_head, which PEFT's modules_to_save says"),
    "numbers of another type": (packed, "as U32"),
    "an unknown fine_tune_type": (mlx(kind="ia3"), "fine_tune_type ia3, which is not known"),
    "a full tuning of another base": (mlx({"model.layers.9.mlp.up_proj.weight": numbers(96, 64)}, "full"), "does not have"),
    "a full tuning of another width": (mlx({f"{Q}.weight": numbers(64, 128)}, "full"), "is for (64, 128), the base has (128, 64)"),
    "a full tuning with halves": (mlx(LOW, "full"), "fine_tune_type full and holds"),
    "whole weights called lora": (mlx({f"{Q}.weight": numbers(128, 64)}), "holds whole weights"),
    "a whole weight among halves": (mlx({**LOW, f"{UP}.weight": numbers(96, 64)}), "would be lost"),
    "DoRA of mlx-lm without lengths": (mlx(kind="dora"), "lacks m, the lengths of its rows"),
    "LoRA of mlx-lm with lengths": (mlx({**LOW, M: numbers(128)}), "has m, the lengths of DoRA"),
    "no half": (mlx({A: LOW[A]}), "lacks lora_a or lora_b"),
    "halves of mlx-lm that do not multiply": (mlx({A: LOW[A], B: numbers(3, 128)}), "do not multiply"),
    "experts of mlx-lm": (mlx({A: numbers(8, 4, 64), B: numbers(8, 128, 4)}), "for the experts of a mixture"),
    "no scale": (mlx(lora_parameters={"rank": 4, "alpha": 16}), "has no scale"),
    "a scale without end": (mlx(lora_parameters={"scale": 10**400}), "has no scale"),
    "checkpoints alone": (checkpoints_alone, "has no adapters.safetensors"),
    "an empty file of mlx-lm": (mlx({}), "holds no adapter"),
    "PEFT's tensors in mlx-lm's file": (mlx({f"base_model.model.{key}": one for key, one in GOOD.items()}), "tensors with PEFT's names"),
    "an old mlx-lm's file": (old_file, "has no adapters.safetensors"),
    "a pointer of Git LFS": (pointer, "`adapter_model.safetensors` of the adapter is a Git LFS pointer"),
    "a whole model": (whole_model, "has no adapter_config.json"),
    "an empty folder": (lambda folder: folder.mkdir(), "has no adapter_config.json"),
}  # fmt: skip


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("project")
    tiny_model(folder / "llama", "llama", tie_word_embeddings=False)
    tiny_model(folder / "gemma", "gemma")
    return folder


def plan(
    root: Path,
    make: Callable[[Path], object],
    monkeypatch,
    base: str = "llama",
    adapter: str = "./adapter",
    steps=("base",),
):
    monkeypatch.setenv("OLLAMA_MODELS", str(root / "ollama"))
    monkeypatch.setenv("OLLAMA_HOST", "127.0.0.1:9")  # where nothing listens
    shutil.rmtree(root / "adapter", ignore_errors=True)
    make(root / "adapter")
    (root / "tiny.jessy").write_text(RECIPE.format(base=base, adapter=adapter))
    recipe = load_recipe(root / "tiny.jessy").recipe
    assert recipe is not None
    return make_plan(recipe, root, compile_steps(recipe), Selection(only=("base",)))


@pytest.mark.parametrize("name", REFUSED)
def test_an_adapter_that_cannot_be_applied_is_refused_by_plan(name, root, monkeypatch):
    make, says = REFUSED[name]
    (error,) = plan(root, make, monkeypatch).errors
    assert says in error.message
    assert error.where == "tiny.jessy:4"
    assert error.help


@pytest.mark.parametrize(
    "make", [peft(), peft({**GOOD, **LENGTHS}, use_dora=True), mlx(), mlx({**LOW, M: numbers(128)}, "dora")]
)
def test_one_that_can_be_applied_is_not(make, root, monkeypatch):
    assert plan(root, make, monkeypatch).errors == ()


@pytest.mark.parametrize("kept_equal", [False, True])
def test_a_base_that_has_one_tensor_for_both_takes_no_embedding_of_its_own(kept_equal, root, monkeypatch):
    rows = load_file(root / "gemma" / "model.safetensors")[f"{EMBED}.weight"].shape[0]
    make = peft(
        {f"{EMBED}.weight": numbers(rows, 64)}, modules_to_save=["embed_tokens"], ensure_weight_tying=kept_equal
    )
    errors = plan(root, make, monkeypatch, base="gemma").errors
    assert [error.message for error in errors if "has one tensor for both" not in error.message] == []
    assert bool(errors) is not kept_equal


def test_split_layers_are_not_put_into_fused_ones(root, monkeypatch):
    """A model whose layers were split for training has an adapter for layers that the original has fused."""
    tiny_model(root / "phi3", "phi3")
    (error,) = plan(root, peft(), monkeypatch, base="phi3").errors
    assert error.message == f"the adapter changes `{Q}`, which the base model does not have"
    assert "fused layers (`qkv_proj`)" in error.help
    fused = load_file(root / "phi3" / "model.safetensors")["model.layers.0.self_attn.qkv_proj.weight"].shape
    assert plan(root, peft(halves("model.layers.0.self_attn.qkv_proj", *fused)), monkeypatch, base="phi3").errors == ()


def test_a_head_alone_is_not_kept_equal_to_an_embedding(tmp_path):
    tied = Outline({f"{EMBED}.weight": (96, 64)}, "llama", tied=True)
    folder = peft_adapter(tmp_path / "adapter", halves("lm_head", 96, 64), ensure_weight_tying=True)
    with pytest.raises(ModelError, match="changes the head alone"):
        read_adapter(folder, tied)


def test_a_head_of_its_own_and_what_was_quantized_count_in_the_forecast(root, monkeypatch):
    """A 4-bit base was said to be held in 4 bits, and one whose head the adapter unties without that head."""
    folder = tiny_model(root / "tied", "llama")
    stored = load_file(folder / "model.safetensors")
    weight, scales, biases = (np.array(one) for one in mx.quantize(mx.array(stored[f"{UP}.weight"]), 32, 4))
    save_file(
        {**stored, f"{UP}.weight": weight, f"{UP}.scales": scales, f"{UP}.biases": biases}, folder / "model.safetensors"
    )
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "quantization": {"group_size": 32, "bits": 4}}))
    whole = {f"{EMBED}.weight": stored[f"{EMBED}.weight"]}
    parameters = []
    for kept_equal in (True, False):
        make = peft(whole, modules_to_save=["embed_tokens"], ensure_weight_tying=kept_equal)
        plan(root, make, monkeypatch, "tied")
        outlook = Outlook(load_recipe(root / "tiny.jessy").recipe, root, ("base",))
        shape = known_shape(outlook)
        assert (shape.tied, shape.quantized) == (kept_equal, False)
        parameters.append(base_sizes(outlook).parameters)
    assert parameters[1] - parameters[0] == whole[f"{EMBED}.weight"].size


@pytest.mark.parametrize(
    ("make", "names"), [(peft(), "the base it was trained on (some/base)"), (mlx(), "in FROM the base")]
)
def test_an_adapter_in_from_is_told_from_a_model(make, names, root, monkeypatch):
    shutil.rmtree(root / "only", ignore_errors=True)
    make(root / "only")
    (error,) = [one for one in plan(root, peft(), monkeypatch, base="only").errors if one.where == "tiny.jessy:3"]
    assert "holds an adapter, not a model" in error.message
    assert names in error.help


def test_a_pickle_is_never_opened(root, monkeypatch):
    """Opening one runs whatever its maker wrote into it."""

    def make(folder: Path) -> None:
        pickle_alone(folder)
        os.chmod(folder / "adapter_model.bin", 0)

    opened = []
    real = open
    monkeypatch.setattr(
        "builtins.open", lambda path, *rest, **named: (opened.append(str(path)), real(path, *rest, **named))[1]
    )
    plan(root, make, monkeypatch)
    assert not [path for path in opened if path.endswith(".bin")]


@pytest.mark.parametrize(
    ("text", "way"),
    [
        ("./adapter.gguf", "converted from"),
        ("./adapter/adapters.safetensors", "name the folder of the file"),
    ],
)
def test_what_is_no_folder_is_told_so_by_its_own_word(text, way, root, monkeypatch):
    (root / "adapter.gguf").write_bytes(b"GGUF")
    (error,) = plan(root, mlx(), monkeypatch, adapter=text).errors
    assert error.message == f"ADAPTER `{text}` is no adapter's folder"
    assert way in error.help


def test_the_way_out_is_named_where_there_is_one(root, monkeypatch):
    for make, names in (
        (checkpoints_alone, "cp 0000200_adapters.safetensors adapters.safetensors"),
        (inner_folder, "adapter/checkpoint-20"),
        (peft(peft_type="IA3"), "merge_and_unload"),
        (peft(init_lora_weights="pissa"), "path_initial_model_for_weight_conversion"),
        (pickle_alone, "safe_serialization=True"),
        (whole_model, "name it in FROM"),
        (old_file, "mx.load('adapters.npz')"),
        (pointer, "git lfs pull"),
    ):
        assert names in plan(root, make, monkeypatch).errors[0].help


def test_an_adapters_weights_count_as_part_of_the_base(root, monkeypatch):
    """The file of PEFT was not among those that are hashed, so another adapter in the same folder changed nothing."""
    first = plan(root, peft(), monkeypatch).steps[1].own
    second = plan(root, peft({**GOOD, f"{Q}.lora_B.weight": numbers(128, 4, seed=1)}), monkeypatch).steps[1].own
    assert first != second
