"""How fast a step works, and how long the rest of an apply takes."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from jessyfile.planning.change_text import duration

if TYPE_CHECKING:
    from jessyfile.planning.plan import Plan


@dataclass(slots=True)
class Pace:
    """The pace of one step. Its clock runs from the first unit that it finishes: loading and compiling say nothing of the others."""

    clock: Callable[[], float] = time.monotonic
    done: float = 0.0
    total: float | None = None
    _before: float | None = None
    _start: tuple[float, float] | None = None
    _last: float = 0.0

    def reach(self, done: float, total: float | None) -> None:
        """Take note of how far the step is."""
        behind = done < self.done  # it counts something else from here on
        self._last, self.done, self.total = self.clock(), done, total
        if self._before is None or behind:
            self._before, self._start = done, None
        elif self._start is None and done > self._before:
            self._start = (self._last, done)

    @property
    def rate(self) -> float | None:
        """Units a second; None while nobody can tell."""
        if self._start is None or self._last <= self._start[0]:
            return None
        return (self.done - self._start[1]) / (self._last - self._start[0]) or None

    @property
    def left(self) -> float | None:
        """Seconds that the step still takes; None while nobody can tell."""
        if not self.total or self.total <= self.done or not self.rate:
            return None
        return max(0.0, (self.total - self.done) / self.rate - (self.clock() - self._last))


def overall(plan: Plan | None, place: tuple[int, int], spent: float, left: float | None) -> str:
    """Return where a whole apply is, such as `step 9 of 18 · about 4m left`.

    Args:
        plan: what is applied; None where nothing is known of it.
        place: which step is under way, counted from 1, and how many there are.
        spent: seconds that the step under way has taken.
        left: seconds that it says it still takes, None when it does not say.

    Returns:
        The place, and the time where earlier runs tell it: `more than` where some steps to come were never timed.
    """
    number, total = place
    steps = plan.steps[number - 1 :] if plan is not None else ()
    here, *later = [step.seconds if step.runs else 0.0 for step in steps] or [None]
    now = left if left is not None else None if here is None else max(0.0, here - spent)
    known = [seconds for seconds in (now, *later) if seconds is not None]
    where = f"step {number} of {total}"
    if sum(known) < 1:
        return where
    return f"{where} · {'about' if len(known) == 1 + len(later) else 'more than'} {duration(sum(known))} left"
