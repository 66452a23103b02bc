"""What a worker of Ray does for a sweep: it unpacks a training's inputs into a folder of its own, checks them, trains in a process of its own
as any other crew does, and hands back what was made. No file system is shared.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jessyfile import fsops
from jessyfile.errors import DamagedError, JessyError
from jessyfile.results.typed_json import Record
from jessyfile.sweep.crew import end, job_outcome, start_job
from jessyfile.sweep.job import LOG, OUTPUT, JobDone, TrainingJob

CHUNK = 256 << 20  # bytes that are held in memory at a time
# Ray tells every worker how many threads to take; then a training there would not be the one that it is here
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
Bytes = Mapping[str, bytes]


@dataclass(frozen=True, slots=True)
class SentFile:
    """One file of an input: its name below the input's folder, its SHA-256, and the parts of its bytes as Ray holds them."""

    name: str
    sha256: str
    parts: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class SentTraining:
    """A training as it travels: the step, the recipe's document, every input's files, and the threads of whoever sends it."""

    step: str
    document: Record
    recipe: str
    inputs: Mapping[str, tuple[SentFile, ...]]
    threads: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class SentBack:
    """What comes back: the step's record, seconds and files, or the name, sentence and hint of the error that ended it."""

    facts: Record | None = None
    seconds: float = 0.0
    output: Bytes | None = None
    log: Bytes | None = None
    error: tuple[str, str, str | None] | None = None


def train_there(sent: SentTraining, get: Callable[[Any], bytes]) -> SentBack:
    """Train on this machine; `get` brings a part of a file here."""
    try:
        with tempfile.TemporaryDirectory(prefix="jessy-ray-") as scratch:
            return _train(sent, Path(scratch), get)
    except JessyError as error:
        return _failed(error)


def _train(sent: SentTraining, scratch: Path, get: Callable[[Any], bytes]) -> SentBack:
    inputs = {name: str(_unpacked(scratch / "inputs" / name, files, get)) for name, files in sent.inputs.items()}
    work, folder = fsops.make_folder(scratch / "work"), scratch / "job"
    env = {name: value for name, value in os.environ.items() if name not in THREADS} | dict(sent.threads)
    process = start_job(
        folder, TrainingJob(sent.step, sent.document, sent.recipe, str(scratch), str(work), inputs), env
    )
    try:
        process.wait()
    finally:  # a task that is cancelled raises here
        end(process)
    found = job_outcome(folder, process.returncode)
    if not isinstance(found, JobDone):
        return _failed(found)
    return SentBack(found.facts, found.seconds, packed(folder / OUTPUT), packed(folder / LOG))


def _failed(error: JessyError) -> SentBack:
    return SentBack(error=(type(error).__name__, error.message, error.hint))


def packed(folder: Path) -> Bytes:
    """Return every file below a folder by its name."""
    return {path.relative_to(folder).as_posix(): fsops.read_bytes(path) for path in fsops.files_under(folder)}


def unpack(files: Bytes, folder: Path) -> None:
    """Write what `packed` gave below a folder."""
    fsops.make_folder(folder)
    for name, data in files.items():
        fsops.make_folder((folder / name).parent)
        fsops.write_bytes(folder / name, data)


def parts(path: Path) -> Iterator[bytes]:
    """Yield a file's bytes a piece at a time."""
    with fsops.opened(path) as handle:
        while data := handle.read(CHUNK):
            yield data


def _unpacked(folder: Path, files: Sequence[SentFile], get: Callable[[Any], bytes]) -> Path:
    """Write an input's files. Raises DamagedError where one is not what was sent."""
    for file in files:
        path = fsops.make_folder((folder / file.name).parent) / Path(file.name).name
        with fsops.atomic_file(path) as handle:
            for part in file.parts:
                handle.write(get(part))
        if fsops.hash_file(path) != file.sha256:
            raise DamagedError(f"`{file.name}` arrived at a worker with other bytes than were sent")
    return folder
