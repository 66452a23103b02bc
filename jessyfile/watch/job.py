"""One `jessy apply` in a process of its own: what kills it does not kill the watch, and its memory goes back when it
ends."""

from __future__ import annotations

import json
import signal
import subprocess
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import IO

from jessyfile.errors import StateError
from jessyfile.planning.pace import Pace
from jessyfile.results.typed_json import read_as
from jessyfile.watch.line import ShownStep

_KEPT_LINES = 20


@dataclass(frozen=True, slots=True)
class JobFailure:
    """Why an apply failed, by the error's stable code."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class JobEvent:
    """One line of `jessy apply --json`, as far as a watch reads it."""

    event: str
    step: str = ""
    done: float = 0.0
    total: float | None = None
    withheld: str | None = None
    report: str | None = None
    code: str = ""
    message: str = ""


class Job:
    """A running apply that prints its events as JSON lines; `told` is called from another thread at each, and at its
    end."""

    def __init__(self, command: Sequence[str], told: Callable[[], None]) -> None:
        self._told = told
        self.step: ShownStep | None = None
        self.withheld: str | None = None
        self.report: str | None = None
        self.failure: JobFailure | None = None
        self.errors: list[str] = []
        self.code: int | None = None
        self._pace = Pace()
        # a group of its own: Ctrl-C in the terminal is the watch's to hear, which then asks the job to stop
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,
        )
        readers = ((self._process.stdout, self._event), (self._process.stderr, self._error))
        self._threads = [threading.Thread(target=self._read, args=pair, daemon=True) for pair in readers]
        for thread in self._threads:
            thread.start()
        self._waiter = threading.Thread(target=self._wait, daemon=True)
        self._waiter.start()

    def stop(self) -> None:
        """Ask it to save and stop."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)

    def join(self) -> int:
        """Wait for its end; return its exit code."""
        self._waiter.join()
        return self._process.wait()

    def _read(self, stream: IO[str], take: Callable[[str], None]) -> None:
        for line in stream:
            take(line.rstrip("\n"))
            self._told()

    def _wait(self) -> None:
        for thread in self._threads:
            thread.join()
        for stream in (self._process.stdout, self._process.stderr):
            if stream is not None:
                stream.close()
        self.code = self._process.wait()
        self._told()

    def _event(self, line: str) -> None:
        try:
            event = read_as(JobEvent, json.loads(line), "a line of the job")
        except (ValueError, StateError):
            return
        if event.event == "started":
            self.step, self._pace = ShownStep(event.step), Pace()
        elif event.event == "progress":
            self.step = self._progress(event)
        elif event.event == "done":
            self.withheld, self.report, self.step = event.withheld, event.report, None
        elif event.event == "failed":
            self.failure = JobFailure(event.code, event.message)

    def _progress(self, event: JobEvent) -> ShownStep:
        self._pace.reach(event.done, event.total)
        return ShownStep(event.step, event.done, event.total, self._pace.left)

    def _error(self, line: str) -> None:
        self.errors = [*self.errors, line][-_KEPT_LINES:]
