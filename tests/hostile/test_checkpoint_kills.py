"""A kill at any write of a checkpoint leaves one to go on from, and one saved again takes nobody's place."""

from __future__ import annotations

from pathlib import Path

import disk
import mlx.core as mx
import pytest

from jessyfile.training import checkpoint
from jessyfile.training.checkpoint import Cursor

CURVE = {"loss": 1.0, "learning_rate": 0.1, "gradient_norm": 1.0}


def save(folder: Path, update: int, retries: int = 0) -> None:
    curve = [{"update": i + 1, **CURVE} for i in range(update)]
    cursor = Cursor(update=update, retries=retries, curve=curve)
    checkpoint.save(folder, cursor, {"adapter": {"a": mx.full((4,), float(update))}})


@pytest.mark.parametrize("again", [False, True], ids=["the next update", "the same update again"])
def test_the_last_good_checkpoint_stays_until_the_next_one_is_whole(again, tmp_path):
    """Stopped after it had stepped back, training saved its update a second time: the folder was removed before the new
    one had its name, and a kill there lost the newest checkpoint."""
    work = tmp_path / "work"
    for update in (1, 2, 3):
        save(work, update)
    trees = []
    camera = disk.Camera(work)
    with disk.watched(work, lambda call: trees.append(camera.take())):
        save(work, 3 if again else 4, retries=1)
    assert len(trees) > 20
    for number, tree in enumerate(trees):
        after = tree.restore(tmp_path / str(number))
        cursor, groups = checkpoint.latest(after)
        assert cursor.update >= 3, number
        assert groups["adapter"]["a"].tolist() == [float(cursor.update)] * 4
        save(after, 5)
        assert checkpoint.latest(after)[0].update == 5
    assert checkpoint.latest(work)[0].retries == 1
