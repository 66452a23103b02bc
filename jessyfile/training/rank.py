"""One of the processes that train a model together: `python -m jessyfile.training.rank JOB`, started by mlx.launch.

It runs the step `train` or `prefer` as an apply does. Process 0 keeps checkpoints and results; all of them stop together, when the apply
asks for it or has died. What a process has to say stands in a file that the apply reads.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from jessyfile import fsops, machine
from jessyfile.errors import ConvergenceError, InsufficientMemoryError, Interrupted, JessyError, TrainingError
from jessyfile.planning.steps import StepContext
from jessyfile.results.typed_json import Record, load_as
from jessyfile.temporaries import held
from jessyfile.training.hosts import seen

if TYPE_CHECKING:
    from jessyfile.results.facts import TrainFacts
    from jessyfile.training.ranks import Ranks

STOP = "stop"
_OF_ALL = (Interrupted, ConvergenceError, InsufficientMemoryError)  # what every process raises at the same update


@dataclass(frozen=True, slots=True)
class RankJob:
    """What every process reads: the step, the recipe's document, the step's folders and the run's, the machine of each rank and how they
    talk.
    """

    step: Literal["train", "prefer"]
    document: Record
    recipe: str
    root: str
    work: str
    output: str
    inputs: Mapping[str, str]
    hosts: tuple[str, ...]
    backend: str
    log: str | None = None


@dataclass(frozen=True, slots=True)
class RankEvent:
    """One thing that a process says: `update`, `note`, `done`, or the name of the error that ended it."""

    event: str
    done: float = 0
    total: float | None = None
    text: str = ""
    hint: str | None = None
    facts: Record | None = None


@dataclass(frozen=True, slots=True)
class Teller:
    """A progress that writes what it is told into a file, a line each; only process 0 tells how far it is."""

    path: Path
    first: bool

    def tell(self, event: RankEvent) -> None:
        """Write one event."""
        fsops.append_line(self.path, json.dumps(asdict(event)))

    def update(self, done: float, total: float | None = None, *, text: str = "") -> None:
        """Tell how much is done."""
        if self.first:
            self.tell(RankEvent("update", done, total, text))

    def note(self, text: str) -> None:
        """Tell one line."""
        if self.first:
            self.tell(RankEvent("note", text=text))


@dataclass(frozen=True, slots=True)
class StopTogether:
    """A stop of several processes: process 0 looks whether the apply asks for it, or has died; the trainer tells the others."""

    folder: Path
    ranks: Ranks

    def requested(self) -> bool:
        """Return whether it is asked for; only process 0 ever knows."""
        return self.ranks.first and self._asked()

    def _asked(self) -> bool:
        return (self.folder / STOP).exists() or not self.folder.exists() or not held(self.folder)


def main(words: Sequence[str]) -> int:
    """Take part in a training; return the exit code, which is not 0 when the others cannot go on."""
    if words[0] == "--seen":
        print(seen(Path(words[1])))  # noqa: T201 (the apply reads it)
        return 0
    path, rank = Path(words[0]), int(os.environ["MLX_RANK"])
    job, teller = load_as(RankJob, path), Teller(path.parent / f"{rank}.jsonl", rank == 0)
    try:
        facts = _take_part(job, path.parent, rank, teller)
    except JessyError as error:
        teller.tell(RankEvent(type(error).__name__, text=error.message, hint=error.hint))
        return 0 if isinstance(error, _OF_ALL) else 1
    teller.tell(RankEvent("done", facts=asdict(facts)))
    return 0


def _take_part(job: RankJob, folder: Path, rank: int, teller: Teller) -> TrainFacts:
    from jessyfile import __version__
    from jessyfile.models.accelerate import prepare

    _keep_to_own_processors(job, rank)
    prepare()  # before MLX is imported, and after the processors are known
    from jessyfile.training.prefer_step import run_prefer
    from jessyfile.training.ranks import join
    from jessyfile.training.throughput import peak_bytes
    from jessyfile.training.train_steps import run_train

    ranks = join(job.backend)
    ranks.agree("version of jessy", __version__)
    run, rows = (
        (run_train, "encode/train.safetensors") if job.step == "train" else (run_prefer, "preferences/train.jsonl")
    )
    for what, file in (("rows", rows), ("base", "base/config.json")):
        step, name = file.split("/")
        ranks.agree(f"copy of the {what}", fsops.hash_file(Path(job.inputs[step]) / name))
    with tempfile.TemporaryDirectory() as elsewhere:
        output = Path(job.output if ranks.first else elsewhere)
        lock = alone_in(Path(job.work)) if ranks.first else None
        facts = run(_context(job, folder, output, ranks, teller))
        del lock
    together = ranks.total([peak_bytes() if job.hosts[rank] == job.hosts[0] else 0])
    return replace(facts, peak_bytes=int(together[0]), processes=ranks.size)


def alone_in(work: Path) -> int:
    """Return a lock on the checkpoints. Raises TrainingError while another training writes them: its apply was killed."""
    lock = fsops.lock_file(work / "ranks.lock")
    if lock is None:
        raise TrainingError(
            "the processes of an apply that was killed are still training here",
            hint="they notice it and stop within one update: wait, then apply again",
        )
    return lock


def _context(job: RankJob, folder: Path, output: Path, ranks: Ranks, teller: Teller) -> StepContext:
    from jessyfile.language.build import build_recipe

    recipe = build_recipe(dict(job.document), Path(job.recipe), {}, ())
    inputs = {name: Path(place) for name, place in job.inputs.items()}
    stop, log = StopTogether(folder, ranks), Path(job.log) if job.log and ranks.first else None
    return StepContext(recipe, Path(job.root), output, Path(job.work), inputs, {}, teller, stop, job.step, log=log)


def _keep_to_own_processors(job: RankJob, rank: int) -> None:
    """Take a share of the processors where several processes run on one machine (Linux), before the BLAS counts them."""
    beside = [other for other, host in enumerate(job.hosts) if host == job.hosts[rank]]
    if hasattr(os, "sched_setaffinity") and machine.chip() == "CPU":
        whole = sorted(os.sched_getaffinity(0))
        own = whole[beside.index(rank) :: len(beside)]
        os.sched_setaffinity(0, own or whole)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
