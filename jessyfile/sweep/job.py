"""A training in a process of its own: `python -m jessyfile.sweep.job FOLDER`.

It does what the step does within an apply, with as many threads, so that its bytes are the same. It knows no project: the folders of its
inputs, of its checkpoints and of its result are told. What it has to say stands in a file.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from jessyfile import fsops
from jessyfile.errors import JessyError, TrainingError
from jessyfile.planning.canonical import normal
from jessyfile.planning.step_cost import measured
from jessyfile.planning.steps import StepContext
from jessyfile.results.typed_json import Record, load_as
from jessyfile.training.rank import RankEvent, Teller, alone_in

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jessyfile.errors import Stop

TRAININGS = ("train", "prefer")
JOB, TOLD, DONE, OUTPUT, LOG = "job.json", "told.jsonl", "done.json", "output", "log"
_PATIENCE = 120.0  # seconds: a training whose sweep was killed notices it within one update
_LOOK = 0.5


@dataclass(frozen=True, slots=True)
class TrainingJob:
    """Which step is run, the recipe's document and place, and the folders of the step's inputs and of its checkpoints."""

    step: str
    document: Record
    recipe: str
    root: str
    work: str
    inputs: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class JobDone:
    """`done.json`: what the step returned, its wall seconds, and whether it went on from a checkpoint."""

    facts: Record
    seconds: float
    resumed: bool


@dataclass(slots=True)
class StopWithParent:
    """A stop that is asked for by SIGTERM, or by the death of the process that started this one."""

    parent: int = field(default_factory=os.getppid)
    heard: bool = False

    def requested(self) -> bool:
        """Return whether to stop after this update."""
        return self.heard or os.getppid() != self.parent

    def hear(self, *_: object) -> None:
        """Be the signal's handler."""
        self.heard = True


def main(words: Sequence[str]) -> int:
    """Train; return 0 when an end was told, whatever it was."""
    folder, stop = Path(words[0]), StopWithParent()
    signal.signal(signal.SIGTERM, stop.hear)
    teller = Teller(folder / TOLD, first=True)
    try:
        done = _trained(load_as(TrainingJob, folder / JOB), folder, teller, stop)
    except JessyError as error:
        teller.tell(RankEvent(type(error).__name__, text=error.message, hint=error.hint))
        return 0
    fsops.write_text(folder / DONE, json.dumps(asdict(done)))
    return 0


def _trained(job: TrainingJob, folder: Path, teller: Teller, stop: Stop) -> JobDone:
    from jessyfile.models.accelerate import prepare

    prepare()  # before MLX is imported
    from jessyfile.language.build import build_recipe
    from jessyfile.training.prefer_step import run_prefer
    from jessyfile.training.train_steps import run_train

    work, log = Path(job.work), fsops.make_folder(folder / LOG)
    recipe = build_recipe(dict(job.document), Path(job.recipe), {}, ())
    inputs = {name: Path(place) for name, place in job.inputs.items()}
    output = fsops.make_folder(folder / OUTPUT)
    context = StepContext(recipe, Path(job.root), output, work, inputs, {}, teller, stop, job.step, log=log)
    with _alone(work, stop):
        resumed = any(path.is_dir() for path in work.iterdir())
        try:
            with measured() as cost:
                facts: Record = normal((run_train if job.step == "train" else run_prefer)(context))
        except OSError as error:
            raise fsops.storage_error(error, error.filename or job.step, f"run the step {job.step} on") from error
    return JobDone(facts, cost.seconds, resumed)


@contextlib.contextmanager
def _alone(work: Path, stop: Stop) -> Iterator[None]:
    """Hold the checkpoints for the block, once a training has let go of them whose sweep was killed. Raises TrainingError."""
    until = time.monotonic() + _PATIENCE
    while True:
        try:
            lock = alone_in(work)
            break
        except TrainingError:
            if stop.requested() or time.monotonic() > until:
                raise
            time.sleep(_LOOK)
    try:
        yield
    finally:
        os.close(lock)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
