"""One project for all sweeps: applied once, then changed so that every step runs again while the old model is served."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import disk
import real_world as world


@pytest.fixture(scope="package")
def applied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = world.fresh(tmp_path_factory.mktemp("world") / "applied")
    assert world.apply(root).exit_code == 0
    return root


@pytest.fixture(scope="package")
def edited(applied: Path) -> world.Edited:
    root = world.edited(disk.copy(applied, applied.parent / "edited"))
    tree, old = disk.Camera(root).take(), world.served(root)["latest"]
    assert world.changes(root) == [step.name for step in world.compiled(root)[1]]
    return world.Edited(tree, old, world.made(world.apply(root)))
