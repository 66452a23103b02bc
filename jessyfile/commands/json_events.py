"""What `jessy apply --json` prints: one JSON object a line, format 1, for programs that follow an apply."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from jessyfile.errors import JessyError
from jessyfile.text.printable import json_text

if TYPE_CHECKING:
    from jessyfile.planning.plan import Plan
    from jessyfile.planning.run import StepResult
    from jessyfile.planning.steps import Progress, Step

_EVERY = 0.2


@dataclass(slots=True)
class JsonProgress:
    """A step's progress as lines, five a second at most."""

    step: str
    _last: float = 0.0

    def update(self, done: float, total: float | None = None, *, text: str = "") -> None:
        """Write how far the step is, unless it just did."""
        now = time.monotonic()
        if now - self._last >= _EVERY:
            self._last = now
            emit("progress", step=self.step, done=done, total=total, text=text)

    def note(self, text: str) -> None:
        """Write the line."""
        emit("note", step=self.step, text=text)


class JsonLines:
    """The observer of `jessy apply --json`."""

    def planned(self, plan: Plan) -> None:
        """Write the plan."""
        from jessyfile.planning.plan_json import plan_as_json

        emit("planned", plan=plan_as_json(plan))

    def started(self, step: Step, number: int, total: int) -> Progress:
        """Write that a step starts."""
        emit("started", step=step.name, number=number, total=total)
        return JsonProgress(step.name)

    def ended(self, result: StepResult) -> None:
        """Write how a step ended."""
        emit(
            "ended",
            step=result.name,
            outcome=result.outcome,
            object=result.object,
            seconds=result.seconds,
            peak=result.peak,
        )

    def note(self, text: str) -> None:
        """Write the line."""
        emit("note", text=text)


@contextlib.contextmanager
def failure_told() -> Iterator[None]:
    """Write an error of the block as an event, with its stable code, and let it pass."""
    try:
        yield
    except JessyError as error:
        emit("failed", code=error.code, message=error.message, hint=error.hint, exit=error.exit_code)
        raise


def emit(event: str, **values: object) -> None:
    """Write one event."""
    sys.stdout.write(json_text({"format": 1, "event": event, **values}) + "\n")
    sys.stdout.flush()
