"""What frozen layers make of rows is computed once: the same training, less work, and the same bits after a stop."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from training_fakes import LORA, StopAfter, encoded, trainer

from jessyfile.errors import Interrupted
from jessyfile.training import decoder, frozen, gradient
from jessyfile.training import trainer as loop
from jessyfile.training.decoder import Decoder
from jessyfile.training.trainer import Trainer

LAST = replace(LORA, layers=1, dropout=0.2)


def trained(folder: Path, **changes: Any) -> dict[str, np.ndarray]:
    made = trainer(folder, lora=LAST, **changes)
    made.run()
    return {key: np.array(array) for key, array in made.best.items()}


@pytest.fixture
def entered(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many tokens entered the lowest layer, each time."""
    found, real = list[int](), Decoder.embedded

    def seen(self: Decoder, ids: np.ndarray) -> np.ndarray:
        found.append(len(ids))
        return real(self, ids)

    monkeypatch.setattr(Decoder, "embedded", seen)
    return found


@pytest.mark.parametrize("count", [1, 2])
def test_every_row_passes_the_frozen_layers_once(
    tmp_path: Path, count: int, entered: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every epoch and every validation computed them again, a third of the work where two layers of three are frozen."""
    monkeypatch.setattr(loop, "cores", lambda: count)
    kept = trained(tmp_path / "kept", epochs=4)
    once = sum(entered)
    rows = [encoded(14), encoded(5, seed=3)]
    assert once < sum(int(one.lengths().sum()) for one in rows) + 8 * len(rows[0].prefix)
    monkeypatch.setattr(frozen, "FROZEN_BYTES", 0)
    again = trained(tmp_path / "again", epochs=4)
    assert sum(entered) - once > 3 * once
    for key, array in again.items():
        np.testing.assert_allclose(kept[key], array, rtol=1e-3, atol=2e-5, err_msg=key)


def test_stopped_in_any_epoch_and_resumed_the_adapter_is_the_same_to_the_byte(tmp_path: Path) -> None:
    whole = trained(tmp_path / "whole", epochs=3)
    for questions in (1, 5, 9):
        folder = tmp_path / f"stopped-{questions}"
        with pytest.raises(Interrupted):
            trained(folder, epochs=3, stop=StopAfter(questions))
        resumed = trained(folder, epochs=3)
        assert {key: array.tobytes() for key, array in resumed.items()} == {
            key: a.tobytes() for key, a in whole.items()
        }


@pytest.mark.parametrize(
    ("changes", "most"), [({"epochs": 1}, 1 << 25), ({"epochs": 2, "lora": LORA}, 1 << 25), ({"epochs": 2}, 1000)],
    ids=["one epoch", "nothing is frozen", "too much"],
)  # fmt: skip
def test_nothing_is_kept_where_it_brings_nothing_or_takes_much(
    tmp_path: Path, changes: dict[str, Any], most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: Trainer = trainer(tmp_path, **{"lora": LAST, **changes})
    monkeypatch.setattr(frozen, "FROZEN_BYTES", most)
    work = gradient.passes(made._passes.workers, 1)
    work.keep_frozen((made.rows, made.held_out), made.train)
    assert not work.frozen


def test_a_frozen_layer_is_not_computed_again_for_a_gradient_that_nothing_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where memory was short it was, and the gradient went on through it down to the embeddings."""
    made, computed, real = trainer(tmp_path, lora=LAST), list[int](), Decoder._layer

    def seen(self: Decoder, tape: Any, x: Any, number: int, asked: Any) -> Any:
        computed.append(number)
        return real(self, tape, x, number, asked)

    monkeypatch.setattr(Decoder, "_layer", seen)
    monkeypatch.setattr(decoder, "KEPT_BYTES", 0)
    gradient.passes(made._passes.workers, 1).gradient(made.rows, [[0, 1]], lambda part: part)
    last = len(made.model.layers) - 1
    assert computed == [*range(last + 1), last]
