"""Loss, gradient, AdamW and the learning rate of every update are those of a plain second writing of the same training."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import mlx.core as mx
import numpy as np
import pytest
from doubles import DOUBLES, write_double
from plain_training import mean_gradient
from reference_world import SETTINGS, SYSTEM, hold, world
from training_fakes import loud

from jessyfile.training import adapter
from jessyfile.training.encoded import common_prefix

TWICE = ("Mistral with tekken",)  # its structure is another double's


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_double(tmp_path_factory.mktemp("llama"), "Llama 3.2")


@pytest.mark.parametrize("name", [name for name in DOUBLES if name not in TWICE])
def test_every_update_is_the_reference_s_on_every_architecture(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a shared prefix, several turns, accumulation, both weights and rows of uneven length at once."""
    found = world(write_double(tmp_path / "base", name), SYSTEM)
    loud(found.model)
    assert len(common_prefix(found.rows)) > 8
    hold(found, SETTINGS, tmp_path, monkeypatch)


@pytest.mark.parametrize(
    ("packed", "system", "accumulated"), [("length", SYSTEM, 1), ("rows", None, 3), ("no", SYSTEM, 3), ("no", None, 1)]
)
def test_every_update_is_the_reference_s_in_every_kind_of_training(
    packed: str, system: str | None, accumulated: int, llama: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train = replace(SETTINGS, pack=packed, grad_accumulation=accumulated, end_weight=1 + accumulated, max_grad_norm=0)
    found = world(llama, system)
    loud(found.model)
    hold(found, train, tmp_path, monkeypatch)


@pytest.mark.parametrize("name", ["Gemma 2", "Qwen3"])
def test_the_reference_s_gradient_is_the_slope_of_its_loss(name: str, tmp_path: Path) -> None:
    """By finite differences, along the gradient itself: it does not rest on MLX's differentiation alone."""
    found = world(write_double(tmp_path / "base", name), SYSTEM)
    model, row = loud(found.model), found.rows[:1]
    at = adapter.parameters(model)
    slope = mean_gradient(model, row, found.end, SETTINGS)

    def loss(way: float) -> float:
        moved = [
            (key, array + mx.array((way / slope.norm * slope.gradient[key]).astype(np.float32)))
            for key, array in at.items()
        ]
        model.load_weights(moved, strict=False)
        return mean_gradient(model, row, found.end, SETTINGS).loss

    assert (loss(1e-2) - loss(-1e-2)) / 2e-2 == pytest.approx(slope.norm, rel=1e-2)


FAULTS: dict[str, dict[str, float]] = {
    "an end counts a little less": {"end_weight": 3.9},
    "a level counts a little more": {"level_weight": 8.1},
    "the gradient is clipped later": {"max_grad_norm": 0.51},
    "weights decay less": {"weight_decay": 0.05},
    "the warm-up is longer": {"warmup_steps": 3},
    "nothing is accumulated": {"grad_accumulation": 1},
}


@pytest.mark.stress
@pytest.mark.parametrize("fault", [*FAULTS, "a token more is trained"])
def test_a_trainer_with_a_small_fault_is_told_from_the_reference(
    fault: str, llama: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without this the comparison could be too coarse to fail."""
    found = world(llama, SYSTEM)
    loud(found.model)
    wrong = replace(SETTINGS, **FAULTS.get(fault, {}))  # type: ignore[arg-type]
    rows = found.rows
    if fault not in FAULTS:
        first = rows[0].trained.index(True)
        more = tuple(flag or place == first - 1 for place, flag in enumerate(rows[0].trained))
        rows = [replace(rows[0], trained=more), *rows[1:]]
    taught = replace(found, rows=rows)
    monkeypatch.setattr(found, "trained", lambda _, *rest: taught.trained(wrong, *rest))
    with pytest.raises(AssertionError):
        hold(found, SETTINGS, tmp_path, monkeypatch)
