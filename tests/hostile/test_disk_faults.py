"""Every call of the real pipeline that touches the disk fails in turn: one typed error, nothing lost, and the same
command then succeeds.

The default run tries a call of every other step. `make stress` tries every fault at every writing call and at every place
of the code that reads: nine calls in ten are the same places at other files. JESSY_TURN=n chooses others.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import disk
import pytest
import real_world as world

from jessyfile.errors import JessyError
from jessyfile.planning.plan import make_plan
from jessyfile.planning.state import load_state

TURN = int(os.environ.get("JESSY_TURN", "0"))
FAULTS = (errno.ENOSPC, errno.EIO, errno.EACCES, errno.EMFILE)
CALLS = disk.WRITES + disk.READS


@pytest.fixture(scope="module")
def calls(edited: world.Edited, tmp_path_factory: pytest.TempPathFactory) -> list[world.Point]:
    found = world.points(edited.tree.restore(tmp_path_factory.mktemp("counted") / "project"))
    assert {point.call.name for point in found} == set(CALLS)
    return found


def fault_at(number: int, code: int) -> Callable[[disk.Call], None]:
    def act(call: disk.Call) -> None:
        if call.number == number:
            raise OSError(code, os.strerror(code), "the disk")

    return act


def try_points(points: Sequence[world.Point], turn: int, edited: world.Edited, tmp_path: Path) -> int:
    """Fail each call with one of the faults; return how many applies failed by it."""
    failed = 0
    for number, point in enumerate(points):
        code = FAULTS[(number + turn) % len(FAULTS)]
        root = edited.tree.restore(tmp_path / "faulty")
        before = load_state(root, "tiny")
        try:
            with disk.watched(root, fault_at(point.call.number, code), CALLS):
                world.apply(root)
        except JessyError as error:
            failed += 1
            assert error.message, (point, code)
            assert "\n" not in error.message
        except BaseException:
            print("failed", point, errno.errorcode[code])
            raise
        assert load_state(root, "tiny").serial >= before.serial
        world.is_intact(root, (edited.old, edited.new))
        world.recovers(root, edited.expected)
        shutil.rmtree(root)
    return failed


def test_some_failing_calls_end_in_a_typed_error_and_lose_nothing(calls, edited, tmp_path):
    chosen = world.some(calls, TURN)[TURN % 2 :: 2]
    assert try_points(chosen, TURN, edited, tmp_path) >= len(chosen) // 2


def everywhere(calls: Sequence[world.Point]) -> list[world.Point]:
    """Return every writing call, and of the reading ones the first of each place in the code."""
    reads = {(point.place, point.call.name): point for point in reversed(calls) if point.call.name in disk.READS}
    writes = [point for point in calls if point.call.name in disk.WRITES]
    return sorted([*writes, *reads.values()], key=lambda point: point.call.number)


@pytest.mark.stress
@pytest.mark.parametrize("turn", range(len(FAULTS)))
def test_every_failing_call_ends_in_a_typed_error_and_loses_nothing(calls, edited, tmp_path, turn):
    points = everywhere(calls)
    assert try_points(points, turn, edited, tmp_path) > len(points) // 4


def test_a_full_disk_says_so_and_how_to_go_on(edited, tmp_path):
    root = edited.tree.restore(tmp_path / "full")

    def full(call: disk.Call) -> None:
        if call.number > 60:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "x")

    with pytest.raises(JessyError, match="no space left") as caught, disk.watched(root, full, ("write", "fsync")):
        world.apply(root)
    assert "free some space" in (caught.value.hint or "")
    world.is_intact(root, (edited.old,))


def test_a_plan_works_on_a_read_only_disk(edited, tmp_path):
    """Planning a project that cannot be written, from a CI machine's cache for instance, must not fail."""
    root = edited.tree.restore(tmp_path / "read only")
    recipe, steps = world.compiled(root)

    def read_only(call: disk.Call) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), "x")

    with disk.watched(root, read_only, tuple(name for name in disk.WRITES if name != "open")):
        plan = make_plan(recipe, root, steps)
    assert {step.name for step in plan.steps if step.cause} >= {"base", "data.turkish", "train"}
