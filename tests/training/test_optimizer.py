"""AdamW on a CPU: MLX's own bits, by every worker."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import mlx.optimizers as optim
import numpy as np
import pytest
from mlx.utils import tree_flatten
from training_fakes import TRAIN, trainer

from jessyfile.training import optimizer
from jessyfile.training import trainer as loop
from jessyfile.training.optimizer import InModel
from jessyfile.training.workers import workers

SHAPES = [(5, 8), (8, 4), (3,), (6, 2), (1, 1), (70, 3), (4, 4)]
TRAINED = replace(TRAIN, weight_decay=0.1)


def arrays(seed: int) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    return {f"layer{i}.a": mx.array(rng.normal(0, 1, shape).astype(np.float32)) for i, shape in enumerate(SHAPES)}


def held() -> nn.Module:
    model = nn.Module()
    for path, array in arrays(0).items():
        layer, name = path.split(".")
        model[layer] = nn.Module()
        model[layer][name] = array
    return model


def updates() -> Iterator[tuple[int, dict[str, Any], float, float]]:
    """Gradients, what they are multiplied by, and rates that change."""
    for update in range(1, 6):
        yield update, arrays(update), 1 / 3 / update, 1e-2 / update


def by_mlx() -> dict[str, bytes]:
    plain = optim.AdamW(1.0, weight_decay=TRAINED.weight_decay, bias_correction=True)
    values = arrays(0)
    plain.init(values)
    for _, gradients, factor, rate in updates():
        plain.learning_rate = rate
        values = plain.apply_gradients({key: array * factor for key, array in gradients.items()}, values)
        mx.eval(values, plain.state)
    state = {key: one for key, one in tree_flatten(plain.state) if key != "learning_rate"}
    return {path: bytes(np.array(one)) for path, one in [*values.items(), *state.items()]}


@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("stopped", [False, True])
def test_five_updates_are_those_of_mlx_s_adamw_bit_for_bit(
    count: int, stopped: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also when a checkpoint lies between each two of them."""
    monkeypatch.setattr(optimizer, "_BLOCK", 64)
    model = held()
    with workers(model, count) as side_by_side:
        own = InModel(model, TRAINED, side_by_side)
        for _, gradients, factor, rate in updates():
            own.step(gradients, factor, rate)
            if stopped:
                kept = {key: mx.array(one) for key, one in own.state().items()}
                values = own.parameters()
                own = InModel(model, TRAINED, side_by_side)
                own.load(values, kept)
        found = {path: bytes(np.array(one)) for path, one in [*own.parameters().items(), *own.state().items()]}
        others = [dict(tree_flatten(one.trainable_parameters())) for one in side_by_side.models]
    assert found == by_mlx()
    assert all(np.array_equal(other[path], array) for other in others for path, array in own.parameters().items())


def test_a_training_moves_its_adapter_by_as_many_threads_as_it_has_workers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names, real = set[str](), optimizer.stepped

    def seen(*given: Any) -> Any:
        names.add(threading.current_thread().name)
        return real(*given)

    monkeypatch.setattr(optimizer, "stepped", seen)
    monkeypatch.setattr(loop, "cores", lambda: 3)
    trainer(tmp_path, epochs=1).run()
    assert len(names) == 3
