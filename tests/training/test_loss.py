"""The loss is the plain cross-entropy of the trained tokens; the savings change nothing but time."""

from pathlib import Path

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest
from mlx.utils import tree_flatten
from tiny import tiny_model
from training_fakes import LORA, encoded, loud

from jessyfile.models.load import load_model
from jessyfile.training import adapter, loss
from jessyfile.training.batches import build


@pytest.fixture(params=["gemma3_text", "gemma2", "gemma", "llama", "qwen3"])
def model(request: pytest.FixtureRequest, tmp_path: Path) -> nn.Module:
    loaded = loud(load_model(tiny_model(tmp_path / "m", request.param))[0])
    adapter.attach(loaded, LORA, 1)
    noisy = [(k, mx.random.normal(v.shape, key=mx.random.key(5)) * 0.05) for k, v in adapter.parameters(loaded).items()]
    loaded.load_weights(noisy, strict=False)
    return loaded


def streamed_cross_entropy(
    chosen: np.ndarray,
    weight: np.ndarray,
    targets: np.ndarray,
    weights: np.ndarray | None = None,
    cap: float | None = None,
) -> tuple[float, np.ndarray]:
    """In two shares of the vocabulary, as two workers compute it."""
    middle = len(weight) // 3
    shares = [loss.streamed(chosen, weight, part, cap=cap) for part in (range(middle), range(middle, len(weight)))]
    counted = np.ones(len(targets), np.float32) if weights is None else weights
    losses, gradient = loss.cross_entropy(chosen, weight[targets], shares[0] + shares[1], cap)
    return float(losses @ counted), gradient * counted[:, None]


def plain(model: nn.Module, numbers: list[int]) -> mx.array:
    """The sum over rows, one at a time, whole, with logits everywhere."""
    rows = encoded(8)
    total = mx.array(0.0)
    for number in numbers:
        tokens, trained = rows.row(number)
        ids = np.concatenate([rows.prefix, tokens])
        out = model(mx.array(ids[None, :-1])).astype(mx.float32)
        losses = nn.losses.cross_entropy(out[0], mx.array(ids[1:]))
        mask = np.concatenate([np.zeros(len(rows.prefix) - 1, bool), trained])
        total = total + mx.sum(losses * mx.array(mask))
    return total


def gradients(model: nn.Module, function: object) -> dict[str, mx.array]:
    value, found = nn.value_and_grad(model, function)(model)
    return {"": value} | dict(tree_flatten(found))


def close(left: dict[str, mx.array], right: dict[str, mx.array]) -> None:
    for key in left:
        if key:
            np.testing.assert_allclose(np.array(left[key]), np.array(right[key]), rtol=2e-3, atol=2e-4, err_msg=key)


def test_prefix_sharing_padding_and_masking_leave_loss_and_gradient_alone(model: nn.Module) -> None:
    """One padding position a row was trained by mlx-lm; here nothing but the mask counts."""
    rows, numbers = encoded(8), [0, 3, 5, 6]
    batch, prefix = build(rows, numbers, 16), mx.array(rows.prefix[:-1])
    direct = gradients(model, lambda m: loss.direct_loss(m, prefix, batch))
    expected = gradients(model, lambda m: plain(m, numbers))
    np.testing.assert_allclose(float(direct[""]), float(expected[""]), rtol=1e-4)
    close(direct, expected)


@pytest.mark.parametrize("cap", [None, 3.0])
def test_the_streamed_loss_is_the_plain_one(cap: float | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loss, "CHUNK", 50)  # several chunks, the last one short
    generator = np.random.default_rng(1)
    chosen, weight = (generator.normal(size=shape).astype(np.float32) for shape in ((7, 16), (120, 16)))
    targets = np.array([0, 119, 49, 50, 51, 3, 3], np.int32)

    def plain(states: mx.array) -> mx.array:
        scores = states @ mx.array(weight).T
        scores = mx.tanh(scores / cap) * cap if cap else scores
        return mx.sum(nn.losses.cross_entropy(scores, mx.array(targets)))

    expected, gradient = mx.value_and_grad(plain)(mx.array(chosen))
    value, found = streamed_cross_entropy(chosen, weight, targets, cap=cap)
    assert value == pytest.approx(float(expected), rel=1e-5)
    np.testing.assert_allclose(found, np.array(gradient), atol=1e-5)


def test_a_changed_padding_or_prompt_token_after_the_last_target_changes_nothing(model: nn.Module) -> None:
    rows = encoded(8)
    batch, prefix = build(rows, [0, 1], 16), mx.array(rows.prefix[:-1])
    before = float(loss.direct_loss(model, prefix, batch))
    last = int(batch.where[batch.where < batch.inputs.shape[1]].max())
    batch.inputs[0, last + 1 :] = 7
    assert float(loss.direct_loss(model, prefix, batch)) == pytest.approx(before, rel=1e-6)


def test_extreme_states_give_finite_losses() -> None:
    rng = np.random.default_rng(0)
    states = (rng.standard_normal((3, 8)) * 300).astype(np.float32)
    weight = (rng.standard_normal((9000, 8)) * 30).astype(np.float32)
    value, gradient = streamed_cross_entropy(states, weight, np.array([0, 8999, 5], np.int32))
    assert np.isfinite(value)
    assert np.isfinite(gradient).all()


def test_a_weighted_end_counts_as_often_as_asked() -> None:
    """Loss and gradient with a weight are those of the same target given that many times."""
    generator = np.random.default_rng(4)
    chosen, weight = (generator.normal(size=shape).astype(np.float32) for shape in ((3, 8), (50, 8)))
    targets = np.array([4, 9, 9], dtype=np.int32)
    value, gradient = streamed_cross_entropy(chosen, weight, targets, np.array([1, 3, 1], dtype=np.float32))
    again = np.concatenate([chosen, chosen[1:2], chosen[1:2]])
    expected, parts = streamed_cross_entropy(again, weight, np.array([4, 9, 9, 9, 9], dtype=np.int32))
    assert value == pytest.approx(expected, rel=1e-6)
    np.testing.assert_allclose(gradient[1], parts[1] + parts[3] + parts[4], rtol=1e-5)
    np.testing.assert_allclose(gradient[[0, 2]], parts[[0, 2]], rtol=1e-5)
