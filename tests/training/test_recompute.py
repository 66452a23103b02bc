"""Layers that keep only their input give the same loss and gradient, with less memory, on every architecture."""

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np
import pytest
from tiny import TYPES, tiny_model
from training_fakes import LORA, TRAIN, Silent, StopAfter, encoded, loud

from jessyfile.models.load import load_model
from jessyfile.training import adapter, gradient
from jessyfile.training.cpu_ops import fast_activations
from jessyfile.training.recompute import recomputed
from jessyfile.training.trainer import Trainer
from jessyfile.training.workers import Workers


@contextlib.contextmanager
def on_the_cpu() -> Iterator[None]:
    with fast_activations(wanted=True):
        yield


def made(folder: Path, model_type: str, **lora: Any) -> Any:
    model = loud(load_model(tiny_model(folder / model_type, model_type))[0])
    # Phi has these three in one layer
    adapter.attach(model, replace(LORA, targets=("q_proj", "k_proj", "v_proj", "down_proj"), **lora), 0)
    rng = np.random.default_rng(0)
    arrays = {
        key: mx.array(rng.normal(0, 0.05, a.shape).astype(np.float32)) for key, a in adapter.parameters(model).items()
    }
    model.load_weights(list(arrays.items()), strict=False)
    model.train()
    return model


def sums(model: Any, *, keep: bool, count: int = 5) -> gradient.Totals:
    rows = encoded(count)
    with on_the_cpu(), recomputed(model, wanted=not keep):
        return gradient.passes(Workers([model]), 1).gradient(rows, [list(range(count))], lambda part: 7 + part)


@pytest.mark.parametrize("model_type", TYPES)
def test_loss_and_gradient_are_the_same(tmp_path: Path, model_type: str) -> None:
    model = made(tmp_path, model_type)
    whole, again = sums(model, keep=True), sums(model, keep=False)
    assert again.loss == whole.loss
    for key, array in whole.gradients.items():
        size = np.abs(np.array(array)).max()
        assert size > 0, key
        assert np.abs(np.array(array) - np.array(again.gradients[key])).max() < 1e-5 * size, key


def test_with_dropout_both_passes_of_a_layer_drop_the_same(tmp_path: Path) -> None:
    """The gradient is that of the loss which was computed: a step along it changes this loss as it says."""
    model = made(tmp_path, "llama", dropout=0.3)
    start = adapter.parameters(model)
    found = sums(model, keep=False)
    size, moved = 1e-3, []
    for sign in (1, -1):
        shifted = {k: a + sign * size * found.gradients[k] / adapter.norm(found.gradients) for k, a in start.items()}
        model.load_weights(list(shifted.items()), strict=False)
        moved.append(sums(model, keep=False).loss)
    assert (moved[0] - moved[1]) / (2 * size) == pytest.approx(adapter.norm(found.gradients), rel=0.02)


def test_the_classes_are_as_before_afterwards(tmp_path: Path) -> None:
    model = made(tmp_path, "qwen3")
    one = type(model.layers[0])
    before = one.__call__
    with pytest.raises(ZeroDivisionError), recomputed(model, wanted=True):
        assert one.__call__ is not before
        raise ZeroDivisionError
    assert one.__call__ is before


def test_a_layers_arrays_do_not_pile_up(tmp_path: Path) -> None:
    """Every layer's arrays stayed until the gradient was done; cut loose, nine layers take less than half."""
    model = loud(load_model(tiny_model(tmp_path, "llama", num_hidden_layers=9))[0])
    adapter.attach(model, LORA, 0)
    model.train()
    peaks = []
    for keep in (True, False):
        mx.reset_peak_memory()
        before = mx.get_active_memory()
        sums(model, keep=keep, count=40)
        peaks.append(mx.get_peak_memory() - before)
    assert peaks[1] < peaks[0] / 2


@pytest.mark.parametrize("model_type", TYPES)
def test_every_architecture_trains_over_changing_shapes(tmp_path: Path, model_type: str) -> None:
    """Llama, Mistral and Qwen call `nn.silu` inside a compiled function: training died when a new length came."""
    model = made(tmp_path, model_type)
    train = replace(TRAIN, batch_size=3, epochs=3, learning_rate=2e-2)
    trainer = Trainer(model, train, LORA, encoded(11), encoded(4, seed=1), 0, tmp_path / "work", Silent(), StopAfter())
    losses = [entry["loss"] for entry in trainer.run().curve]
    assert np.mean(losses[-3:]) < np.mean(losses[:3])
