"""How long a loop may take, and how the time is shared among its iterations, so that all of them are spent within it."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

_SOFT = 0.8  # of a draft's time: from there on it ends where a sentence does
_LEAST_PIECES = 32  # a draft is not ended for the sake of others before it says something
_ENDS = (".", "!", "?", "…", "\n", ":", ";")


def _now() -> float:
    return time.perf_counter()


@dataclass(slots=True)
class Clock:
    """The seconds of one loop; `within` is None where they are not bounded."""

    within: float | None = None
    started: float = field(default_factory=_now)

    @property
    def spent(self) -> float:
        """Return the seconds since the loop began."""
        return _now() - self.started

    @property
    def left(self) -> float:
        """Return the seconds that are left, below 0 when they are over."""
        return float("inf") if self.within is None else self.within - self.spent

    def over(self) -> bool:
        """Return whether the time is over."""
        return self.left <= 0


@dataclass(slots=True)
class Share:
    """One draft's part of the time that is left when it begins."""

    clock: Clock
    _began: float = field(init=False)

    def __post_init__(self) -> None:
        self._began = self.clock.spent

    def used_up(self, text: str, pieces: int, after: int) -> bool:
        """Return whether a draft is to end for the sake of those after it: at the end of a sentence when four fifths of its own time are
        over, anywhere when all of it is. The last one is only ended at a sentence.

        Args:
            text: the draft so far.
            pieces: the pieces in which it came.
            after: how many times the engine is asked after it; each is to have as much time.
        """
        if self.clock.within is None or pieces < _LEAST_PIECES:
            return False
        own = (self.clock.within - self._began) / (after + 1)
        spent = self.clock.spent - self._began
        return (after > 0 and spent >= own) or (spent >= _SOFT * own and text.rstrip(" ").endswith(_ENDS))
