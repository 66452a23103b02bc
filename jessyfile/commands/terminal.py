"""How an apply looks while it runs: two live lines on a terminal, plain lines elsewhere."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, Self

from jessyfile.commands.made import WITHHELD, made
from jessyfile.commands.plan import show_plan
from jessyfile.commands.say import say
from jessyfile.errors import Interrupted
from jessyfile.planning.change_text import duration, size
from jessyfile.planning.pace import Pace, overall
from jessyfile.text.fit import cells, folded, shortened
from jessyfile.text.printable import printable

if TYPE_CHECKING:
    from types import TracebackType

    from rich.console import Console, RenderableType
    from rich.live import Live

    from jessyfile.planning.plan import Plan
    from jessyfile.planning.run import StepResult
    from jessyfile.planning.steps import Progress, Step, Stop

Report = Callable[[int, int, str], None]
Place = tuple[int, int] | None  # which step of how many; None for work that is no step
_EVERY = 10.0
_STOPPING = "stopping after this step of work; once more stops at once"


class Drawing(Protocol):
    """What draws the step under way."""

    def begin(self, name: str, title: str, place: Place) -> Progress:
        """Start a step and return where it reports to."""

    def end(self, name: str, told: str, cost: str) -> None:
        """Leave what the step has made, and what it took."""

    def note(self, text: str) -> None:
        """Leave a line."""


@dataclass(slots=True)
class PlainLines:
    """For logs and pipes: a line of progress at most every ten seconds, `name 40/120 20s left  text  4.1/s`."""

    clock: float = field(default_factory=time.monotonic)
    name: str = ""
    pace: Pace = field(default_factory=Pace)

    def begin(self, name: str, title: str, place: Place) -> Progress:
        """Print the step's line."""
        if place is not None:
            say(f"[{place[0]}/{place[1]}] {name}: {title}")
        self.name, self.clock, self.pace = name, time.monotonic(), Pace()
        return self

    def end(self, name: str, told: str, cost: str) -> None:
        """Print the step's end."""
        say(f"    {name} done in {cost}{f': {told}' if told else ''}")

    def update(self, done: float, total: float | None = None, *, text: str = "") -> None:
        """Print how far the step is, unless it just did."""
        self.pace.reach(done, total)
        if time.monotonic() - self.clock >= _EVERY:
            self.clock = time.monotonic()
            say(f"    {self.name} {progress_line(self.pace, text)}")

    def note(self, text: str) -> None:
        """Print the line."""
        say(f"    {text}")


@dataclass(slots=True)
class LiveLines:
    """For a terminal: the step under way with its bar, and where the whole is; gone when the step ends, which leaves one line."""

    console: Console
    clock: Callable[[], float] = time.monotonic
    live: Live = field(init=False)
    plan: Plan | None = None
    stopping: bool = False
    _name: str = ""
    _place: Place = None
    _text: str = ""
    _pace: Pace = field(default_factory=Pace)
    _since: float = 0.0

    def __post_init__(self) -> None:
        from rich.live import Live
        from rich.spinner import Spinner

        spinner = Spinner("dots")
        self.live = Live(
            get_renderable=lambda: self._drawn(spinner),
            console=self.console,
            transient=True,
            refresh_per_second=4,
        )

    def begin(self, name: str, title: str, place: Place) -> Progress:
        """Draw the step's lines."""
        self._name, self._place, self._text = printable(name), place, printable(title)
        self._pace, self._since = Pace(self.clock), self.clock()
        return self

    def end(self, name: str, told: str, cost: str) -> None:
        """Take the live lines away and leave one."""
        from rich.text import Text

        self._name = ""
        mark, colour = (
            ("!", "yellow")
            if told.startswith(WITHHELD)
            else ("✓" if self.console.encoding.startswith("utf") else "+", "green")
        )
        names = [len(step.name) for step in self.plan.steps if step.runs] if self.plan else []
        named, room = f"{printable(name):<{max([0, *names])}}", max(8, self.console.width - cells(cost) - 5)
        line = shortened(f"{named}  {printable(told)}" if told else named, room)
        self.console.print(Text.assemble((mark, colour), f" {line}  {cost}"), no_wrap=True, overflow="ignore")

    def update(self, done: float, total: float | None = None, *, text: str = "") -> None:
        """Take note of how far the step is; it is drawn four times a second."""
        self._pace.reach(done, total)
        self._text = printable(text) or self._text

    def note(self, text: str) -> None:
        """Print the line above the live ones."""
        from rich.text import Text

        for line in folded(f"    {printable(text)}", self.console.width):
            self.console.print(Text(line), soft_wrap=True)

    def stop(self) -> None:
        """Show that a stop was asked for; a signal's handler may do no more than that."""
        self.stopping = True

    def _drawn(self, spinner: RenderableType) -> RenderableType:
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        if not self._name:
            return Text("")
        wide, spent = self.console.width - 1, self.clock() - self._since
        name, bar = shortened(self._name, wide // 3), min(24, wide // 7)
        line = Table.grid(padding=(0, 1, 0, 0))
        known = ProgressBar(self._pace.total, self._pace.done, bar, pulse=self._pace.total is None)
        said = progress_line(self._pace, self._text, wide - bar - cells(name) - 6, spent)
        line.add_row(spinner, Text(name), known, Text(said, no_wrap=True))
        if self._place is None:
            return line
        where = overall(self.plan, self._place, spent, self._pace.left)
        below = Table.grid()
        below.add_row(line)
        below.add_row(
            Text(f"  {_STOPPING if self.stopping else where}", style="dim", no_wrap=True, overflow="ellipsis")
        )
        return below


def progress_line(pace: Pace, text: str, width: int | None = None, spent: float | None = None) -> str:
    """Return `40/120 · 20s left · text · 4.1/s`, leaving out what is not known.

    Args:
        pace: how far the step is, and how fast it works.
        text: what the step is working on, or its figures with ` · ` between them, what matters most first.
        width: how many columns there are; what stands last is left out first, never the time left.
        spent: seconds that the step has taken, told while nobody knows how many are left.

    Returns:
        One line.
    """
    counted = [f"{pace.done:g}/{pace.total:g}"] if pace.total else [f"{pace.done:g}"] if pace.done else []
    left = f"{duration(pace.left)} left" if pace.left is not None else duration(spent) if spent else ""
    rate = pace.rate
    speed = f"{rate:.2g}/s" if rate and rate < 100 else f"{rate:.0f}/s" if rate else ""
    line = " · ".join(part for part in (*counted, left) if part)
    for part in (*text.split(" · "), speed):
        longer = " · ".join(one for one in (line, part) if one)
        if width is not None and cells(longer) > width:
            break
        line = longer
    return line


class Screen:
    """The observer of `jessy apply`: the plan's short form, a line a step, and what draws the step under way."""

    def __init__(self, *, show: bool = True) -> None:
        self._show = show
        self._live = _live_lines() if live_terminal() else None
        self._drawing: Drawing = self._live or PlainLines()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.live.stop()

    @property
    def heard(self) -> Callable[[], None] | None:
        """What shows that a stop was asked for; None where a plain line does."""
        return self._live.stop if self._live is not None else None

    def planned(self, plan: Plan) -> None:
        """Print the plan."""
        if self._show:
            show_plan(plan, short=True)
        if self._live is not None:
            self._live.plan = plan
            self._live.live.start()

    def started(self, step: Step, number: int, total: int) -> Progress:
        """Draw the step's start."""
        return self._drawing.begin(step.name, step.title, (number, total))

    def ended(self, result: StepResult) -> None:
        """Leave a line of a step that ran."""
        if result.outcome == "ran":
            peak = f", {size(result.peak)}" if result.peak >= 10**9 else ""
            cost = f"{duration(result.seconds)}{peak}"
            self._drawing.end(result.name, made(result.name, result.facts), cost)

    def note(self, text: str) -> None:
        """Leave the line."""
        self._drawing.note(text)


@contextlib.contextmanager
def working(name: str, stop: Stop, *, quiet: bool) -> Iterator[Report]:
    """Yield what work reports to that is no step: units done, units in all, and a name. Raises Interrupted when asked to
    stop.
    """
    live = _live_lines() if live_terminal() and not quiet else None
    progress = None if quiet else (live or PlainLines()).begin(name, "", None)

    def report(done: int, total: int, text: str) -> None:
        if stop.requested():
            raise Interrupted("stopped; nothing was written")
        if progress is not None:
            progress.update(done, total or None, text=text)

    with live.live if live is not None else contextlib.nullcontext():
        yield report


def live_terminal() -> bool:
    """Whether standard output is a terminal that can redraw a line."""
    return sys.stdout.isatty() and os.environ.get("TERM", "") not in ("", "dumb")


def _live_lines() -> LiveLines:
    from rich.console import Console

    return LiveLines(Console(highlight=False))
