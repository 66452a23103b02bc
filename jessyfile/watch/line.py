"""The two status lines of a watch."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from jessyfile.planning.change_text import counted, duration
from jessyfile.text.fit import cells, shortened

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


def lines(
    machine: Machine, recipe: str, files: int, step: ShownStep | None, now: float, width: int | None = None
) -> list[str]:
    """Return the two lines at the bottom of the screen.

    Args:
        machine: the state of the watch.
        recipe: the recipe's name as shown.
        files: how many other files are watched.
        step: the running step with its progress, or None.
        now: the time in seconds since the epoch.
        width: how many columns there are; None for any number.

    Returns:
        What is watched and running; then the waiting change and the keys that work now. Where there is no room for all,
        what is watched and what changed are told in fewer words, never how far the run is, or a key.
    """
    watching, keys = f"watching {recipe} + {counted(files, 'file')} · ", _keys(machine)
    running = _running(machine, step)
    first = _first_fitting([*(f"{watching}{text}" for text in running[: max(1, len(running) - 2)]), *running], width)
    room = None if width is None else width - 3 - len(keys)
    waiting = _first_fitting(_waiting(machine, now), room)
    return [first, f"  {waiting:<{52 if room is None else min(52, room)}} {keys}"]


def _first_fitting(texts: Sequence[str], width: int | None) -> str:
    """Return the first text for which there is room, or else the last cut short."""
    return next((text for text in texts if width is None or cells(text) <= width), shortened(texts[-1], width or 0))


def _running(machine: Machine, step: ShownStep | None) -> list[str]:
    """Return what runs, in ever fewer words."""
    revision = machine.running
    if revision is None:
        return ["paused" if machine.paused else "nothing to do"]
    verb, at = "stopping" if machine.stopping else "running", f" {step}" if step else ""
    about = [shortened(revision.about, room) for room in (len(revision.about), 24, 12)] if revision.about else []
    said = [f"{verb} rev {revision.short} ({text}){at}" for text in about]
    return [*said, f"{verb} rev {revision.short}{at}", f"{verb}{at}"]


def _waiting(machine: Machine, now: float) -> list[str]:
    """Return what waits, in ever fewer words."""
    revision = machine.waiting
    if revision is None:
        return ["waiting for a change" if machine.running is None else ""]
    effect = revision.effect or "no longer what runs"
    held = _held(machine, now)
    return [
        f"change saved {revision.saved} (rev {revision.short}): {effect} · {held}",
        f"rev {revision.short}: {effect} · {held}",
        f"{effect} · {held}",
    ]


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
