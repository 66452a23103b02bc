"""What stands beside an evaluation's shares: contrasts of good and bad answers, and how good the checks themselves are.

The step that measures contrasts leaves `Contrasts` as `contrast.json` in its result. `data/eval/quality.json` holds the shipped
suites' `ChecksQuality`. The report reads both, and shows no section for one that is not there.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import Literal

ContrastName = Literal["knows", "fits", "voice", "kind"]
CONTRAST_FILE, QUALITY_FILE = "contrast.json", "quality.json"


def wilson(passed: int, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """Return the Wilson score interval of a share (Wilson 1927), two-sided at `confidence`."""
    if n == 0:
        return 0.0, 1.0
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    share, square = passed / n, z * z
    centre = share + square / (2 * n)
    spread = z * math.sqrt(share * (1 - share) / n + square / (4 * n * n))
    scale = 1 + square / n
    return max(0.0, (centre - spread) / scale), min(1.0, (centre + spread) / scale)


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number, and the two ends of its 95 % interval."""

    value: float
    low: float
    high: float

    @classmethod
    def of_share(cls, part: int, whole: int) -> Estimate:
        """Return a share with Wilson's interval."""
        return cls(part / whole, *wilson(part, whole))


@dataclass(frozen=True, slots=True)
class Contrast:
    """In which share of a case's good and bad answers a model finds the good one likelier; 0.5 is chance.

    `before` is the base, `change` the paired difference over the same cases, `served` the candidate's share from the served file's
    own probabilities on `served_cases` of them, `start` the model that training started from and `gain` the paired difference to it;
    each None where it was not measured.
    """

    metric: ContrastName
    cases: int
    pairs: int
    after: Estimate
    before: Estimate | None = None
    change: Estimate | None = None
    served: Estimate | None = None
    served_cases: int = 0
    start: Estimate | None = None
    gain: Estimate | None = None


@dataclass(frozen=True, slots=True)
class Contrasts:
    """Every contrast that was measured; `note` says what a reader must know besides."""

    figures: tuple[Contrast, ...]
    note: str = ""
    format: Literal[1] = 1


@dataclass(frozen=True, slots=True)
class CheckQuality:
    """How good a suite's checks are: of the answers that they accept, the share that is good (`precision`), and of the good ones,
    the share that they accept (`recall`), over `answers` known to be good or bad.
    """

    suite: str
    answers: int
    precision: Estimate | None
    recall: Estimate | None


@dataclass(frozen=True, slots=True)
class ChecksQuality:
    """The checks of every suite that was measured; `measured` says on what, in a sentence."""

    suites: tuple[CheckQuality, ...]
    measured: str = ""
    format: Literal[1] = 1
