"""How long a step takes and how much memory it needs, from earlier runs on this machine.

Without a measurement there is a range of seconds by sizes at most (`Step.estimate`).
Memory may also follow from sizes alone (`Step.peak`): a measurement then
corrects what they say, so that it counts for other sizes too.
"""

from __future__ import annotations

import os
import platform
import statistics
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from jessyfile import fsops
from jessyfile.planning.canonical import digest, sealed, unsealed
from jessyfile.planning.graph import needs
from jessyfile.project import jessy_folder

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from jessyfile.language.recipe import Recipe
    from jessyfile.planning.steps import Step
    from jessyfile.results.typed_json import Record

_KEPT = 20
_RECENT = 5
_APART = 1.5
Between = tuple[float, float]  # the seconds at best and at worst


@dataclass(frozen=True, slots=True)
class Forecast:
    """Seconds and peak bytes of memory that a step is expected to take, None where they are unknown; `runs` is how many
    earlier runs say so, `sized` the peak by sizes alone, `between` the seconds where sizes alone tell them.
    """

    seconds: float | None
    peak: int | None
    runs: int
    sized: int | None = None
    between: Between | None = None


@dataclass(frozen=True, slots=True)
class Timing:
    """One measured run. `units` is the step's amount of work (None: it has no unit), `base` the base model where it
    matters, `sized` the peak that sizes alone had said (None: nothing).
    """

    seconds: float
    peak: int
    units: float | None
    base: str | None
    sized: int | None = None


@dataclass(slots=True)
class Timings:
    """Measured runs of this machine by step, newest last; other machines' are kept and not used."""

    root: Path
    body: dict[str, Any]

    def of(self, step: str) -> list[Timing]:
        """Return the measured runs of a step on this machine."""
        rows = self._mine().get(_family(step), [])
        return [
            Timing(float(row["seconds"]), int(row["peak"]), row["units"], row["base"], row.get("sized")) for row in rows
        ]

    def full_run(self, recipe: str) -> float | None:
        """Return the seconds of the last run on this machine in which every step of the recipe ran; None when there
        was none."""
        found = self._mine().get("", {}).get(recipe)
        return float(found) if found is not None else None

    def add(self, step: str, timing: Timing) -> None:
        """Keep one measurement, dropping the oldest beyond twenty."""
        rows = self._mine().setdefault(_family(step), [])
        rows.append({name: getattr(timing, name) for name in timing.__slots__})
        del rows[:-_KEPT]

    def add_full_run(self, recipe: str, seconds: float) -> None:
        """Keep the seconds of a run in which every step ran."""
        self._mine().setdefault("", {})[recipe] = seconds

    def save(self) -> None:
        """Write the measurements."""
        fsops.write_text(_file(self.root), sealed(self.body))

    def _mine(self) -> dict[str, Any]:
        found: dict[str, Any] = self.body.setdefault(machine(), {})
        return found


@dataclass(slots=True)
class Forecaster:
    """Forecasts for one recipe's steps."""

    timings: Timings
    recipe: Recipe
    root: Path
    steps: Sequence[Step]
    _with_base: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._with_base = {step.name for step in self.steps if "base" in needs(self.steps, [step.name])}

    def of(
        self, step: Step, kept: Mapping[str, Record], sized: int | None = None, between: Between | None = None
    ) -> Forecast | None:
        """Return what a run of this step should take, or None when nothing is known.

        Args:
            step: the step.
            kept: the facts of those inputs that stay as they are.
            sized: its peak by sizes alone, where these are known.
            between: its seconds by sizes alone.
        """
        base = self.base_of(step)
        rows = [row for row in self.timings.of(step.timed_as or step.name) if row.base == base][-_RECENT:]
        if not rows:
            return Forecast(None, sized, 0, sized, between) if sized or between else None
        return Forecast(_seconds(rows, self.units(step, kept)), _peak(rows, sized), len(rows), sized)

    def units(self, step: Step, kept: Mapping[str, Record]) -> float | None:
        """Return how much work a run of the step is, None when it has no unit."""
        return step.units(self.recipe, self.root, kept) if step.units else None

    def base_of(self, step: Step) -> str | None:
        """Return the base model when the step's cost depends on it."""
        return self.recipe.base if step.name in self._with_base else None

    def last_full_run(self) -> float | None:
        """Return the seconds of this recipe's last full run on this machine."""
        return self.timings.full_run(self.recipe.name)


def _peak(rows: Sequence[Timing], sized: int | None) -> int | None:
    """Return the highest measured peak, each scaled by how sizes have changed since, where both are known."""
    peaks = [row.peak * sized // row.sized if sized and row.sized else row.peak for row in rows if row.peak]
    return max(peaks, default=sized)


def _seconds(rows: Sequence[Timing], planned: float | None) -> float:
    measured = [(row.units, row.seconds) for row in rows if row.units]
    if measured and planned is not None:
        return _scaled(measured, planned)
    return statistics.median(row.seconds for row in rows)


def _scaled(measured: Sequence[tuple[float, float]], planned: float) -> float:
    """Return the seconds for `planned` units from measured (units, seconds).

    Runs of clearly different size tell what a run costs before its first unit (loading, compiling): a line is laid
    through them. Runs of one size do not, and their rate is taken.
    """
    sizes = [units for units, _ in measured]
    if max(sizes) >= _APART * min(sizes):
        slope, start = statistics.linear_regression(sizes, [seconds for _, seconds in measured])
        if slope > 0 and start >= 0:
            return start + slope * planned
    return statistics.median(seconds / units for units, seconds in measured) * planned


def load_timings(root: Path) -> Timings:
    """Read the measurements; damaged ones count as none, for nothing but a forecast hangs on them."""
    try:
        body = unsealed(fsops.read_bytes(_file(root)))
    except FileNotFoundError:
        body = None
    return Timings(root, body or {})


def machine() -> str:
    """Return a name for this machine's speed: host, system, processor and core count, hashed."""
    return digest([platform.node(), platform.system(), platform.machine(), os.cpu_count()])[:16]


def _file(root: Path) -> Path:
    return jessy_folder(root) / "timings.json"


def _family(step: str) -> str:
    # categories come and go and cost alike for each row, so they share one history
    return step.partition(".")[0]
