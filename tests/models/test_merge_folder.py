"""A merge is W + scale · (A·B)ᵀ in full precision, and what changed is stored so that none of it is lost."""

import json

import mlx.core as mx
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from tiny import tiny_adapter, tiny_model

from jessyfile.errors import ModelError
from jessyfile.models.adapters.merge import merge_folder
from jessyfile.models.load import load_model
from jessyfile.models.weights import Weights, narrowed, widened

MODULES = {"model.layers.1.self_attn.q_proj": (128, 64), "model.layers.2.mlp.down_proj": (64, 96)}


def silent(*_):
    pass


def delta(folder, module):
    """Return what an adapter of mlx-lm's form adds, by its definition."""
    arrays, config = (
        load_file(folder / "adapters.safetensors"),
        json.loads((folder / "adapter_config.json").read_text()),
    )
    return config["scale"] * (arrays[f"{module}.lora_a"] @ arrays[f"{module}.lora_b"]).T


def test_merging_equals_running_the_adapter(tmp_path):
    """The merged model's logits are those of mlx-lm's own LoRA layers over the base."""
    from mlx.utils import tree_unflatten
    from mlx_lm.tuner.lora import LoRALinear

    base = tiny_model(tmp_path / "base", "llama")
    adapter = tiny_adapter(tmp_path / "adapter", MODULES, scale=0.5)
    (tmp_path / "merged").mkdir()
    merged = merge_folder(base, adapter, tmp_path / "merged", silent)
    assert merged.changed == 2
    assert merged.relative_change > 0
    model, _ = load_model(base)
    arrays, modules = load_file(adapter / "adapters.safetensors"), dict(model.named_modules())
    layers = []
    for name in MODULES:
        layer = LoRALinear.from_base(modules[name], r=4, scale=0.5)
        layer.lora_a, layer.lora_b = mx.array(arrays[f"{name}.lora_a"]), mx.array(arrays[f"{name}.lora_b"])
        layers.append((name, layer))
    model.update_modules(tree_unflatten(layers))
    plain, _ = load_model(tmp_path / "merged")
    ids = mx.array([[1, 270, 280, 290]])
    np.testing.assert_allclose(np.array(plain(ids)), np.array(model(ids)), atol=2e-4, rtol=1e-4)


def test_untouched_tensors_keep_their_bytes(tmp_path):
    base, adapter = tiny_model(tmp_path / "base"), tiny_adapter(tmp_path / "adapter", MODULES)
    (tmp_path / "merged").mkdir()
    merge_folder(base, adapter, tmp_path / "merged", silent)
    before, after = load_file(base / "model.safetensors"), load_file(tmp_path / "merged" / "model.safetensors")
    changed = {name for name in before if before[name].tobytes() != after[name].tobytes()}
    assert changed == {f"{module}.weight" for module in MODULES}
    assert (tmp_path / "merged" / "tokenizer.json").read_bytes() == (base / "tokenizer.json").read_bytes()


@pytest.mark.parametrize("bits", [4, 8])
def test_a_quantized_base_comes_out_dequantized_before_it_is_merged(bits, tmp_path):
    """Fusing into 4 bits keeps a tenth of a gentle fine-tune; here all of it is kept."""
    base = tiny_model(tmp_path / "base", "llama")
    arrays = {name: mx.array(array) for name, array in load_file(base / "model.safetensors").items()}
    packed = {}
    for name, array in arrays.items():
        if array.ndim == 2:
            weight, scales, biases = mx.quantize(array, group_size=32, bits=bits)
            stem = name.removesuffix(".weight")
            packed |= {name: weight, f"{stem}.scales": scales, f"{stem}.biases": biases}
        else:
            packed[name] = array
    save_file({name: np.array(array) for name, array in packed.items()}, base / "model.safetensors")
    config = json.loads((base / "config.json").read_text())
    (base / "config.json").write_text(json.dumps({**config, "quantization": {"group_size": 32, "bits": bits}}))
    (tmp_path / "merged").mkdir()
    merge_folder(base, tiny_adapter(tmp_path / "adapter", MODULES), tmp_path / "merged", silent)
    merged = Weights(tmp_path / "merged")
    assert "quantization" not in merged.config
    for name, array in arrays.items():
        stem = name.removesuffix(".weight")
        kept = (
            np.array(mx.dequantize(*mx.quantize(array, group_size=32, bits=bits), 32, bits))
            if array.ndim == 2
            else np.array(array)
        )
        expected = kept + delta(tmp_path / "adapter", stem) if stem in MODULES else kept
        np.testing.assert_allclose(merged.read(name), expected, atol=1e-5)


def cast(base, kind):
    arrays = {name: mx.array(one) for name, one in load_file(base / "model.safetensors").items()}
    mx.save_safetensors(str(base / "model.safetensors"), {name: one.astype(kind) for name, one in arrays.items()})


@pytest.mark.parametrize(("dtype", "kind"), [("F16", mx.float16), ("BF16", mx.bfloat16)])
def test_a_half_precision_base_keeps_its_type_where_nothing_changes(dtype, kind, tmp_path):
    base = tiny_model(tmp_path / "base")
    cast(base, kind)
    (tmp_path / "merged").mkdir()
    merge_folder(base, tiny_adapter(tmp_path / "adapter", MODULES), tmp_path / "merged", silent)
    merged = Weights(tmp_path / "merged")
    assert {merged.dtype(name) for name in merged.names if name.removesuffix(".weight") not in MODULES} == {dtype}
    assert {merged.dtype(f"{module}.weight") for module in MODULES} == {"F32"}
    assert load_model(tmp_path / "merged")[0](mx.array([[1, 270, 280]])).shape == (1, 3, merged.config["vocab_size"])


@pytest.mark.parametrize("kind", [mx.float16, mx.bfloat16, mx.float32])
def test_a_gentle_fine_tune_survives_the_merge(kind, tmp_path):
    """A change of 0.1 % of the weights was rounded to a cosine of 0.65 with itself when it went back into BF16."""
    base, adapter = tiny_model(tmp_path / "base"), tiny_adapter(tmp_path / "adapter", MODULES)
    cast(base, kind)
    before = {name: Weights(base).read(f"{name}.weight") for name in MODULES}
    sizes = {name: np.linalg.norm(delta(adapter, name)) / np.linalg.norm(before[name]) for name in MODULES}
    broken(
        adapter, lambda a: a.update({f"{n}.lora_b": a[f"{n}.lora_b"] * np.float32(1e-3 / sizes[n]) for n in MODULES})
    )
    (tmp_path / "merged").mkdir()
    merge_folder(base, adapter, tmp_path / "merged", silent)
    for name in MODULES:
        added = delta(adapter, name)
        found = Weights(tmp_path / "merged").read(f"{name}.weight") - before[name]
        assert np.linalg.norm(added) == pytest.approx(1e-3 * np.linalg.norm(before[name]), rel=1e-3)
        assert np.vdot(found, added) / np.linalg.norm(found) / np.linalg.norm(added) > 0.999


def test_bfloat16_rounds_as_mlx_rounds():
    values = np.random.default_rng(0).standard_normal(10_000).astype(np.float32) * 1e3
    ours = widened(narrowed(values, "BF16"), "BF16")
    np.testing.assert_array_equal(ours, np.array(mx.array(values).astype(mx.bfloat16).astype(mx.float32)))


def broken(folder, change):
    arrays = load_file(folder / "adapters.safetensors")
    change(arrays)
    save_file(arrays, folder / "adapters.safetensors")


@pytest.mark.parametrize(
    ("says", "change"),
    [
        ("lacks lora_a or lora_b", lambda a: a.pop("model.layers.1.self_attn.q_proj.lora_b")),
        (
            "do not multiply",
            lambda a: a.update({"model.layers.1.self_attn.q_proj.lora_b": np.zeros((3, 128), np.float32)}),
        ),
        (
            "does not have",
            lambda a: a.update({f"x.{p}": a[f"model.layers.1.self_attn.q_proj.{p}"] for p in ("lora_a", "lora_b")}),
        ),
        ("the base has", lambda a: a.update({"model.layers.1.self_attn.q_proj.lora_a": np.zeros((60, 4), np.float32)})),
        ("not finite", lambda a: a["model.layers.1.self_attn.q_proj.lora_a"].fill(np.nan)),
        ("holds no adapter", lambda a: a.clear()),
    ],
)
def test_an_adapter_that_does_not_belong_is_refused_before_anything_is_written(says, change, tmp_path):
    base, adapter = tiny_model(tmp_path / "base"), tiny_adapter(tmp_path / "adapter", MODULES)
    broken(adapter, change)
    (tmp_path / "merged").mkdir()
    with pytest.raises(ModelError, match=says):
        merge_folder(base, adapter, tmp_path / "merged", silent)
    assert not list((tmp_path / "merged").iterdir())
