"""A tiny pipeline in a process of its own, killed or failed at any call that touches the disk."""

from __future__ import annotations

import builtins
import hashlib
import json
import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "planning"))

from planning_fakes import FakeRecipe, fake_recipe

from jessyfile import fsops
from jessyfile.errors import Interrupted, JessyError
from jessyfile.planning.run import RunResult, apply
from jessyfile.planning.steps import Facts, Step, StepContext

UNITS = 4
WRITES = ("open", "write", "fsync", "replace", "mkdir", "link", "unlink", "rmdir", "chmod")
READS = ("stat", "lstat", "scandir", "listdir")


def pipeline() -> tuple[Step, ...]:
    """Return four steps, of which `train` keeps checkpoints and asks whether to stop, as the real one does."""
    return (
        Step("base", "base", _digesting("from"), reads=("from",)),
        Step("dataset", "dataset", _digesting("data.*"), reads=("data.*",)),
        Step("train", "train", _train, ("base", "dataset"), ("lora.*",), resumable=True),
        Step("gguf", "gguf", _gguf, ("train",), ("export.*",)),
    )


def _digesting(pattern: str) -> Callable[[StepContext], Facts]:
    def run(context: StepContext) -> Facts:
        fsops.write_text(context.output / "rows.txt", repr(sorted(context.recipe.values((pattern,)).items())))
        return {}

    return run


def _train(context: StepContext) -> Facts:
    """A running hash over the units of work, saved after each: a unit done twice or left out changes the bytes."""
    saved = context.work / "checkpoint.json"
    state = json.loads(saved.read_text()) if saved.exists() else {"unit": 0, "hash": ""}
    seed = (
        repr(sorted(context.recipe.values(("lora.*",)).items())) + (context.inputs["dataset"] / "rows.txt").read_text()
    )
    while state["unit"] < UNITS:
        if context.stop.requested():
            raise Interrupted("stopped; saved")
        value = hashlib.sha256(f"{seed}{state['unit']}{state['hash']}".encode()).hexdigest()
        state = {"unit": state["unit"] + 1, "hash": value}
        fsops.write_text(saved, json.dumps(state))
    fsops.write_text(context.output / "adapter.txt", state["hash"])
    fsops.link_or_copy(context.inputs["base"] / "rows.txt", context.output / "base.txt")
    return {"seconds": 1}


def _gguf(context: StepContext) -> Facts:
    fsops.write_text(context.output / "model.gguf", "GGUF" + (context.inputs["train"] / "adapter.txt").read_text())
    return {}


def fresh(folder: Path, **changes: Any) -> tuple[Path, FakeRecipe]:
    """Return a new project and its recipe."""
    (folder / ".jessy").mkdir(parents=True)
    (folder / "tiny.jessy").write_text("JESSY 1\n")
    return folder, fake_recipe(folder, **changes)


def copy(source: Path, target: Path, **changes: Any) -> tuple[Path, FakeRecipe]:
    """Return a copy of a project and a recipe in it; hard links inside become files of their own."""
    shutil.copytree(source, target)
    return target, fake_recipe(target, **changes)


def run(root: Path, recipe: FakeRecipe, **more: Any) -> RunResult:
    """Apply the tiny pipeline."""
    return apply(recipe, root, pipeline(), **more)


def bytes_of(result: RunResult) -> dict[str, bytes]:
    """Return every output file's bytes."""
    return {
        f"{step.name}/{path.name}": path.read_bytes()
        for step in result.steps
        for path in step.folder.rglob("*")
        if path.is_file()
    }


@contextmanager
def at_disk_call(root: Path, act: Callable[[int, str], bool], names: tuple[str, ...] = WRITES) -> Iterator[list[int]]:
    """Call `act(number, "before" | "after")` around every disk call under a root; yields the count so far in a list
    of one.

    A call by path counts when the path lies under the root, one by descriptor always.
    """
    count = [0]
    originals = {name: getattr(os, name) for name in names}
    opened = builtins.open

    def wrapped(original: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            if not _counts(arguments, root):
                return original(*arguments, **options)
            count[0] += 1
            number = count[0]
            act(number, "before")
            try:
                return original(*arguments, **options)
            finally:
                act(number, "after")

        return call

    for name, original in originals.items():
        setattr(os, name, wrapped(original))
    if "open" in names:
        builtins.open = wrapped(opened)
    try:
        yield count
    finally:
        builtins.open = opened
        for name, original in originals.items():
            setattr(os, name, original)


def _counts(arguments: tuple[Any, ...], root: Path) -> bool:
    first = arguments[0] if arguments else None
    if isinstance(first, int):
        return first > 2
    return isinstance(first, str | os.PathLike) and str(os.fspath(first)).startswith(str(root))


def in_child(work: Callable[[], int]) -> int:
    """Run in a forked process; return its exit code, or minus the signal that ended it."""
    pid = os.fork()
    if pid == 0:
        code = 99
        try:
            code = work()
        except JessyError as error:
            code = error.exit_code
        except KeyboardInterrupt:
            code = 130
        finally:
            os._exit(code)
    _, status = os.waitpid(pid, 0)
    return -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)


def apply_killed_at(root: Path, recipe: FakeRecipe, number: int, when: str, number_of_signal: signal.Signals) -> int:
    """Apply in a child that sends itself a signal at one disk call; return how it ended."""
    from jessyfile.commands.signals import stopping

    def act(call: int, moment: str) -> bool:
        if call == number and moment == when:
            os.kill(os.getpid(), number_of_signal)
        return True

    def work() -> int:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        with stopping() as stop, at_disk_call(root, act):
            return run(root, recipe, stop=stop).exit_code

    return in_child(work)


def count_calls(root: Path, recipe: FakeRecipe, names: tuple[str, ...] = WRITES) -> int:
    """Return how many disk calls an apply makes."""
    with at_disk_call(root, lambda number, when: True, names) as count:
        run(root, recipe)
    return count[0]
