"""Training takes no more memory after many updates than after a few."""

import sys
from dataclasses import replace
from pathlib import Path

import mlx.core as mx
import pytest
from training_fakes import LORA, trainer

WIDE = replace(LORA, rank=256, alpha=256)  # an adapter of 3 MB: one kept at each update shows at once


def test_no_array_outlives_its_update(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The recorder of the prefix took a layer's results, which knew the function that held the recorder: each update left
    its adapter behind, and a training of 54 updates took 2.4 GB more at its end than at its start.
    """
    held, resident = [], []

    def measure(*_: object, text: str) -> None:
        if "first update" in text:
            return  # said before it, while nothing is done yet
        held.append(mx.get_active_memory())
        resident.append(resident_bytes())

    made = trainer(tmp_path, lora=WIDE, count=4, batch_size=2, epochs=8, validate_every=100, checkpoint_every=100)
    monkeypatch.setattr(made, "progress", Progress(measure))
    made.run()
    size = sum(array.nbytes for array in made.best.values())
    assert len(held) == 16
    assert size > 2e6
    assert max(held[3:]) - held[2] < size / 2
    assert max(resident[3:]) - resident[2] < 4 * size


class Progress:
    """Calls back after each update."""

    def __init__(self, measure: object) -> None:
        self.update = measure

    def note(self, text: str) -> None: ...


def resident_bytes() -> int:
    """Resident bytes of this process; 0 where the system does not say."""
    if sys.platform != "linux":
        return 0
    return int(Path("/proc/self/statm").read_text("ascii").split()[1]) * 4096
