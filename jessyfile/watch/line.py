"""The two status lines of a watch."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING

from jessyfile.planning.change_text import duration

if TYPE_CHECKING:
    from jessyfile.watch.machine import Machine

_PERIODS = {60.0: "minute", 3600.0: "hour", 86400.0: "day"}


@dataclass(frozen=True, slots=True)
class ShownStep:
    """How far the running job is: the step's name, its work done and in all, and the seconds it still takes if
    known."""

    name: str
    done: float | None = None
    total: float | None = None
    left: float | None = None

    def __str__(self) -> str:
        parts = [self.name]
        if self.done is not None:
            parts.append(f"{self.done:g}/{self.total:g}" if self.total else f"{self.done:g}")
        return " ".join(parts) + (f" · {duration(self.left)} left" if self.left else "")


def lines(machine: Machine, recipe: str, files: int, step: ShownStep | None, now: float) -> list[str]:
    """Return the two lines at the bottom of the screen.

    Args:
        machine: the state of the watch.
        recipe: the recipe's name as shown.
        files: how many other files are watched.
        step: the running step with its progress, or None.
        now: the time in seconds since the epoch.

    Returns:
        What is watched and running; then the waiting change and the keys that work now.
    """
    head = f"watching {recipe} + {files} file{'s' if files != 1 else ''} · {_running(machine, step)}"
    return [head, f"  {_waiting(machine, now):<52} {_keys(machine)}"]


def _running(machine: Machine, step: ShownStep | None) -> str:
    if machine.running is None:
        return "paused" if machine.paused else "nothing to do"
    verb = "stopping" if machine.stopping else "running"
    return f"{verb} {machine.running}" + (f" {step}" if step else "")


def _waiting(machine: Machine, now: float) -> str:
    revision = machine.waiting
    if revision is None:
        return "waiting for a change" if machine.running is None else ""
    change = f"change saved {revision.saved} (rev {revision.short}): {revision.effect or 'no longer what runs'}"
    return f"{change} · {_held(machine, now)}"


def _held(machine: Machine, now: float) -> str:
    held = machine.held(now)
    if held == "budget":
        free = machine.free_at(now)
        when = (
            f"free at {dt.datetime.fromtimestamp(free).astimezone():%H:%M}" if free != float("inf") else "none allowed"
        )
        return f"budget of {machine.max_retrains} per {_PERIODS.get(machine.per) or duration(machine.per)} used, {when}"
    if held == "asked":
        return "press r to start it"
    return held or "queued"


def _keys(machine: Machine) -> str:
    keys = ["p go on" if machine.paused else "p pause", "q quit"]
    if machine.waiting is not None:
        keys = ["r restart now" if machine.running else "r run now", "s skip", *keys]
    return "  ".join(keys)
