"""The decisions of a watch about changes, keys and ended jobs. Pure functions: time comes in as a number, actions go
out as values."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from jessyfile.planning.effects import Effect

OnChange = Literal["queue", "restart", "ask"]
Outcome = Literal["done", "withheld", "failed", "interrupted", "stale"]
KEYS = "rspq"


@dataclass(frozen=True, slots=True)
class Revision:
    """One content of the recipe and its files. `effect` is None when the model is as this revision says.

    id      the hash over what every step reads; people are shown its first letters
    about   what changed, in a few words
    saved   local time of day, `14:02`
    """

    id: str
    effect: Effect | None
    about: str
    saved: str

    @property
    def short(self) -> str:
        """The id as people read it."""
        return self.id[:4]

    def __str__(self) -> str:
        return f"rev {self.short}" + (f" ({self.about})" if self.about else "")


@dataclass(frozen=True, slots=True)
class Start:
    """Apply this revision."""

    revision: Revision


@dataclass(frozen=True, slots=True)
class EndRun:
    """Ask the running job to save and stop."""


@dataclass(frozen=True, slots=True)
class LookAgain:
    """Plan again: what was waiting was planned before the job changed the state."""


@dataclass(frozen=True, slots=True)
class Quit:
    """End the watch."""


Deed = Start | EndRun | LookAgain | Quit


@dataclass(slots=True)
class Machine:
    """What runs, what waits, and why.

    `max_retrains` is how many retrains may start within `per` seconds (None: no limit). A revision that ended, well or
    badly, is not started again until another one came between.
    """

    on_change: OnChange = "queue"
    max_retrains: int | None = None
    per: float = 86400.0
    running: Revision | None = None
    waiting: Revision | None = None
    paused: bool = False
    stopping: bool = False
    quitting: bool = False
    ended: str | None = None
    granted: str | None = None
    starts: list[float] = field(default_factory=list)

    def saved(self, revision: Revision, now: float) -> list[Deed]:
        """Take note of the newest content; it takes the place of whatever waited."""
        if (self.running is not None and revision.id == self.running.id) or (
            self.running is None and (revision.effect is None or revision.id == self.ended)
        ):
            self.waiting = None
        else:
            self.waiting = revision
            self.ended = self.ended if revision.id == self.ended else None
        return self.tick(now)

    def finished(self, outcome: Outcome, now: float) -> list[Deed]:
        """Take note that the job ended. What waited is planned anew before it starts."""
        if self.running is not None and outcome not in ("interrupted", "stale"):
            self.ended = self.running.id
        self.running, self.stopping = None, False
        if self.quitting:
            return [Quit()]
        if self.waiting is not None or outcome == "stale":
            self.waiting = None
            return [LookAgain()]
        return self.tick(now)

    def key(self, key: str, now: float) -> list[Deed]:
        """Do what a key asks: r run the waiting change now, s skip it, p pause or go on, q quit."""
        if key == "p":
            self.paused = not self.paused
        elif key == "s" and self.waiting is not None:
            self.ended, self.waiting = self.waiting.id, None
        elif key == "q":
            return self._quit()
        elif key == "r" and self.waiting is not None:
            self.granted, self.paused = self.waiting.id, False
            if self.running is not None:
                return self._stop()
        return self.tick(now)

    def tick(self, now: float) -> list[Deed]:
        """Start what waits, when nothing holds it."""
        if self.waiting is None or self.quitting:
            return []
        if self.running is not None:
            return self._stop() if self.on_change == "restart" else []
        if self.held(now):
            return []
        self.running, self.waiting = self.waiting, None
        if self.running.effect == "retrain":
            self.starts.append(now)
        return [Start(self.running)]

    def held(self, now: float) -> str | None:
        """Say what holds the waiting change: `paused`, `asked`, `budget`, or None."""
        if self.waiting is None:
            return None
        if self.paused:
            return "paused"
        if self.waiting.effect != "retrain":
            return None
        if self.on_change == "ask" and self.granted != self.waiting.id:
            return "asked"
        return "budget" if self.free_at(now) > now else None

    def free_at(self, now: float) -> float:
        """Return when the next retrain may start; `now` or earlier when it may at once."""
        if self.max_retrains is None:
            return now
        recent = [start for start in self.starts if start > now - self.per]
        if len(recent) < self.max_retrains:
            return now
        return recent[-self.max_retrains] + self.per if self.max_retrains else float("inf")

    def _stop(self) -> list[Deed]:
        if self.stopping:
            return []
        self.stopping = True
        return [EndRun()]

    def _quit(self) -> list[Deed]:
        self.quitting = True
        return self._stop() if self.running is not None else [Quit()]
