"""A base that is held in fewer bits than float32 is trained, takes the room that was forecast, and is merged as it came."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest
from mlx.utils import tree_flatten
from safetensors.numpy import load_file, save_file
from tiny import tiny_model
from training_fakes import LORA, TRAIN, Silent, StopAfter, encoded
from world import context, recipe

from jessyfile import machine
from jessyfile.errors import ConvergenceError
from jessyfile.language.recipe import Personality
from jessyfile.models.adapters.merge import merge_folder
from jessyfile.models.load import load_model
from jessyfile.models.precision import Precision, resolve
from jessyfile.models.shape import shape_of
from jessyfile.models.tokenizer import read_json
from jessyfile.training import adapter, checkpoint, gradient, loss, trainer
from jessyfile.training import encoded as rows_file
from jessyfile.training.batches import build
from jessyfile.training.footprint import base_bytes
from jessyfile.training.train_steps import run_train
from jessyfile.training.widened import WideRows
from jessyfile.training.workers import Workers

WANTED = ("float32", "float16", "bfloat16", "q8", "q4")
LIKE = {"float32": 1 - 1e-6, "float16": 0.9999, "bfloat16": 0.998, "q8": 0.99, "q4": 0.85}  # cosine with float32's


def base(folder: Path, model_type: str = "llama", linear: float = 1, down: float = 1, **changes: Any) -> Path:
    """A tiny base whose every token has an embedding, its linear layers and `down_proj` so many times as large as usual."""
    made = tiny_model(folder / model_type, model_type, **changes)
    arrays = load_file(made / "model.safetensors")
    shape = arrays["model.embed_tokens.weight"].shape
    arrays["model.embed_tokens.weight"] = np.random.default_rng(9).normal(0, 0.25, shape).astype(np.float32)
    for name in arrays:
        arrays[name] *= np.float32((linear if "_proj" in name else 1) * (down if "down_proj" in name else 1))
    save_file(arrays, made / "model.safetensors")
    return made


def held(folder: Path, precision: Precision) -> Any:
    model = load_model(folder, precision)[0]
    adapter.attach(model, LORA, 0)
    rng = np.random.default_rng(0)
    arrays = {
        key: mx.array(rng.normal(0, 0.05, a.shape).astype(np.float32)) for key, a in adapter.parameters(model).items()
    }
    model.load_weights(list(arrays.items()), strict=False)
    return model


def gradient_on_a_cpu(model: Any) -> np.ndarray:
    found = gradient.passes(Workers([model]), 1).gradient(encoded(5), [list(range(5))], lambda part: part)
    return flat(found.gradients)


def flat(gradients: dict[str, Any]) -> np.ndarray:
    return np.concatenate([np.array(gradients[key]).ravel() for key in sorted(gradients)])


def cosine(left: np.ndarray, right: np.ndarray) -> float:
    return float(left @ right / np.linalg.norm(left) / np.linalg.norm(right))


@pytest.mark.parametrize("model_type", ["gemma", "qwen2"])
def test_the_gradient_is_close_to_that_of_float32(tmp_path, model_type):
    """On a CPU everything computes in float32, so nothing but the rounding of the weights is left."""
    folder = base(tmp_path, model_type, linear=0.3)
    exact = gradient_on_a_cpu(held(folder, resolve("float32", "CPU")))
    for wanted in WANTED:
        assert cosine(gradient_on_a_cpu(held(folder, resolve(wanted, "CPU"))), exact) > LIKE[wanted], wanted


@pytest.mark.parametrize("wanted", ["q8", "q4", "bfloat16", "float16"])
def test_widening_a_weight_for_each_product_is_what_mlx_computes_itself(tmp_path, wanted):
    model = held(base(tmp_path, "qwen2"), resolve(wanted, "CPU"))
    rows = encoded(5)
    batch, prefix = build(rows, [0, 1, 2], 16), mx.array(rows.prefix[:-1])
    value, tree = nn.value_and_grad(model, lambda: loss.direct_loss(model, prefix, batch))()
    found = gradient.passes(Workers([model]), 1).gradient(rows, [[0, 1, 2]], lambda part: part)
    assert found.loss == pytest.approx(float(value), rel=1e-5 if wanted.startswith("q") else 5e-3)
    assert cosine(flat(found.gradients), flat(dict(tree_flatten(tree)))) > (
        1 - 1e-6 if wanted.startswith("q") else 0.9995
    )


@pytest.mark.parametrize(("chip", "wanted"), [("CPU", one) for one in WANTED] + [("CUDA", one) for one in WANTED])
def test_the_loss_falls_and_the_adapter_and_the_optimizer_are_float32(tmp_path, monkeypatch, chip, wanted):
    """As on a CPU, through NumPy; and as on a GPU, by MLX alone in the type of the base."""
    for module in (gradient, trainer):
        monkeypatch.setattr(module, "on_gpu", lambda: chip != "CPU")
    train = replace(TRAIN, epochs=10, learning_rate=2e-2)
    model = load_model(base(tmp_path, num_hidden_layers=1), resolve(wanted, chip))[0]
    adapter.attach(model, LORA, train.seed)
    rows = encoded(4)
    made = trainer.Trainer(model, train, LORA, rows, rows, 1, tmp_path / "work", Silent(), StopAfter())
    curve = made.run().curve
    assert curve[-1]["loss"] < curve[0]["loss"] - 1
    states = [array for array in checkpoint.latest(made.work)[1]["optimizer"].values() if array.ndim]
    assert states
    assert {array.dtype for array in (*adapter.parameters(model).values(), *states)} == {mx.float32}


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("chip", ["CPU", "CUDA"])
@pytest.mark.parametrize("wanted", WANTED)
def test_a_base_weighs_what_was_said_of_it(tmp_path, wanted, chip, tied):
    folder, precision = base(tmp_path, tie_word_embeddings=tied), resolve(wanted, chip)
    model, config = load_model(folder, precision)
    weighed = {name: array.nbytes for name, array in tree_flatten(model.parameters()) if "norm" not in name}
    assert sum(weighed.values()) == base_bytes(shape_of(config), precision)
    assert ("lm_head.weight" in weighed) is not tied


def test_norms_stay_as_the_base_computes_and_odd_widths_are_not_quantized(tmp_path):
    model, _ = load_model(base(tmp_path), resolve("q4", "CUDA"))
    block = model.layers[0]
    assert block.input_layernorm.weight.dtype == mx.bfloat16
    assert (block.self_attn.q_proj.bits, model.model.embed_tokens.bits) == (4, 8)
    assert block.mlp.down_proj.weight.dtype == mx.bfloat16  # 96 wide, and 64 numbers share a scale


LOADING = """
import sys
from pathlib import Path
from jessyfile.machine import give_memory_back
from jessyfile.models.load import load_model
from jessyfile.models.precision import resolve
from jessyfile.planning.step_cost import measured
import mlx_lm.models.llama, mlx_lm.utils
for wanted in sys.argv[2:]:
    with measured() as cost:
        load_model(Path(sys.argv[1]), resolve(wanted, "CPU"))
    print(cost.peak - cost.before)
    give_memory_back()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux can reset the peak")
def test_loading_holds_the_model_and_one_tensor(tmp_path):
    """A base of 76 MB in float32 was loaded whole, and then changed: for a moment it was held twice."""
    sizes = {"hidden_size": 512, "intermediate_size": 2048, "num_hidden_layers": 4, "vocab_size": 4096, "head_dim": 128}
    folder = tiny_model(tmp_path / "base", "llama")
    config = {**read_json(folder / "config.json"), **sizes}
    shape = shape_of(config)
    parts = {"self_attn": "qkvo", "mlp": ("gate", "up", "down")}
    names = [f"{part}.{one}_proj" for part, ones in parts.items() for one in ones]
    arrays = {
        "model.embed_tokens.weight": np.ones((4096, 512), np.float32),
        "model.norm.weight": np.ones(512, np.float32),
    }
    for layer in range(4):
        stem = f"model.layers.{layer}."
        for name in names:
            inner, outer = shape.linear[name.partition(".")[2]]
            arrays[f"{stem}{name}.weight"] = np.ones((outer, inner), np.float32)
        arrays |= {
            f"{stem}{name}.weight": np.ones(512, np.float32) for name in ("input_layernorm", "post_attention_layernorm")
        }
    save_file(arrays, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(config))
    wanted = ("float32", "q4", "bfloat16")
    command = [sys.executable, "-c", LOADING, folder, *wanted]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path.cwd())
    largest = max(array.nbytes for array in arrays.values())
    for one, taken in zip(wanted, done.stdout.split(), strict=True):
        assert int(taken) < base_bytes(shape, resolve(one, "CPU")) + 2 * largest + (8 << 20), one


def pipeline(root: Path, **settings: Any) -> tuple[Any, Any]:
    folder = root / "llama"
    data = root / "data"
    data.mkdir()
    for name, rows in (("train", encoded(8)), ("valid", encoded(4, seed=3))):
        rows_file.save(rows, data / f"{name}.safetensors")
    asked = recipe(root, train=TRAIN, lora=LORA, personality=Personality(1, (), (), ()), **settings)
    made = context(root, asked, {"base": folder, "encode": data}, step="train")
    return made, run_train(made)


def test_an_adapter_of_a_rounded_base_is_merged_into_the_base_as_it_came(tmp_path):
    folder = base(tmp_path)
    before = (folder / "model.safetensors").read_bytes()
    made, facts = pipeline(tmp_path, precision="q4")
    assert (facts.precision, facts.rounded) == ("q4 computed in float32", True)
    (tmp_path / "merged").mkdir()
    merge_folder(folder, made.output, tmp_path / "merged", lambda *_: None)
    assert (folder / "model.safetensors").read_bytes() == before
    plain, merged = (load_file(one / "model.safetensors") for one in (folder, tmp_path / "merged"))
    learned = load_file(made.output / adapter.ADAPTER_FILE)
    modules = {name.rpartition(".")[0] for name in learned}
    for module in modules:
        delta = LORA.scale * (learned[f"{module}.lora_a"] @ learned[f"{module}.lora_b"]).T
        assert np.abs(delta).max() > 0
        name = f"{module}.weight"
        assert merged[name].dtype == np.float32
        np.testing.assert_allclose(merged[name], plain[name] + delta, rtol=1e-6, atol=1e-8)
    assert all(
        np.array_equal(merged[name], plain[name]) for name in plain if name.removesuffix(".weight") not in modules
    )


def test_a_base_whose_own_folder_is_quantized_is_trained_as_it_is(tmp_path):
    folder = base(tmp_path)
    packed: dict[str, Any] = {}
    for name, array in load_file(folder / "model.safetensors").items():
        if array.ndim == 2:
            parts = mx.quantize(mx.array(array).astype(mx.bfloat16), group_size=32, bits=4)
            packed |= {
                name.replace("weight", part): one
                for part, one in zip(("weight", "scales", "biases"), parts, strict=True)
            }
        else:
            packed[name] = mx.array(array)
    mx.save_safetensors(str(folder / "model.safetensors"), packed)
    config = {**read_json(folder / "config.json"), "quantization": {"group_size": 32, "bits": 4}}
    (folder / "config.json").write_text(json.dumps(config))
    _, facts = pipeline(tmp_path, precision="q8")
    assert (facts.precision, facts.rounded) == ("its own quantization computed in float32", True)
    model, _ = load_model(folder, resolve("q8", "CPU", shape_of(config)))
    assert (model.layers[0].mlp.down_proj.bits, model.model.embed_tokens.bits) == (4, 4)


def test_numbers_beyond_float16_are_told_from_a_rate_that_is_too_high(tmp_path, monkeypatch):
    """Infinite activations looked like a diverging training: the advice was a lower rate, which could not help."""
    base(tmp_path, down=20000)
    for module in (gradient, trainer):
        monkeypatch.setattr(module, "on_gpu", lambda: True)
    monkeypatch.setattr(machine, "chip", lambda: "Apple M1")
    with pytest.raises(ConvergenceError, match=r"float16, which ends at 65,504") as caught:
        pipeline(tmp_path, precision="auto")
    assert "BASE { precision bfloat16 }" in caught.value.hint


@pytest.mark.parametrize(
    ("mode", "group", "bits"),
    [("affine", 64, 8), ("affine", 32, 4), ("affine", 128, 3), ("affine", 64, 6), ("mxfp4", 32, 4), ("mxfp8", 32, 8)],
)
def test_rows_of_any_quantization_are_those_of_the_whole(mode, group, bits):
    import mlx.nn as nn

    layer = nn.Linear(256, 40, bias=False)
    layer.weight = mx.random.normal((40, 256), key=mx.random.key(1)).astype(mx.bfloat16)
    layer = layer.to_quantized(group, bits, mode)
    parts = (layer.weight, layer.scales, layer.get("biases"))
    whole = np.array(mx.dequantize(*parts, group_size=group, bits=bits, mode=mode).astype(mx.float32))
    rows = WideRows(layer)
    for chosen in (slice(None), slice(7, 19), np.array([3, 39, 3], np.int32)):
        assert rows[chosen].dtype == np.float32
        np.testing.assert_allclose(rows[chosen], whole[chosen], rtol=2**-8, atol=2**-8 * np.abs(whole).max())
