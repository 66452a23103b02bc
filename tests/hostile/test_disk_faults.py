"""Every call that touches the disk fails in turn: one typed error, nothing lost, and the same command then succeeds."""

from __future__ import annotations

import errno
import os
import shutil
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import kill_world as world

from jessyfile.errors import JessyError
from jessyfile.planning.maintenance import check
from jessyfile.planning.plan import make_plan
from jessyfile.planning.state import load_state

FAULTS = (errno.ENOSPC, errno.EIO, errno.EACCES, errno.EMFILE)
CALLS = world.WRITES + world.READS


@pytest.fixture
def applied(tmp_path: Path) -> Path:
    root, recipe = world.fresh(tmp_path / "applied")
    world.run(root, recipe)
    return root


def fault_at(number: int, code: int):
    def act(call: int, moment: str) -> bool:
        if call == number and moment == "before":
            raise OSError(code, os.strerror(code), "the disk")
        return True

    return act


def try_points(applied: Path, tmp_path: Path, step: int) -> int:
    """Fail every `step`-th call with each fault in turn; return how many applies failed by it."""
    edited = {"lora__rank": 8}
    root, recipe = world.copy(applied, tmp_path / "whole", **edited)
    with world.at_disk_call(root, lambda number, when: True, CALLS) as count:
        expected = world.bytes_of(world.run(root, recipe))
    assert count[0] > 300
    failed = 0
    for number in range(1, count[0] + 1, step):
        code = FAULTS[number // step % len(FAULTS)]
        root, recipe = world.copy(applied, tmp_path / "faulty", **edited)
        before = load_state(root, "tiny")
        try:
            with world.at_disk_call(root, fault_at(number, code), CALLS):
                world.run(root, recipe)
        except JessyError as error:
            failed += 1
            assert error.message, (number, code)
            assert "\n" not in error.message
        assert load_state(root, "tiny").serial >= before.serial
        assert check(root) == [], (number, code)
        assert world.bytes_of(world.run(root, recipe)) == expected, (number, code)
        assert not make_plan(recipe, root, world.pipeline()).changes
        shutil.rmtree(root)
    return failed


def test_some_failing_calls_end_in_a_typed_error_and_lose_nothing(applied, tmp_path):
    assert try_points(applied, tmp_path, step=13) > 15


@pytest.mark.stress
@pytest.mark.parametrize("turn", range(len(FAULTS)))
def test_every_failing_call_ends_in_a_typed_error_and_loses_nothing(applied, tmp_path, turn, monkeypatch):
    monkeypatch.setattr(sys.modules[__name__], "FAULTS", FAULTS[turn:] + FAULTS[:turn])
    assert try_points(applied, tmp_path, step=1) > 200


def test_a_full_disk_says_so_and_how_to_go_on(applied, tmp_path):
    root, recipe = world.copy(applied, tmp_path / "full", lora__rank=8)

    def full(number: int, when: str) -> bool:
        if when == "before" and number > 60:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "x")
        return True

    with pytest.raises(JessyError, match="no space left") as caught, world.at_disk_call(root, full, ("write", "fsync")):
        world.run(root, recipe)
    assert "free some space" in (caught.value.hint or "")


def test_a_plan_works_on_a_read_only_disk(applied):
    """Planning a project that cannot be written, from a CI machine's cache for instance, must not fail."""
    recipe = world.fake_recipe(applied, lora__rank=8)

    def read_only(number: int, when: str) -> bool:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), "x")

    with world.at_disk_call(
        applied, read_only, ("write", "fsync", "replace", "mkdir", "link", "unlink", "rmdir", "chmod")
    ):
        plan = make_plan(recipe, applied, world.pipeline())
    assert {step.name for step in plan.steps if step.cause} == {"train"}
