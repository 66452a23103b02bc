"""DoRA and rsLoRA: the layer is the paper's formula over whatever holds the base, and what is merged is what was trained."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest
from mlx_lm.tuner.dora import DoRALinear
from mlx_lm.tuner.utils import load_adapters
from tiny import TYPES, tiny_model
from training_fakes import LORA, encoded, loud, trainer

from jessyfile import LoRAConfig, TrainingError
from jessyfile.models.adapters.merge import merge_folder
from jessyfile.models.load import load_model
from jessyfile.models.shape import shape_of
from jessyfile.training import adapter, gradient
from jessyfile.training.dora import DoRA
from jessyfile.training.footprint import adapter_size
from jessyfile.training.projection import projected
from jessyfile.training.recompute import recomputed
from jessyfile.training.tape import Tape, Traced
from jessyfile.training.workers import Workers

KEYS = ("lora_a", "lora_b", "m")
DORA = replace(LORA, kind="dora", targets=("q_proj", "k_proj", "v_proj", "o_proj", "down_proj"))


def array(*shape: int, seed: int = 0, size: float = 1.0) -> Any:
    return mx.array(np.random.default_rng(seed).normal(0, size, shape).astype(np.float32))


def layers(held: str, bias: bool) -> tuple[DoRA, DoRALinear]:
    """Our layer over a base held so, and mlx-lm's over the same numbers in float32, both with the same trained values."""
    base = nn.Linear(64, 128, bias=bias)
    base.weight = array(128, 64, seed=1)
    if bias:
        base.bias = array(128, seed=2)
    if held in ("q8", "q4"):
        base = nn.QuantizedLinear.from_linear(base, 64, int(held[1]))
        plain = mx.dequantize(base.weight, base.scales, base.biases, 64, int(held[1]))
    else:
        base.set_dtype(getattr(mx, held))
        plain = base.weight
    wide = nn.Linear(64, 128, bias=bias)
    wide.weight = plain.astype(mx.float32)
    if bias:
        wide.bias = base.bias.astype(mx.float32)
    ours, theirs = DoRA.from_base(base, r=4, scale=2.5), DoRALinear.from_base(wide, r=4, scale=2.5)
    values = [("lora_a", array(64, 4, seed=3)), ("lora_b", array(4, 128, seed=4, size=0.2))]
    for one in (ours, theirs):
        one.load_weights([*values, ("m", theirs.m * 1.1)], strict=False)
    return ours, theirs


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("held", ["float32", "bfloat16", "q8", "q4"])
def test_the_layer_and_its_gradients_are_the_formulas_over_any_base(held: str, bias: bool) -> None:
    """The reference is mlx-lm's layer on the widened weight, which builds the adapted weight and differentiates by itself."""
    ours, theirs = layers(held, bias)
    x, pull = array(3, 5, 64, seed=5), array(3, 5, 128, seed=6)

    def loss(layer: Any, trained: dict[str, Any], x: Any) -> Any:
        layer.update(trained)
        return (layer(x) * pull).sum()

    found = mx.grad(lambda t, x: loss(ours, t, x), argnums=(0, 1))({key: ours[key] for key in KEYS}, x)
    expected = mx.grad(lambda t, x: loss(theirs, t, x), argnums=(0, 1))({key: theirs[key] for key in KEYS}, x)
    roads = [(ours(x), *found), on_a_cpu(ours, x, pull)]
    for out, trained, of_x in roads:
        close(out, theirs(x))
        close(of_x, expected[1])
        for key in KEYS:
            close(trained[key], expected[0][key])


def close(found: Any, expected: Any) -> None:
    np.testing.assert_allclose(np.array(found), np.array(expected), rtol=1e-3, atol=2e-3)


def on_a_cpu(layer: DoRA, x: Any, pull: Any) -> tuple[np.ndarray, dict[str, np.ndarray], np.ndarray]:
    """The layer's output and gradients as the pass of a CPU computes them."""
    tape, start = Tape(), Traced(np.array(x).reshape(-1, 64), needed=True)
    out = projected(tape, start, layer, "one", None)
    value, out.gradient = out.value.reshape(3, 5, 128), np.array(pull).reshape(-1, 128)
    tape.backward()
    return value, {key: tape.gradients[f"one.{key}"] for key in KEYS}, start.gradient.reshape(3, 5, 64)


def test_untrained_it_is_the_base_and_a_row_of_zeros_stays_finite() -> None:
    """mlx-lm's layer divides by the row's length: one row of zeros, as of a pruned base, made every output NaN."""
    base = nn.Linear(8, 6, bias=False)
    base.weight = mx.concatenate([array(5, 8), mx.zeros((1, 8))])
    layer, x = DoRA.from_base(base, r=2), array(3, 8, seed=1)
    np.testing.assert_allclose(np.array(layer(x)), np.array(base(x)), rtol=1e-5, atol=1e-6)
    assert bool(mx.isfinite(mx.grad(lambda m: (layer.update({"m": m}) or layer)(x).sum())(layer.m)).all())
    tape = Tape()
    out = projected(tape, Traced(np.array(x), needed=True), layer, "one", None)
    out.gradient = np.ones_like(out.value)
    tape.backward()
    np.testing.assert_allclose(out.value, np.array(base(x)), rtol=1e-5, atol=1e-6)
    assert all(np.isfinite(found).all() for found in tape.gradients.values())


def adapted(folder: Path, model_type: str, lora: Any = DORA) -> Any:
    model = loud(load_model(tiny_model(folder / model_type, model_type))[0])
    known = {path.rsplit(".", 1)[-1] for path, _ in model.named_modules()}
    adapter.attach(model, replace(lora, targets=tuple(t for t in lora.targets if t in known)), 0)
    moved = {
        key: value * 1.02 if key.endswith(".m") else array(*value.shape, seed=len(key), size=0.05)
        for key, value in adapter.parameters(model).items()
    }
    model.load_weights(list(moved.items()), strict=False)
    model.train()
    return model


def sums(model: Any, *, plain: bool = False, recompute: bool = False) -> gradient.Totals:
    """The gradient as on a CPU, or plainly by MLX, as on a GPU, there with or without what layers keep."""
    one = Workers([model])
    passes = gradient.Passes(one, 1, None) if plain else gradient.passes(one, 1)
    with recomputed(model, recompute):
        return passes.gradient(encoded(5), [list(range(5))], lambda part: part)


@pytest.mark.parametrize("model_type", TYPES)
def test_the_fast_road_on_a_cpu_gives_the_gradient_of_plain_autodiff(tmp_path: Path, model_type: str) -> None:
    model = adapted(tmp_path, model_type)
    alike(sums(model, plain=True), sums(model), 1e-4)


@pytest.mark.parametrize("lora", [LORA, DORA, replace(DORA, dropout=0.3)])
@pytest.mark.parametrize("model_type", ["gemma3_text", "llama", "phi3"])
def test_layers_that_keep_only_their_input_give_the_same_loss_and_gradient(
    tmp_path: Path, model_type: str, lora: Any
) -> None:
    """What a GPU does with gradient checkpointing, over the shared prefix too; with dropout both passes drop the same."""
    model = adapted(tmp_path, model_type, lora)
    again = sums(model, plain=True, recompute=True)
    if lora.dropout:
        alike(again, sums(model, plain=True, recompute=True), 1e-6)
        return
    alike(sums(model, plain=True), again, 1e-5)


def test_with_dropout_the_gradient_is_that_of_the_loss_that_was_computed(tmp_path: Path) -> None:
    """A step along the gradient changes this very loss as it says."""
    model = adapted(tmp_path, "llama", replace(LORA, dropout=0.3))
    start = adapter.parameters(model)
    found = sums(model, plain=True, recompute=True)
    size, moved = 1e-2, []
    for sign in (1, -1):
        step = {key: sign * size * value / adapter.norm(found.gradients) for key, value in found.gradients.items()}
        model.load_weights([(key, value + step[key]) for key, value in start.items()], strict=False)
        moved.append(sums(model, plain=True, recompute=True).loss)
    assert (moved[0] - moved[1]) / (2 * size) == pytest.approx(adapter.norm(found.gradients), rel=0.02)


def alike(expected: gradient.Totals, found: gradient.Totals, within: float) -> None:
    assert found.loss == pytest.approx(expected.loss, rel=1e-5)
    for key, value in expected.gradients.items():
        size = np.abs(np.array(value)).max()
        assert np.abs(np.array(value) - np.array(found.gradients[key])).max() <= within * size, key


@pytest.mark.parametrize("changes", [{"kind": "dora"}, {"rslora": True}, {"kind": "dora", "rslora": True}])
def test_what_is_merged_and_what_mlx_lm_reads_is_what_was_trained(tmp_path: Path, changes: dict[str, Any]) -> None:
    lora = replace(LORA, **changes)
    made = trainer(tmp_path, lora=lora, epochs=3)
    made.run()
    keys = sorted({key.rpartition(".")[0] for key in made.best})
    adapter.write(tmp_path, made.best, lora, keys)
    made.model.eval()
    merged, ids = tmp_path / "merged", mx.array([[40, 41, 42, 43, 44, 45]])
    merged.mkdir()
    result = merge_folder(tmp_path / "base", tmp_path, merged, lambda *_: None)
    assert result.changed == len(keys)
    trained = np.array(made.model(ids))
    for other in (load_model(merged)[0], load_adapters(load_model(tmp_path / "base")[0], str(tmp_path))):
        np.testing.assert_allclose(trained, np.array(loud(other)(ids)), rtol=1e-3, atol=1e-4)
    assert np.abs(trained - np.array(loud(load_model(tmp_path / "base")[0])(ids))).max() > 0.01


def test_the_strength_of_rslora_follows_the_root_of_the_rank() -> None:
    lora = LoRAConfig(r=16, lora_alpha=32, use_rslora=True).to_lora()
    assert lora.scale == 8
    assert adapter.with_rank(lora, 4).scale == 8
    assert adapter.with_rank(LoRAConfig(16, 32).to_lora(), 4).scale == 2
    assert LoRAConfig(use_dora=True).to_lora().kind == "dora"
    for values in ({"use_dora": "yes"}, {"use_rslora": 1}):
        with pytest.raises(TrainingError, match=next(iter(values))):
            LoRAConfig(**values)


def test_the_forecast_counts_what_is_trained(tmp_path: Path) -> None:
    model = adapted(tmp_path, "llama")
    shape = shape_of(load_model(tmp_path / "llama")[1])
    assert adapter_size(shape, DORA) == sum(value.size for value in adapter.parameters(model).values())
