"""Killed at any point, an apply leaves nothing corrupt, resumes by itself, and ends with the bytes of an
uninterrupted run."""

from __future__ import annotations

import os
import random
import shutil
import signal
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import kill_world as world

from jessyfile.planning.maintenance import check
from jessyfile.planning.plan import make_plan

RANDOM_KILLS = int(os.environ.get("JESSY_KILLS", "60"))
SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)


@pytest.fixture
def applied(tmp_path: Path) -> Path:
    """A project that was applied once, so that a killed apply has a state to overwrite."""
    root, recipe = world.fresh(tmp_path / "applied")
    world.run(root, recipe)
    return root


def sweep(applied: Path, tmp_path: Path, points) -> None:
    edited = {"lora__rank": 8, "export__quantize": "f16"}
    root, recipe = world.copy(applied, tmp_path / "whole", **edited)
    expected = world.bytes_of(world.run(root, recipe))
    for number, when, name in points:
        root, recipe = world.copy(applied, tmp_path / "killed", **edited)
        code = world.apply_killed_at(root, recipe, number, when, name)
        assert code == -signal.SIGKILL if name is signal.SIGKILL else code in (0, 130), (number, when, name, code)
        assert check(root) == [], (number, when, name)
        result = world.run(root, recipe)
        assert world.bytes_of(result) == expected, (number, when, name)
        assert not make_plan(recipe, root, world.pipeline()).changes
        assert litter(root) == [], (number, when, name)
        shutil.rmtree(root)


def litter(root: Path) -> list[str]:
    """Return what no apply would ever remove: staging folders, half-written files, finished work."""
    store = [path.name for path in (root / ".jessy" / "store").iterdir() if path.name.startswith(".")]
    work = [path.name for path in (root / ".jessy" / "work").glob("*")]
    return store + work + [path.name for path in (root / ".jessy").rglob(".*.tmp") if path.parent.name != ".jessy"]


def every_point(applied: Path, tmp_path: Path, signals) -> list[tuple[int, str, signal.Signals]]:
    root, recipe = world.copy(applied, tmp_path / "counted", lora__rank=8, export__quantize="f16")
    calls = world.count_calls(root, recipe)
    assert calls > 100
    return [(number, when, name) for number in range(1, calls + 1) for when in ("before", "after") for name in signals]


def test_a_kill_before_or_after_some_writes_loses_nothing(applied, tmp_path):
    """Every third write point in the default run, each with the signal that its number gives; all of them under
    stress."""
    points = every_point(applied, tmp_path, SIGNALS)
    sweep(applied, tmp_path, points[::29])


@pytest.mark.stress
def test_a_kill_at_every_write_point_with_every_signal_loses_nothing(applied, tmp_path):
    sweep(applied, tmp_path, every_point(applied, tmp_path, SIGNALS))


def test_random_kills_lose_nothing(applied, tmp_path):
    points = every_point(applied, tmp_path, (signal.SIGKILL,))
    sweep(applied, tmp_path, random.Random(7).choices(points, k=RANDOM_KILLS))


def test_killed_again_and_again_an_apply_still_ends(tmp_path):
    """A machine that dies every few writes gets there in the end, for each life keeps what it finished."""
    root, recipe = world.fresh(tmp_path / "whole")
    expected = world.bytes_of(world.run(root, recipe))
    root, recipe = world.fresh(tmp_path / "mortal")
    lives = 0
    while world.apply_killed_at(root, recipe, 150, "after", signal.SIGKILL) != 0:
        lives += 1
        assert lives < 40
    assert lives > 0
    assert world.bytes_of(world.run(root, recipe)) == expected
