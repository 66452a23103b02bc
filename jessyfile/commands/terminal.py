"""How an apply looks while it runs: one live line on a terminal, plain lines elsewhere."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, Self

import click

from jessyfile.commands.plan import show_plan
from jessyfile.errors import Interrupted
from jessyfile.planning.change_text import duration, size
from jessyfile.text.printable import printable

if TYPE_CHECKING:
    from types import TracebackType

    from rich.progress import Progress as Bar
    from rich.progress import TaskID

    from jessyfile.planning.plan import Plan
    from jessyfile.planning.run import StepResult
    from jessyfile.planning.steps import Progress, Step, Stop

Report = Callable[[int, int, str], None]
_EVERY = 10.0


class Drawing(Protocol):
    """What draws the line of the step under way."""

    def begin(self, name: str) -> Progress:
        """Start a step's line and return where the step reports to."""

    def end(self) -> None:
        """Take the line away."""


@dataclass(slots=True)
class PlainLines:
    """For logs and pipes: a line of progress at most every ten seconds, `name 40/120 4.1/s 20s left  text`."""

    clock: float = field(default_factory=time.monotonic)
    name: str = ""
    _start: tuple[float, float] | None = None

    def begin(self, name: str) -> Progress:
        """Start a step."""
        self.name, self.clock, self._start = name, time.monotonic(), None
        return self

    def end(self) -> None:
        """Nothing is to be taken away."""

    def update(self, done: float, total: float | None = None, *, text: str = "") -> None:
        """Print how far the step is, unless it just did."""
        now = time.monotonic()
        if self._start is None:
            self._start = (now, done)
        if now - self.clock >= _EVERY:
            self.clock = now
            click.echo(printable(f"    {self.name} {progress_line(done, total, self._rate(now, done), text)}"))

    def note(self, text: str) -> None:
        """Print the line."""
        click.echo(printable(f"    {text}"))

    def _rate(self, now: float, done: float) -> float | None:
        start, first = self._start or (now, done)
        return (done - first) / (now - start) if now > start and done > first else None


@dataclass(slots=True)
class LiveLine:
    """For a terminal: a bar with rate and time left, redrawn four times a second."""

    bar: Bar
    task: TaskID | None = None
    _start: tuple[float, float] | None = None

    def begin(self, name: str) -> Progress:
        """Start a step's bar."""
        self.task, self._start = self.bar.add_task(printable(name), total=None, line=""), None
        return self

    def end(self) -> None:
        """Take the bar away."""
        if self.task is not None:
            self.bar.remove_task(self.task)
            self.task = None

    def update(self, done: float, total: float | None = None, *, text: str = "") -> None:
        """Move the bar."""
        if self.task is None:
            return
        now = time.monotonic()
        start, first = self._start = self._start or (now, done)
        rate = (done - first) / (now - start) if now > start and done > first else None
        self.bar.update(self.task, completed=done, total=total, line=printable(progress_line(done, total, rate, text)))

    def note(self, text: str) -> None:
        """Print the line above the bar."""
        self.bar.console.print(f"    {printable(text)}", markup=False, highlight=False, soft_wrap=True)


def progress_line(done: float, total: float | None, rate: float | None, text: str) -> str:
    """Return `40/120 4.1/s 20s left  text`, leaving out what is not known.

    Args:
        done: units of work done.
        total: units in all, or None.
        rate: units a second, or None.
        text: what the step is working on.

    Returns:
        One line.
    """
    parts = [f"{done:g}/{total:g}" if total else f"{done:g}"]
    if rate:
        parts.append(f"{rate:.2g}/s" if rate < 100 else f"{rate:.0f}/s")
        if total and total > done:
            parts.append(f"{duration((total - done) / rate)} left")
    return " ".join(parts) + (f"  {text}" if text else "")


class Screen:
    """The observer of `jessy apply`: the plan's short form, a line a step, and what draws the step under way."""

    def __init__(self, *, show: bool = True) -> None:
        self._show = show
        self._bar = _make_bar() if live_terminal() else None
        self._drawing: Drawing = LiveLine(self._bar) if self._bar is not None else PlainLines()

    def __enter__(self) -> Self:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._drawing.end()
        if self._bar is not None:
            self._bar.stop()

    def planned(self, plan: Plan) -> None:
        """Print the plan."""
        if self._show:
            show_plan(plan, short=True)

    def started(self, step: Step, number: int, total: int) -> Progress:
        """Print the step's line."""
        click.echo(printable(f"[{number}/{total}] {step.name}: {step.title}"))
        return self._drawing.begin(step.name)

    def ended(self, result: StepResult) -> None:
        """Print what a step took that ran."""
        self._drawing.end()
        if result.outcome == "ran":
            peak = f", {size(result.peak)}" if result.peak >= 10**9 else ""
            click.echo(printable(f"    {result.name} done in {duration(result.seconds)}{peak}"))

    def note(self, text: str) -> None:
        """Print the line."""
        click.echo(printable(text))


@contextlib.contextmanager
def working(name: str, stop: Stop, *, quiet: bool) -> Iterator[Report]:
    """Yield what work reports to that is no step: units done, units in all, and a name. Raises Interrupted when asked to
    stop.
    """
    bar = _make_bar() if live_terminal() and not quiet else None
    progress = None if quiet else (LiveLine(bar) if bar is not None else PlainLines()).begin(name)

    def report(done: int, total: int, text: str) -> None:
        if stop.requested():
            raise Interrupted("stopped; nothing was written")
        if progress is not None:
            progress.update(done, total or None, text=text)

    with bar or contextlib.nullcontext():
        yield report


def live_terminal() -> bool:
    """Whether standard output is a terminal that can redraw a line."""
    return sys.stdout.isatty() and os.environ.get("TERM", "") not in ("", "dumb")


def _make_bar() -> Bar:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    return Progress(
        TextColumn("   "),
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        TextColumn("{task.fields[line]}", markup=False),
        TimeElapsedColumn(),
        console=Console(),
        transient=True,
        refresh_per_second=4,
    )
