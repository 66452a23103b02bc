"""Who trains the points of a sweep side by side: a crew takes trainings and hands back what they made. This one has a process for each."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, Self

from jessyfile import errors, fsops
from jessyfile.errors import JessyError, TrainingError
from jessyfile.planning.run import Brought
from jessyfile.results.typed_json import load_as, read_as
from jessyfile.sweep.job import DONE, JOB, LOG, OUTPUT, TOLD, JobDone, TrainingJob
from jessyfile.training.rank import RankEvent

if TYPE_CHECKING:
    from types import TracebackType

    from jessyfile.results.typed_json import Record

_PAUSE = 0.05
PROCESS = "log.txt"


@dataclass(frozen=True, slots=True)
class PointTraining:
    """A step that is to be trained: under which fingerprint it is found again, the recipe's document and place, each input's object and
    folder, and where its checkpoints lie on this machine."""

    step: str
    fingerprint: str
    document: Record
    recipe: Path
    root: Path
    work: Path
    inputs: Mapping[str, tuple[str, Path]]


@dataclass(frozen=True, slots=True)
class TrainingEnd:
    """How a training ended: with what it made, or with an error."""

    fingerprint: str
    brought: Brought | None = None
    error: JessyError | None = None


class Crew(Protocol):
    """What a sweep asks of those who train its points."""

    def room(self) -> bool:
        """Return whether another training may begin."""

    def begin(self, training: PointTraining) -> None:
        """Begin a training."""

    def ended(self, seconds: float) -> list[TrainingEnd]:
        """Return what has ended, after so many seconds at most."""

    def reached(self) -> dict[str, tuple[float, float]]:
        """Return how many updates of how many each training has done, by its fingerprint, as far as that is known."""

    def ask_to_stop(self) -> None:
        """Ask every training to stop after its update; each then ends with Interrupted."""

    def __enter__(self) -> Self:
        """Be ready."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End what is still under way, at once."""


def start_job(folder: Path, job: TrainingJob, env: Mapping[str, str] | None = None) -> subprocess.Popen[bytes]:
    """Start a training in a session of its own, so that it hears no terminal's signals; `folder` takes what it makes and says."""
    fsops.make_folder(folder)
    fsops.write_text(folder / JOB, json.dumps(asdict(job)))
    with open(folder / PROCESS, "wb") as log:
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "jessyfile.sweep.job", str(folder.resolve())],
            env=None if env is None else dict(env),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def job_outcome(folder: Path, code: int) -> JobDone | JessyError:
    """Return what a training that has ended with this code has made, or what ended it."""
    with contextlib.suppress(FileNotFoundError):
        return load_as(JobDone, folder / DONE)
    told = next((one for one in _told(folder) if one.event not in ("update", "note")), None)
    if told is not None:
        return as_error(told.event, told.text, told.hint)
    if code < 0:
        hint = "a system kills so when memory runs out: take fewer --jobs" if code == -signal.SIGKILL else None
        return TrainingError(f"its process was killed by signal {-code}", hint=hint)
    words = fsops.read_bytes(folder / PROCESS).decode("utf-8", "replace").strip().splitlines()
    return TrainingError(f"its process ended with code {code}: {words[-1] if words else 'no word'}")


def _told(folder: Path) -> Iterator[RankEvent]:
    """Yield what a training has said, the last first."""
    with contextlib.suppress(FileNotFoundError):
        for line in reversed(fsops.read_bytes(folder / TOLD).splitlines()):
            with contextlib.suppress(ValueError):  # a line that is being written
                yield read_as(RankEvent, json.loads(line), "what a training says")


def as_error(name: str, text: str, hint: str | None) -> JessyError:
    """Return an error of jessy's by the name of its class, as another process has told it."""
    kind = getattr(errors, name, None)
    known = isinstance(kind, type) and issubclass(kind, JessyError)
    made: JessyError = (kind if known and kind is not None else TrainingError)(text, hint=hint)
    return made


def end(process: subprocess.Popen[bytes]) -> None:
    """End a training at once, with whatever it has started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@dataclass(slots=True)
class ProcessCrew:
    """So many trainings side by side on this machine, each in a process of its own; `place` is a folder of the project's disk."""

    jobs: int
    place: Path
    _folder: Path = field(default_factory=Path)
    _running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    _left: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)

    def __enter__(self) -> Self:
        self._folder = self._left.enter_context(fsops.temporary_folder(self.place / "jobs"))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in self._running.values():
            end(process)
        self._left.close()

    def room(self) -> bool:
        """Return whether another training may begin."""
        return len(self._running) < self.jobs

    def begin(self, training: PointTraining) -> None:
        """Start its process."""
        job = TrainingJob(
            training.step,
            training.document,
            str(training.recipe),
            str(training.root),
            str(fsops.make_folder(training.work).resolve()),
            {name: str(folder.resolve()) for name, (_, folder) in training.inputs.items()},
        )
        self._running[training.fingerprint] = start_job(self._folder / training.fingerprint, job)

    def ended(self, seconds: float) -> list[TrainingEnd]:
        """Return what has ended, after so many seconds at most."""
        until = time.monotonic() + seconds
        while not (over := [mark for mark, process in self._running.items() if process.poll() is not None]):
            if time.monotonic() >= until:
                return []
            time.sleep(_PAUSE)
        return [self._end_of(mark, self._running.pop(mark).returncode) for mark in over]

    def reached(self) -> dict[str, tuple[float, float]]:
        """Return how many updates of how many each training has done."""
        last = {mark: next((one for one in _told(self._folder / mark) if one.total), None) for mark in self._running}
        return {mark: (one.done, one.total) for mark, one in last.items() if one is not None and one.total}

    def ask_to_stop(self) -> None:
        """Ask every training to stop after its update."""
        for process in self._running.values():
            process.terminate()

    def _end_of(self, mark: str, code: int) -> TrainingEnd:
        folder = self._folder / mark
        return taken(mark, folder, job_outcome(folder, code))


def taken(mark: str, folder: Path, found: JobDone | JessyError) -> TrainingEnd:
    """Return how a training ended whose result lies in a folder of this machine."""
    if isinstance(found, JessyError):
        return TrainingEnd(mark, error=found)
    made = Brought(mark, folder / OUTPUT, folder / LOG, found.facts, found.seconds, found.resumed)
    return TrainingEnd(mark, made)
