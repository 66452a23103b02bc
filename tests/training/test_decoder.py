"""What NumPy computes of a model on a CPU is what MLX computes of it: loss and gradient, every architecture, every kind of row."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest
from mlx.utils import tree_flatten, tree_unflatten
from tiny import TYPES, tiny_model
from training_fakes import LORA, TRAIN, Silent, StopAfter, encoded, loud

from jessyfile.models.architectures import ARCHITECTURES
from jessyfile.models.load import load_model
from jessyfile.training import adapter, attention, decoder, gradient, loss
from jessyfile.training.batches import build, pack_rows
from jessyfile.training.encoded import Encoded, EncodedRow, common_prefix, pack
from jessyfile.training.tape import Tape, Traced, gelu, gelu_tanh, silu
from jessyfile.training.trainer import Trainer
from jessyfile.training.workers import Workers

LLAMA3 = {"rope_type": "llama3", "factor": 8.0, "original_max_position_embeddings": 64}
LONGROPE = {"type": "longrope", "long_factor": [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0], "short_factor": [1.0] * 8}
VARIANTS: list[tuple[str, dict[str, Any]]] = [
    *((one, {}) for one in TYPES),
    ("llama", {"rope_scaling": LLAMA3}),
    ("llama", {"rope_traditional": True}),
    ("llama", {"rope_scaling": {"type": "linear", "factor": 4.0}}),
    ("llama", {"attention_bias": True, "mlp_bias": True}),
    ("llama", {"tie_word_embeddings": False}),
    ("mistral", {"num_hidden_layers": 2, "sliding_window": 12, "layer_types": ["sliding_attention", "full_attention"]}),
    ("gemma3_text", {"sliding_window": 12}),
    ("qwen2", {"rope_traditional": True}),
    ("phi3", {"rope_scaling": LONGROPE, "original_max_position_embeddings": 128}),
    ("phi3", {"partial_rotary_factor": 0.5}),
]


def made(folder: Path, model_type: str, changes: dict[str, Any] | None = None, **lora: Any) -> Any:
    """A tiny model whose every linear layer has an adapter that does something."""
    model = loud(load_model(tiny_model(folder / model_type, model_type, **(changes or {})))[0])
    adapter.attach(model, replace(LORA, **{"targets": sorted(ARCHITECTURES[model_type].linear), **lora}), 0)
    stir(model)
    return model


def stir(model: Any) -> None:
    rng = np.random.default_rng(0)
    arrays = {
        key: a + mx.array(rng.normal(0, 0.05, a.shape).astype(np.float32))
        for key, a in adapter.parameters(model).items()
    }
    model.load_weights(list(arrays.items()), strict=False)


def sums(model: Any, rows: Encoded, numbers: list[int], seed: int = 7) -> gradient.Totals:
    return gradient.passes(Workers([model]), 1).gradient(rows, [numbers], lambda part: seed + part)


def by_mlx(model: Any, rows: Encoded, numbers: list[int]) -> tuple[float, dict[str, Any]]:
    """Loss and gradient by MLX's own operations, each row alone and whole."""

    def total(model: Any) -> Any:
        found = mx.array(0.0)
        for number in numbers:
            tokens, trained = rows.row(number)
            ids = np.concatenate([rows.prefix, tokens])
            mask = np.concatenate([np.zeros(len(rows.prefix), bool), trained])[1:]
            losses = nn.losses.cross_entropy(model(mx.array(ids[None, :-1]))[0].astype(mx.float32), mx.array(ids[1:]))
            found = found + mx.sum(losses * mx.array(mask))
        return found

    value, tree = nn.value_and_grad(model, total)(model)
    return float(value), dict(tree_flatten(tree))


def same(found: gradient.Totals, expected: tuple[float, dict[str, Any]], share: float = 5e-5) -> None:
    value, arrays = expected
    assert found.loss == pytest.approx(value, rel=1e-5)
    assert found.gradients.keys() == arrays.keys()
    for key, array in arrays.items():
        size = np.abs(np.array(array)).max()
        assert size > 0, key
        assert np.abs(np.array(array) - np.array(found.gradients[key])).max() < share * size, key


@pytest.mark.parametrize(
    ("model_type", "changes"), VARIANTS, ids=lambda one: one if isinstance(one, str) else "-".join(one)
)
def test_loss_and_gradient_are_those_of_the_models_own_code(
    tmp_path: Path, model_type: str, changes: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attention, "_QUERIES", 7)  # a row's scores in several pieces, the last one short
    model, rows = made(tmp_path, model_type, changes), encoded(6)
    same(sums(model, rows, [0, 3, 5]), by_mlx(model, rows, [0, 3, 5]))


def test_the_last_layer_computes_the_targets_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It computed every token, of which nothing but the targets was read. That the gradient stays the same is held above, and by
    test_reference_gradient.
    """
    model, rows, entered, real = made(tmp_path, "gemma3_text"), encoded(6), list[int](), decoder.Decoder._gate

    def counted(self: decoder.Decoder, tape: Tape, x: Traced, *rest: Any) -> Traced:
        entered.append(len(x.value))
        return real(self, tape, x, *rest)

    monkeypatch.setattr(decoder.Decoder, "_gate", counted)
    sums(model, rows, [0, 3, 5])
    batch = pack_rows(rows, [0, 3, 5])
    assert len(batch.targets) < len(batch.ids)
    assert entered == [*[len(batch.ids)] * (len(model.layers) - 1), len(batch.targets)]


def test_every_architecture_is_among_them() -> None:
    assert {one for one, _ in VARIANTS} == set(ARCHITECTURES)


@pytest.mark.parametrize("prefix", [0, 1, 2])
def test_a_prefix_of_any_length_is_shared_rightly(tmp_path: Path, prefix: int) -> None:
    model = made(tmp_path, "gemma3_text")
    before, tails = (7, 9)[:prefix], ((20, 31, 45, 50), (22, 33), (60, 21, 40))
    chosen = [
        EncodedRow(
            (*before, *tail), (*[False] * prefix, *[i > 0 for i in range(len(tail))]), "any", "en", persona=False
        )
        for tail in tails
    ]
    rows = pack(chosen, common_prefix(chosen))
    assert len(rows.prefix) == prefix
    same(sums(model, rows, [0, 1, 2]), by_mlx(model, rows, [0, 1, 2]))


def test_a_magnitude_is_trained_beside_the_direction(tmp_path: Path) -> None:
    """DoRA's lengths follow the direction and have no gradient of their own, as in mlx-lm's layer."""
    from mlx_lm.tuner.dora import DoRALinear

    model = made(tmp_path, "qwen2")
    layers = [(path, one) for path, one in model.named_modules() if "lora_a" in one]
    model.update_modules(
        tree_unflatten([(path, DoRALinear.from_base(one.linear, r=4, scale=2.0)) for path, one in layers])
    )
    stir(model)
    rows = encoded(4)
    found = sums(model, rows, [0, 1, 2])
    assert sum(key.endswith(".m") for key in found.gradients) == len(layers)
    same(found, by_mlx(model, rows, [0, 1, 2]))


@pytest.mark.parametrize("kept", [0, 100_000])
def test_layers_that_are_computed_again_give_the_same_bits(
    tmp_path: Path, kept: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Dropout too: both times the same numbers are dropped."""
    model, rows = made(tmp_path, "llama", {"num_hidden_layers": 5}, dropout=0.3), encoded(6)
    whole = sums(model, rows, [0, 1, 2])
    monkeypatch.setattr(decoder, "KEPT_BYTES", kept)
    again = sums(model, rows, [0, 1, 2])
    assert again.loss == whole.loss
    assert all(
        np.array_equal(np.array(array), np.array(again.gradients[key])) for key, array in whole.gradients.items()
    )


def test_with_dropout_the_gradient_is_that_of_the_loss(tmp_path: Path) -> None:
    """A step along it changes this loss as it says."""
    model, rows = made(tmp_path, "llama", dropout=0.3), encoded(5)
    start, found = adapter.parameters(model), sums(model, rows, [0, 1, 2, 3])
    size, moved = 1e-3, []
    for sign in (1, -1):
        shifted = {k: a + sign * size * found.gradients[k] / adapter.norm(found.gradients) for k, a in start.items()}
        model.load_weights(list(shifted.items()), strict=False)
        moved.append(sums(model, rows, [0, 1, 2, 3]).loss)
    assert (moved[0] - moved[1]) / (2 * size) == pytest.approx(adapter.norm(found.gradients), rel=0.02)
    assert sums(model, rows, [0, 1, 2, 3], seed=8).loss != moved[1]


def test_layers_below_the_lowest_adapted_one_leave_nothing_behind(tmp_path: Path) -> None:
    rows = pack_rows(encoded(3), [0, 1])
    steps = []
    for layers in (2, 6):
        model, tape = made(tmp_path / str(layers), "llama", {"num_hidden_layers": layers}, layers=1), Tape()
        decoder.Decoder(model).predicting(tape, rows)
        steps.append(len(tape._steps))
    assert steps[0] == steps[1]


@pytest.mark.parametrize("model_type", TYPES)
def test_every_architecture_trains_over_changing_shapes(tmp_path: Path, model_type: str) -> None:
    model = made(tmp_path, model_type)
    train = replace(TRAIN, batch_size=3, epochs=3, learning_rate=2e-2)
    trainer = Trainer(model, train, LORA, encoded(11), encoded(4, seed=1), 0, tmp_path / "work", Silent(), StopAfter())
    losses = [entry["loss"] for entry in trainer.run().curve]
    assert np.mean(losses[-3:]) < np.mean(losses[:3])


@pytest.mark.parametrize(("own", "mlx"), [(gelu, nn.gelu), (gelu_tanh, nn.gelu_approx), (silu, nn.silu)])
def test_an_activation_and_its_slope_are_mlx_s(own: Any, mlx: Any) -> None:
    x = np.linspace(-12, 12, 2001, dtype=np.float32)[None]
    value, slope = own(x)
    np.testing.assert_allclose(value, np.array(mlx(mx.array(x))), atol=2e-6)
    np.testing.assert_allclose(slope, np.array(mx.grad(lambda x: mx.sum(mlx(x)))(mx.array(x))), atol=1e-5)


def test_a_padded_batch_is_the_packed_one(tmp_path: Path) -> None:
    """A GPU pads and a CPU does not: same ids, same targets at the same tokens."""
    rows = encoded(5)
    packed, padded = pack_rows(rows, [4, 0, 2]), build(rows, [4, 0, 2], 16)
    np.testing.assert_array_equal(padded.inputs.reshape(-1)[padded.where], packed.ids[packed.where])
    np.testing.assert_array_equal(padded.targets, packed.targets)
    model = made(tmp_path, "qwen3")
    direct = loss.direct_loss(model, mx.array(rows.prefix[:-1]), padded)
    assert float(direct) == pytest.approx(sums(model, rows, [4, 0, 2]).loss, rel=1e-5)
