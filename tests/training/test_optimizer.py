"""AdamW on several streams of a CPU: MLX's own bits, and more than one core's work."""

from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx.optimizers as optim
import numpy as np
import pytest
from mlx.utils import tree_flatten
from training_fakes import TRAIN, trainer

from jessyfile.training import trainer as loop
from jessyfile.training.optimizer import adamw

SHAPES = [(5, 8), (8, 4), (3,), (6, 2), (1, 1), (7, 3), (4, 4)]


@pytest.fixture
def streams(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The stream on which each array of an update was asked to be computed, in order."""
    found, real = list[str](), optim.AdamW.apply_single

    def seen(self: Any, *given: Any) -> Any:
        found.append(str(mx.default_stream(mx.default_device())))
        return real(self, *given)

    monkeypatch.setattr(optim.AdamW, "apply_single", seen)
    return found


def arrays(seed: int) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    return {f"{i}": mx.array(rng.normal(0, 1, shape).astype(np.float32)) for i, shape in enumerate(SHAPES)}


def after_five(optimizer: Any) -> dict[str, bytes]:
    """The bytes of every array, and of the optimizer's state, after five updates at rates that change."""
    values = arrays(0)
    optimizer.init(values)
    for update in range(1, 6):
        optimizer.learning_rate = 1e-2 / update
        values = optimizer.apply_gradients(arrays(update), values)
        mx.eval(values, optimizer.state)
    return {path: bytes(np.array(one)) for path, one in [*values.items(), *tree_flatten(optimizer.state)]}


@pytest.mark.parametrize("count", [1, 2, 3])
def test_five_updates_on_several_streams_are_those_of_mlx_s_adamw_bit_for_bit(count: int) -> None:
    plain = optim.AdamW(TRAIN.learning_rate, weight_decay=TRAIN.weight_decay, bias_correction=True)
    assert after_five(adamw(TRAIN, count)) == after_five(plain)


def test_the_arrays_take_turns_on_the_streams(streams: list[str]) -> None:
    after_five(adamw(TRAIN, 3))
    assert len(set(streams)) == 3
    assert [streams.count(one) for one in streams[:3]] == pytest.approx([5 * len(SHAPES) / 3] * 3, abs=1)


def test_a_training_moves_its_adapter_on_as_many_streams_as_it_has_workers(
    tmp_path: Path, streams: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "cores", lambda: 3)
    trainer(tmp_path, epochs=1).run()
    assert len(set(streams)) == 3
