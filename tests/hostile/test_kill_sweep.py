"""Killed before any write, an apply leaves everything usable, and the same command ends with the bytes of an
undisturbed run.

The default run tries at least one point of every step and one of every kind of call, `make stress` all of them;
JESSY_TURN=n chooses others.
"""

from __future__ import annotations

import itertools
import os
import random
import shutil
import signal
from collections.abc import Iterable
from pathlib import Path

import disk
import pytest
import real_world as world

from jessyfile.errors import Interrupted
from jessyfile.export.registry import rollback

TURN = int(os.environ.get("JESSY_TURN", "0"))
REAL_KILLS = int(os.environ.get("JESSY_KILLS", "2"))


@pytest.fixture(scope="module")
def killed(edited: world.Edited, tmp_path_factory: pytest.TempPathFactory) -> list[world.Remains]:
    """What a kill before each write of an apply leaves."""
    root = edited.tree.restore(tmp_path_factory.mktemp("killed") / "project")
    found = world.remains(root, lambda where: world.apply(root, observer=where))
    steps = {entry.step for entry in found}
    assert steps == {"begin", "end", *(step.name for step in world.compiled(root)[1])}
    return found


def survive(trees: Iterable[tuple[str, disk.Tree]], edited: world.Edited, tmp_path: Path) -> None:
    for number, (what, tree) in enumerate(trees):
        root = tree.restore(tmp_path / f"after {number}")
        try:
            world.is_intact(root, (edited.old, edited.new))
            world.recovers(root, edited.expected)
        except BaseException:
            print("killed before", what)
            raise
        shutil.rmtree(root)


def trees_of(found: Iterable[world.Remains], torn: bool) -> list[tuple[str, disk.Tree]]:
    whole = [(f"{entry.step}: {entry.call}", entry.tree) for entry in found]
    halves = [(f"half of the write before {what}", half) for what, tree in whole if (half := tree.torn())]
    return [*whole, *halves] if torn else whole


def test_a_kill_at_some_writes_of_every_step_loses_nothing(killed, edited, tmp_path):
    survive(trees_of(world.some(killed, TURN), torn=False), edited, tmp_path)


def test_a_kill_within_some_writes_loses_nothing(killed, edited, tmp_path):
    """A half-written file lies there: no step takes it for its own."""
    torn = [entry for entry in killed if entry.tree.torn()]
    chosen = world.some(torn, TURN)[TURN % 3 :: 3]
    survive([(what, tree) for what, tree in trees_of(chosen, torn=True) if what.startswith("half")], edited, tmp_path)


@pytest.mark.stress
def test_a_kill_at_every_write_loses_nothing(killed, edited, tmp_path):
    survive(trees_of(killed, torn=True), edited, tmp_path)


def test_a_process_that_is_really_killed_leaves_what_the_sweep_takes_for_it(killed, edited, tmp_path):
    """Without this the sweep could prove something about remains that no killed process leaves."""
    points = random.Random(TURN).sample(
        [entry for entry in killed if entry.step != "end"], min(REAL_KILLS, len(killed) // 2)
    )
    with world.Mortal() as mortal:
        for entry in points:
            root = edited.tree.restore(tmp_path / str(entry.call.number))
            assert mortal.apply(root, entry.call.number) == -signal.SIGKILL
            assert world.shape(disk.Camera(root).take()) == world.shape(entry.tree), entry.call
            world.is_intact(root, (edited.old, edited.new))
            world.recovers(root, edited.expected)


def test_killed_again_and_again_an_apply_still_ends(edited, tmp_path):
    """A machine that dies every few writes gets there in the end, for each life keeps what it finished."""
    root = edited.tree.restore(tmp_path / "mortal")
    lives = 0
    with world.Mortal() as mortal:
        while mortal.apply(root, 400) != 0:
            lives += 1
            assert lives < 12
    assert lives > 1
    world.recovers(root, edited.expected)


def test_asked_to_stop_in_any_step_an_apply_stops_or_ends_and_goes_on(killed, edited, tmp_path):
    """A signal is heard between two units of work: what comes out is `interrupted` or a finished apply, nothing else."""
    from jessyfile.commands.signals import stopping

    points = world.some(killed, TURN)[TURN % 4 :: 4]
    stopped = 0
    for entry, name in zip(points, itertools.cycle((signal.SIGTERM, signal.SIGINT)), strict=False):
        root = edited.tree.restore(tmp_path / str(entry.call.number))

        def ask(call: disk.Call, number: int = entry.call.number, name: int = name) -> None:
            if call.number == number:
                os.kill(os.getpid(), name)

        try:
            with stopping(lambda: "jessy apply") as stop, disk.watched(root, ask):
                world.apply(root, stop=stop)
        except Interrupted:
            stopped += 1
        world.is_intact(root, (edited.old, edited.new))
        world.recovers(root, edited.expected)
        shutil.rmtree(root)
    assert stopped >= len(points) - 1  # nothing is left to stop after the last step


def test_a_kill_at_every_write_of_a_rollback_leaves_one_of_the_two_models(edited, tmp_path):
    """`latest` is the new model or the old one and `previous` the other: both were the same one after a kill between two
    writes, and the other was lost."""
    root = edited.tree.restore(tmp_path / "project")
    world.apply(root)
    both = {edited.old, edited.new}
    for entry in world.remains(root, lambda where: rollback("tiny", root)):
        after = entry.tree.restore(tmp_path / str(entry.call.number))
        world.is_intact(after, tuple(both))
        found = world.served(after)
        assert {found["latest"], found["previous"]} == both, entry.call
        rollback("tiny", after)
        again = world.served(after)
        assert (again["latest"], again["previous"]) == (found["previous"], found["latest"])
        world.apply(after)
        world.is_intact(after, (again["latest"],) if again["latest"] == edited.old else tuple(both))
        assert world.litter(after) == []
