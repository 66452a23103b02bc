"""One writer a project: the others are told who it is, and a killed one blocks nobody."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import pytest
import real_world as world

from jessyfile.errors import LockedError
from jessyfile.planning.mutex import project_lock

ROUNDS = int(os.environ.get("JESSY_LOCK_ROUNDS", "10"))
PROCESSES = 16


def one_process(root: Path, number: int) -> int:
    """Take the lock `ROUNDS` times; return 0 when no two ever held it and every refusal said who does."""
    counter, inside = root / "counter", root / "inside"
    taken = 0
    while taken < ROUNDS:
        try:
            with project_lock(root, f"round {taken} of {number}"):
                os.close(os.open(inside, os.O_CREAT | os.O_EXCL))
                counter.write_text(str(int(counter.read_text()) + 1))
                inside.unlink()
                taken += 1
        except LockedError as error:
            if "another jessy is writing here" not in error.message or error.hint is None:
                return 3
        except FileExistsError:
            return 4
    return 0


def test_sixteen_processes_never_write_at_once(tmp_path):
    (tmp_path / "counter").write_text("0")
    children = []
    for number in range(PROCESSES):
        pid = os.fork()
        if pid == 0:
            code = 99
            try:
                code = one_process(tmp_path, number)
            finally:
                os._exit(code)
        children.append(pid)
    codes = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children]
    assert codes == [0] * PROCESSES
    assert int((tmp_path / "counter").read_text()) == PROCESSES * ROUNDS


def test_the_refused_one_is_told_who_what_and_since_when(tmp_path):
    with (
        project_lock(tmp_path, "jessy apply recipes/v2.jessy"),
        pytest.raises(LockedError) as caught,
        project_lock(tmp_path, "x"),
    ):
        pass
    message = caught.value.message
    assert "`jessy apply recipes/v2.jessy`" in message
    assert f"process {os.getpid()}" in message
    assert "since 2" in message


def test_a_killed_holder_blocks_nobody_and_is_not_named(tmp_path):
    def hold() -> int:
        with project_lock(tmp_path, "dead work"):
            os.kill(os.getpid(), signal.SIGKILL)
        return 0

    assert world.in_child(hold) == -signal.SIGKILL
    with project_lock(tmp_path, "next"), pytest.raises(LockedError) as caught, project_lock(tmp_path, "third"):
        pass
    assert "dead work" not in caught.value.message
