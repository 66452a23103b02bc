"""One criterion's verdict as numbers, and how numbers of an evaluation are spelled: the only place that does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from jessyfile.language.recipe import Criterion
from jessyfile.language.write_value import spell as as_written

Unit = Literal["share", "seconds"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a criterion wanted, what was measured over `n` cases, and whether that passes.

    `low` and `high` bound the measured value. `baseline` is the value of the base model, or of the start, where it was compared with. `note`
    says what a reader must know besides: too few cases, nothing measured.
    """

    criterion: Criterion
    unit: Unit
    value: float | None
    n: int
    low: float | None
    high: float | None
    passed: bool
    baseline: float | None = None
    note: str = ""

    @property
    def bound(self) -> float | None:
        """The number that the value was compared with."""
        return self.baseline if isinstance(self.criterion.value, str) else self.criterion.value

    @property
    def claim(self) -> str:
        """The criterion as the recipe writes it: `turkish_accuracy > 90% at 95%`."""
        wanted = self.criterion
        value = wanted.value if isinstance(wanted.value, str) else as_written(wanted.value, self.unit, {})
        at = "" if wanted.confidence is None else f" at {wanted.confidence * 100:g}%"
        return f"{wanted.metric} {wanted.comparison} {value}{at}"

    @property
    def measured(self) -> str:
        """What was measured, with its interval and the number of cases: `92.5% [80%, 97.4%] n=40`."""
        interval = "" if self.low is None else f" [{spell(self.low, self.unit)}, {spell(self.high, self.unit)}]"
        return f"{spell(self.value, self.unit)}{interval} n={self.n}"

    @property
    def verdict(self) -> Literal["pass", "fail"]:
        """The verdict in a word."""
        return "pass" if self.passed else "fail"


def spell(value: float | None, unit: Unit) -> str:
    """Return a share as `92.5%`, seconds as `4.2s`; `-` when there is none."""
    if value is None:
        return "-"
    if unit == "share":
        return f"{value * 100:.1f}".removesuffix(".0") + "%"
    return f"{value:.0f}s" if value >= 100 else f"{value:.3g}s"


def chance(p: float) -> str:
    """Return a p-value as readers want it: `= 0.03`, `< 0.001`."""
    return "< 0.001" if p < 0.001 else f"= {p:.2g}"
