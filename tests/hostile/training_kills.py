"""A real training that is really killed: at every kind of write of a checkpoint, within a write, and at random moments.

Each death happens in a process of its own, by SIGKILL. Another process goes on from what it left, to the end, and its adapter must have
the bytes of a training that nobody killed. As a program (`python training_kills.py`) this module is a server of such processes: it has
imported everything and run nothing, and forks one for each life.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Self

sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parents[1] / "models")]

import disk  # noqa: E402 (the path was just made)

_RESULT = "result.json"


@dataclass(frozen=True)
class Training:
    """What is trained: the text of a recipe, the folder of its base, and the folder of its encoded rows; or, where `encode` is empty, the
    folders of an adapter and of the preferences that it goes on with."""

    recipe: str
    base: str
    encode: str
    train: str = ""
    preferences: str = ""


@dataclass(frozen=True)
class Death:
    """When a process kills itself: before its `call`-th writing call, with the file of that call cut in two if `torn`; or it is
    killed `after` so many seconds. Without either it lives."""

    kind: str = "none"
    call: int = 0
    torn: bool = False
    after: float = 0.0


@dataclass(frozen=True)
class Told:
    """What a training that ended says: the hash of its adapter, after which update it went on, its seconds, and its writing calls."""

    adapter: str
    resumed: int
    seconds: float
    calls: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Survived:
    """A death, after which update the next process went on, and whether its adapter has the right bytes."""

    death: Death
    resumed: int
    same: bool


@dataclass
class Killer:
    """Runs lives of a training in folders under `root`."""

    training: Training
    root: Path
    _lives: int = 0
    _server: Any = field(default=None, repr=False)

    def __enter__(self) -> Self:
        house = str(Path(__file__).resolve().parents[2])
        self._server = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env={**os.environ, "PYTHONPATH": house},
        )  # fmt: skip
        return self

    def __exit__(self, *_: object) -> None:
        self._server.communicate()

    def whole(self) -> Told:
        """Return what a training says that nobody kills."""
        return self._told(self.root / "whole", Death())

    def survives(self, death: Death, whole: Told) -> Survived:
        """Kill a training, let another process go on from what is left, and compare."""
        self._lives += 1
        work = self.root / f"life {self._lives}"
        code, _ = self._live(work, death)
        if code == 0 and death.after:  # it ended first: the machine is less busy than when the whole was timed
            shutil.rmtree(work)
            return self.survives(replace(death, after=death.after / 2), whole)
        assert code == -signal.SIGKILL, death
        told = self._told(work, Death())
        shutil.rmtree(work)
        return Survived(death, told.resumed, told.adapter == whole.adapter)

    def _told(self, work: Path, death: Death) -> Told:
        code, output = self._live(work, death)
        assert code == 0, code
        body = json.loads((output / _RESULT).read_text("utf-8"))
        return Told(**{**body, "calls": tuple(map(tuple, body["calls"]))})

    def _live(self, work: Path, death: Death) -> tuple[int, Path]:
        output = self.root / "output"
        shutil.rmtree(output, ignore_errors=True)
        output.mkdir()
        life = {"training": asdict(self.training), "work": str(work), "output": str(output), "death": asdict(death)}
        self._server.stdin.write(json.dumps(life) + "\n")
        self._server.stdin.flush()
        return int(self._server.stdout.readline()), output


def every_death(whole: Told) -> list[Death]:
    """Return a death before every writing call from the last checkpoint but one, which removes an older one, to the last; and one within
    each of its writes."""
    first, end = (next(n for n, (_, target) in enumerate(whole.calls) if target == one) for one in saved(whole)[-2:])
    found, last = [], ""
    for number, (name, target) in enumerate(whole.calls[first:end], start=first + 1):
        last = target or last
        found.append(Death(f"before {name} of {_role(last)}", number))
        if name == "fsync" and not target and whole.calls[number - 2][0] == "write":
            found.append(Death(f"within the write of {_role(last)}", number, torn=True))
    return found


def reference_deaths(whole: Told) -> list[Death]:
    """Return a death before every writing call for the reference of preferences, and one within each of its writes."""
    found, last = [], ""
    for number, (name, target) in enumerate(whole.calls, start=1):
        last = target or last
        if "reference" in last:
            torn = name == "fsync" and not target and whole.calls[number - 2][0] == "write"
            found += [Death(f"before {name} of the reference", number), *[Death("within it", number, torn=True)] * torn]
    return found


def saved(whole: Told) -> list[str]:
    """Return the temporary folders in which the checkpoints were filled."""
    return list(dict.fromkeys(target for name, target in whole.calls if name == "mkdir" and "/.checkpoint" in target))


def random_deaths(whole: Told, count: int, seed: int) -> list[Death]:
    """Return deaths at random moments of a life."""
    chance = random.Random(seed)
    return [Death("at random", after=chance.uniform(0.05, 0.95) * whole.seconds) for _ in range(count)]


def spread(deaths: Sequence[Death], count: int) -> list[Death]:
    """Return so many deaths, of as many kinds as there are or else of kinds evenly apart."""
    kinds: dict[str, Death] = {}
    for death in deaths:
        kinds.setdefault(death.kind, death)
    first, rest = list(kinds.values()), [death for death in deaths if death not in kinds.values()]
    return [first[i * len(first) // count] for i in range(count)] if count < len(first) else [*first, *rest][:count]


def _role(target: str) -> str:
    """Return what a path is to a checkpoint: one of its files, itself, or the folder that holds checkpoints."""
    name = Path(target).name
    stem = next((one for one in ("adapter", "best", "optimizer", "curve", "cursor") if one in name), None)
    if stem:
        return f"its {stem}" if ".checkpoint" in target else f"an old {stem}"
    if not name.lstrip(".").startswith("checkpoint"):
        return "another file" if "." in name else "the folder"
    return "its folder" if name.startswith(".") else "a finished folder"


# the processes that are killed -----------------------------------------------------------------------------------------------


class _Heard:
    """A progress that remembers after which update training went on."""

    resumed = 0

    def update(self, done: float, total: float | None = None, *, text: str = "") -> None: ...

    def note(self, text: str) -> None:
        if text.startswith("going on after update "):
            self.resumed = int(text.rpartition(" ")[2])


def _train(life: dict[str, Any]) -> int:
    from jessyfile.language import load_text
    from jessyfile.planning.steps import StepContext
    from jessyfile.training.prefer_step import run_prefer
    from jessyfile.training.train_steps import run_train

    training, death, begun = Training(**life["training"]), Death(**life["death"]), time.perf_counter()
    work, output, heard, calls = Path(life["work"]), Path(life["output"]), _Heard(), list[tuple[str, str]]()
    work.mkdir(parents=True, exist_ok=True)
    recipe = load_text(training.recipe, work.parent / "x.jessy", root=work.parent).recipe
    folders = {name: getattr(training, name) for name in ("base", "encode", "train", "preferences")}
    inputs = {name: Path(folder) for name, folder in folders.items() if folder}
    run, name = (run_train, "train") if training.encode else (run_prefer, "prefer")
    never = SimpleNamespace(requested=lambda: False)
    context = StepContext(recipe, work.parent, output, work, inputs, {}, heard, never, name)

    def act(call: disk.Call) -> None:
        calls.append((call.name, "" if isinstance(call.target, int) else str(call.target)))
        if call.number == death.call:
            if death.torn:
                os.ftruncate(call.target, os.fstat(call.target).st_size // 2)
            os.kill(os.getpid(), signal.SIGKILL)

    with disk.watched(work, act):
        run(context)
    adapter = hashlib.sha256((output / "adapters.safetensors").read_bytes()).hexdigest()
    told = Told(adapter, heard.resumed, time.perf_counter() - begun, tuple(calls))
    (output / _RESULT).write_text(json.dumps(asdict(told)), "utf-8")
    return 0


def _serve() -> None:
    from jessyfile.models.accelerate import prepare

    prepare()
    import mlx.core
    import mlx_lm.utils
    import numpy as np

    import jessyfile.training.prefer_step
    import jessyfile.training.trainer

    assert all((mlx.core, mlx_lm.utils, np, jessyfile.training.prefer_step, jessyfile.training.trainer))
    for line in sys.stdin:
        print(_lived(json.loads(line)), flush=True)


def _lived(life: dict[str, Any]) -> int:
    """Live in a forked process; return its exit code, or minus the signal that ended it."""
    pid = os.fork()
    if pid == 0:
        code = 99
        try:
            code = _train(life)
        finally:
            os._exit(code)
    if life["death"]["after"]:
        time.sleep(life["death"]["after"])
        os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    return -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)


if __name__ == "__main__":
    _serve()
