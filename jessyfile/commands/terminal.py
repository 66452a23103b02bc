"""How an apply looks while it runs: a live line on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import click

from jessyfile.commands.common import printable
from jessyfile.commands.plan import show_plan
from jessyfile.planning.spell import duration

if TYPE_CHECKING:
    from types import TracebackType

    from jessyfile.planning.plan import Plan
    from jessyfile.planning.run import StepResult
    from jessyfile.planning.steps import Progress, Step

_EVERY = 10.0


@dataclass(slots=True)
class PlainProgress:
    """A line every ten seconds at most."""

    name: str
    _last: float = 0.0

    def update(self, done: float, total: float | None = None, *, text: str = "") -> None:
        """Print how far the step is, unless it just did."""
        now = time.monotonic()
        if not self._last:
            self._last = now
        if now - self._last < _EVERY:
            return
        self._last = now
        share = f"{done:g}/{total:g}" if total else f"{done:g}"
        click.echo(printable(f"    {self.name} {share} {text}".rstrip()))

    def note(self, text: str) -> None:
        """Print the line."""
        click.echo(printable(f"    {text}"))


class Screen:
    """The observer of `jessy apply`."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def planned(self, plan: Plan) -> None:
        """Print the plan."""
        show_plan(plan, short=True)

    def started(self, step: Step, number: int, total: int) -> Progress:
        """Print the step's line."""
        click.echo(printable(f"[{number}/{total}] {step.name}: {step.does}"))
        return PlainProgress(step.name)

    def ended(self, result: StepResult) -> None:
        """Print how long a step took that ran."""
        if result.outcome == "ran":
            click.echo(printable(f"    {result.name} done in {duration(result.seconds)}"))

    def note(self, text: str) -> None:
        """Print the line."""
        click.echo(printable(text))
