"""When, where and from what a run came about, as the run has written it down."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jessyfile.planning.runs import Run


@dataclass(frozen=True, slots=True)
class Origin:
    """When a run began (local time with its offset), on which machine, how many seconds it took, its recipe with every default, and the
    command that began it.

    Words are empty where an older jessy has not written them down.
    """

    began: str
    machine: str
    seconds: float
    recipe: str
    command: str = ""

    @property
    def minute(self) -> str:
        """The day and the minute: `2026-11-27 13:36`."""
        return self.began[:16].replace("T", " ")


def origin_of(run: Run, seconds: float) -> Origin:
    """Return how a run that took so many seconds came about."""
    started = next(iter(run.events()), None)
    return Origin(
        began=started.time if started is not None else "",
        machine=started.machine if started is not None else "",
        seconds=seconds,
        recipe=run.recipe(),
        command=started.command if started is not None else "",
    )
