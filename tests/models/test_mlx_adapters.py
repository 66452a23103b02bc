"""Every kind of adapter that mlx-lm trains becomes the weights that mlx-lm's own layers compute with."""

import json
import tracemalloc

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest
from adapters_made import mlx_adapter, numbers
from mlx.utils import tree_flatten
from mlx_lm.tuner.dora import DoRAEmbedding, DoRALinear
from mlx_lm.tuner.lora import LoRAEmbedding, LoRALinear
from mlx_lm.tuner.utils import linear_to_lora_layers, load_adapters
from safetensors.numpy import load_file, save_file
from tiny import tiny_model

from jessyfile.errors import ModelError
from jessyfile.models.adapters.folder import read_adapter
from jessyfile.models.adapters.merge import merge_folder
from jessyfile.models.load import load_model
from jessyfile.models.weights import Weights

KEYS = ["self_attn.q_proj", "mlp.down_proj", "model.embed_tokens"]
IDS = mx.array([[1, 100, 180, 250]])


def silent(*_):
    pass


def trained(model, kind, layers=2, keys=KEYS):
    """Put mlx-lm's own layers on a model and move every number of them; return what mlx-lm would save."""
    model.freeze()
    settings = {"rank": 4, "scale": 0.5, "dropout": 0.0, "keys": keys}
    if kind == "full":
        for layer in model.layers[-layers:]:
            layer.unfreeze()
    else:
        linear_to_lora_layers(model, layers, settings, use_dora=kind == "dora")
    arrays = {name: np.array(one) for name, one in tree_flatten(model.trainable_parameters())}
    moved = {name: one + 0.1 * numbers(*one.shape) for name, one in arrays.items()}
    return moved, {"num_layers": layers, "lora_parameters": settings}


@pytest.mark.parametrize("model_type", ["llama", "gemma3_text", "qwen2"])
@pytest.mark.parametrize("kind", ["lora", "dora", "full"])
def test_a_merge_answers_as_mlx_lm_does_with_the_adapter_loaded(kind, model_type, tmp_path):
    """DoRA and full tunings were refused, and an adapter on the embedding was taken for a damaged one."""
    base = tiny_model(tmp_path / "base", model_type)
    arrays, config = trained(load_model(base)[0], kind)
    adapter = mlx_adapter(tmp_path / "adapter", arrays, kind, **config)
    (tmp_path / "merged").mkdir()
    result = merge_folder(base, adapter, tmp_path / "merged", silent)
    theirs = load_adapters(load_model(base)[0], str(adapter))
    if kind == "full":  # mlx-lm checks such a file and loads it as any weights
        theirs.load_weights(str(adapter / "adapters.safetensors"), strict=False)
    theirs.eval()
    np.testing.assert_allclose(
        np.array(load_model(tmp_path / "merged")[0](IDS)), np.array(theirs(IDS)), atol=3e-4, rtol=1e-3
    )
    before, after = Weights(base), Weights(tmp_path / "merged")
    changed = [name for name in before.names if not np.array_equal(before.read(name), after.read(name))]
    assert len(changed) == result.changed > 0
    difference = sum(np.sum((after.read(name) - before.read(name)) ** 2, dtype=np.float64) for name in changed)
    whole = sum(np.sum(before.read(name) ** 2, dtype=np.float64) for name in changed)
    assert result.relative_change == pytest.approx(np.sqrt(difference / whole), rel=1e-4)


@pytest.mark.parametrize("bits", [None, 4, 8])
@pytest.mark.parametrize("layer", [LoRALinear, DoRALinear, LoRAEmbedding, DoRAEmbedding])
def test_a_merged_tensor_is_what_mlx_lm_fuses(layer, bits, tmp_path):
    if layer is DoRAEmbedding and bits:
        pytest.skip("mlx-lm's DoRAEmbedding knows no quantized embedding")
    mx.random.seed(3)
    embeds = "Embedding" in layer.__name__
    name, plain = (
        ("model.embed_tokens", nn.Embedding(96, 64))
        if embeds
        else ("model.layers.0.mlp.up_proj", nn.Linear(64, 96, bias=False))
    )
    plain.weight = mx.array(numbers(96, 64))
    inner = plain.to_quantized(32, bits) if bits else plain
    fused = layer.from_base(inner, r=4, scale=0.5)
    fused.lora_b = mx.array(numbers(*fused.lora_b.shape))
    parts = {
        "lora_a": fused.lora_a,
        "lora_b": fused.lora_b,
        **({"m": fused.m * 1.5} if "DoRA" in layer.__name__ else {}),
    }
    if "m" in parts:
        fused.m = parts["m"]
    adapter = mlx_adapter(
        tmp_path / "adapter",
        {f"{name}.{part}": np.array(one) for part, one in parts.items()},
        "dora" if "m" in parts else "lora",
    )
    base, merged = tmp_path / "base", tmp_path / "merged"
    base.mkdir()
    merged.mkdir()
    stored = {f"{name}.{key}": np.array(one) for key, one in tree_flatten(inner.parameters())}
    if not embeds:
        stored["model.embed_tokens.weight"] = numbers(8, 64)
    save_file(stored, base / "model.safetensors")
    quantization = {"quantization": {"group_size": 32, "bits": bits}} if bits else {}
    (base / "config.json").write_text(json.dumps({"model_type": "llama", **quantization}))
    merge_folder(base, adapter, merged, silent)
    theirs = np.array(fused.fuse(dequantize=True).weight)
    np.testing.assert_allclose(Weights(merged).read(f"{name}.weight"), theirs, atol=1e-5, rtol=1e-5)


def test_a_full_tuning_keeps_its_own_type_and_leaves_other_layers_alone(tmp_path):
    base = tiny_model(tmp_path / "base", "llama")
    name = "model.layers.2.mlp.up_proj.weight"
    mlx_adapter(tmp_path / "adapter", {name: numbers(96, 64)}, "full")
    mx.save_safetensors(
        str(tmp_path / "adapter" / "adapters.safetensors"), {name: mx.array(numbers(96, 64)).astype(mx.bfloat16)}
    )
    (tmp_path / "merged").mkdir()
    assert merge_folder(base, tmp_path / "adapter", tmp_path / "merged", silent).changed == 1
    merged, before = Weights(tmp_path / "merged"), load_file(base / "model.safetensors")
    assert merged.dtype(name) == "BF16"
    expected = np.array(mx.array(numbers(96, 64)).astype(mx.bfloat16).astype(mx.float32))
    np.testing.assert_array_equal(merged.read(name), expected)
    assert all(np.array_equal(merged.read(other), before[other]) for other in before if other != name)


def test_a_row_of_zeros_stays_zero_under_dora(tmp_path):
    """A padded vocabulary has rows of zeros, whose length of zero made numbers that are none."""
    base = tiny_model(tmp_path / "base", "llama")
    arrays = load_file(base / "model.safetensors")
    arrays["model.layers.0.self_attn.q_proj.weight"][5] = 0
    save_file(arrays, base / "model.safetensors", metadata={"format": "mlx"})
    stem, b = "model.layers.0.self_attn.q_proj.", numbers(4, 128)
    b[:, 5] = 0
    lengths = np.abs(numbers(128))
    mlx_adapter(
        tmp_path / "adapter", {stem + "lora_a": numbers(64, 4), stem + "lora_b": b, stem + "m": lengths}, "dora"
    )
    (tmp_path / "merged").mkdir()
    merge_folder(base, tmp_path / "adapter", tmp_path / "merged", silent)
    found = np.linalg.norm(Weights(tmp_path / "merged").read(stem + "weight"), axis=1)
    assert found[5] == 0
    np.testing.assert_allclose(np.delete(found, 5), np.delete(lengths, 5), rtol=1e-5)


@pytest.mark.parametrize("prefix", ["", "language_model."])
def test_the_text_part_of_a_multimodal_adapter_is_found(prefix, tmp_path):
    base = tiny_model(tmp_path / "base")
    stem = "model.layers.0.self_attn.q_proj."
    mlx_adapter(
        tmp_path / "adapter", {f"{prefix}{stem}lora_a": numbers(64, 4), f"{prefix}{stem}lora_b": numbers(4, 128)}
    )
    (tmp_path / "merged").mkdir()
    merge_folder(base, tmp_path / "adapter", tmp_path / "merged", silent)
    difference = Weights(tmp_path / "merged").read(stem + "weight") - Weights(base).read(stem + "weight")
    np.testing.assert_allclose(difference, 0.5 * (numbers(64, 4) @ numbers(4, 128)).T, atol=1e-5)


def test_what_is_trained_is_told_by_the_tensors_where_the_configuration_does_not(tmp_path):
    stem = "model.layers.0.self_attn.q_proj."
    low = {stem + "lora_a": numbers(64, 4), stem + "lora_b": numbers(4, 128)}
    for number, (arrays, kinds) in enumerate(
        [
            (low, ["Product"]),
            ({**low, stem + "m": numbers(128)}, ["Product", "Rescaled"]),
            ({stem + "weight": numbers(128, 64)}, ["Replaced"]),
        ]
    ):
        adapter = read_adapter(mlx_adapter(tmp_path / str(number), arrays, kind=None), None)
        assert [type(change).__name__ for change in adapter.changes[stem + "weight"]] == kinds


def test_a_merge_holds_one_tensor_and_some_rows_of_another(tmp_path, monkeypatch):
    """A vocabulary of 262,144 rows was held three times over while an adapter was added to it."""
    monkeypatch.setattr("jessyfile.models.weights.CHUNK_VALUES", 1 << 14)
    monkeypatch.setattr("jessyfile.models.adapters.changes.CHUNK_VALUES", 1 << 14)
    base, rows = tmp_path / "base", 30_000
    (tmp_path / "merged").mkdir()
    base.mkdir()
    save_file({"model.embed_tokens.weight": numbers(rows, 64)}, base / "model.safetensors")
    (base / "config.json").write_text(json.dumps({"model_type": "llama"}))
    stem = "model.embed_tokens."
    mlx_adapter(
        tmp_path / "adapter",
        {stem + "lora_a": numbers(rows, 1), stem + "lora_b": numbers(1, 64), stem + "m": numbers(rows)},
        "dora",
    )
    tracemalloc.start()
    merge_folder(base, tmp_path / "adapter", tmp_path / "merged", silent)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1.6 * rows * 64 * 4


def test_what_a_merge_leaves_alone_is_copied_and_never_widened(tmp_path):
    """A vocabulary in BF16 was widened to float32 and rounded back, in five times its memory, to come out as it went in."""
    base, rows, stem = tmp_path / "base", 30_000, "model.layers.0.self_attn.q_proj."
    (tmp_path / "merged").mkdir()
    base.mkdir()
    arrays = {
        "model.embed_tokens.weight": mx.array(numbers(rows, 64)).astype(mx.bfloat16),
        stem + "weight": mx.zeros((128, 64)),
    }
    mx.save_safetensors(str(base / "model.safetensors"), arrays)
    (base / "config.json").write_text(json.dumps({"model_type": "llama"}))
    mlx_adapter(tmp_path / "adapter", {stem + "lora_a": numbers(64, 4), stem + "lora_b": numbers(4, 128)})
    tracemalloc.start()
    merge_folder(base, tmp_path / "adapter", tmp_path / "merged", silent)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < rows * 64 * 2


def test_an_adapter_that_gives_numbers_that_are_not_finite_leaves_nothing_behind(tmp_path):
    base = tiny_model(tmp_path / "base", "llama")
    stem = "model.layers.0.self_attn.q_proj."
    huge = {stem + "lora_a": np.full((64, 4), 1e30, np.float32), stem + "lora_b": np.full((4, 128), 1e30, np.float32)}
    mlx_adapter(tmp_path / "adapter", huge)
    (tmp_path / "merged").mkdir()
    with np.errstate(over="ignore"), pytest.raises(ModelError, match="not finite"):
        merge_folder(base, tmp_path / "adapter", tmp_path / "merged", silent)
    assert not list((tmp_path / "merged").iterdir())
