"""The folder of a run: `.jessy/runs/<number>/` with events.jsonl, plan.json, log.txt and result.json."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from jessyfile import fsops
from jessyfile.errors import ProjectError, StateError
from jessyfile.planning.canonical import normal
from jessyfile.project import runs_folder
from jessyfile.results.typed_json import Record, load_as, read_as
from jessyfile.text.json_lines import read_log
from jessyfile.text.printable import json_text

if TYPE_CHECKING:
    from pathlib import Path


RESULT = "result.json"
VALUES = "values.json"
RECIPE = "recipe.jessy"


@dataclass(frozen=True, slots=True)
class RunEvent:
    """One line of events.jsonl: when, what, and the values that its kind has."""

    time: str
    event: str
    name: str = ""
    step: str = ""
    object: str = ""
    seconds: float = 0.0
    peak: int = 0
    message: str = ""
    recipe: str = ""
    command: str = ""
    machine: str = ""


@dataclass(frozen=True, slots=True)
class RecordedStep:
    """One step of a run that ended, with the values that it was made from."""

    name: str
    outcome: str
    object: str
    facts: Record
    seconds: float
    peak: int
    parameters: Record


@dataclass(frozen=True, slots=True)
class RunRecord:
    """`result.json`: what a run that ended has brought about; before format 2 it had no number."""

    name: str
    seconds: float
    withheld: str | None
    exit: int
    steps: tuple[RecordedStep, ...]
    format: int = 1


@dataclass(frozen=True, slots=True)
class RunValues:
    """`values.json`: what the recipe said when the run began, and where each value was written: nowhere for a default."""

    values: Record
    sources: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Run:
    """One run's number and folder."""

    number: int
    folder: Path

    def event(self, kind: str, **values: object) -> None:
        """Add one line to events.jsonl and, readably, to log.txt."""
        time = now()
        fsops.append_line(
            self.folder / "events.jsonl",
            json_text({"time": time, "event": kind, **normal(values)}),
        )
        fsops.append_line(
            self.folder / "log.txt",
            f"{time} {kind} " + " ".join(f"{key}={_short(value)}" for key, value in values.items()),
        )

    def write(self, name: str, body: object) -> None:
        """Write one JSON file into the folder."""
        fsops.write_text(
            self.folder / name, json.dumps(normal(body), ensure_ascii=False, indent=1, sort_keys=True) + "\n"
        )

    def recipe(self) -> str:
        """Return the recipe that the run was made from, flattened; empty where it was not written down."""
        try:
            return fsops.read_bytes(self.folder / RECIPE).decode("utf-8", "replace")
        except FileNotFoundError:
            return ""

    def result(self) -> RunRecord | None:
        """Return what the run has brought about; None when it did not end, or the file is damaged."""
        try:
            return load_as(RunRecord, self.folder / RESULT)
        except (FileNotFoundError, StateError):
            return None

    def values(self) -> RunValues | None:
        """Return what the recipe said; None for a run of an older jessy, or when the file is damaged."""
        try:
            return load_as(RunValues, self.folder / VALUES)
        except (FileNotFoundError, StateError):
            return None

    def events(self) -> Iterator[RunEvent]:
        """Yield the run's events in order; a line torn by a crash is passed over."""
        for line in read_log(self.folder / "events.jsonl"):
            with contextlib.suppress(StateError):
                yield read_as(RunEvent, line, "an event")


def new_run(root: Path) -> Run:
    """Create the folder of the next run; the caller holds the project's lock."""
    number = max((run.number for run in all_runs(root)), default=0) + 1
    return Run(number, fsops.make_folder(runs_folder(root) / str(number)))


def all_runs(root: Path) -> list[Run]:
    """Return every run under a root, oldest first."""
    folder = runs_folder(root)
    names = os.listdir(folder) if folder.is_dir() else []
    return [
        Run(number, folder / str(number))
        for number in sorted(int(name) for name in names if name.isascii() and name.isdigit())
    ]


def find_run(root: Path, number: str) -> Run:
    """Return the run of a number as the user types it. Raises ProjectError when there is none."""
    for run in all_runs(root):
        if str(run.number) == number:
            return run
    raise ProjectError(f"there is no run {number}", hint="`jessy history` lists them")


def now() -> str:
    """Return the local time in ISO 8601 with its offset, to the second."""
    return dt.datetime.now(dt.UTC).astimezone().isoformat(timespec="seconds")


def _short(value: object) -> str:
    text = json.dumps(value, ensure_ascii=True, default=str)
    return text if len(text) <= 200 else text[:197] + "..."
