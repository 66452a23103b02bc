"""How an update's rows are cut for the processors: turns of parts that are computed side by side, of about as many tokens each."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

from jessyfile.training.encoded import Encoded
from jessyfile.training.workers import shares

CPU_TOKENS = (
    480  # of one part: larger ones are hardly faster, and their memory grows by about 1 MB a token (Gemma 3 270M)
)


@dataclass(frozen=True, slots=True)
class PartRows:
    """Rows that one worker computes, and which tokens of their prefix it computes for all beside it."""

    rows: list[int]
    own: range


def turns(tokens: int, rows: int, together: int) -> int:
    """Return how often as many parts as are computed at once must be computed one after the other; never more than rows allow."""
    return max(1, min(math.ceil(tokens / (CPU_TOKENS * together)), math.ceil(rows / together)))


def units_of(rows: Encoded, chosen: Sequence[int], unit: int) -> list[list[int]]:
    """Return rows in whole units of so many that lie side by side, the shortest first."""
    lengths = rows.lengths()
    units = [list(chosen[start : start + unit]) for start in range(0, len(chosen), unit)]
    return sorted(units, key=lambda one: (int(lengths[one].sum()), one))


def cut(
    rows: Encoded, batch: Sequence[int], workers: int, processes: int, splits: int, unit: int = 1
) -> list[list[PartRows]]:
    """Return the parts of a batch, those together that one process computes at once.

    Args:
        rows: the encoded rows.
        batch: the batch's rows.
        workers: how many parts a process computes at once.
        processes: among how many processes the work is divided.
        splits: into how many parts a batch is cut at least.
        unit: how many rows that lie side by side stay together.
    """
    lengths, together = rows.lengths(), workers * processes
    ordered = units_of(rows, batch, unit)
    costs = [int(lengths[one].sum()) for one in ordered]
    groups = processes * max(turns(sum(costs), len(ordered), together), math.ceil(splits / together))
    parts = [[row for place in part for row in ordered[place]] for part in shares(costs, groups * workers)]
    found = [[part for part in parts[i : i + workers] if part] for i in range(0, len(parts), workers)]
    return [_with_prefix(rows, group) for group in found if group]


def _with_prefix(rows: Encoded, group: Sequence[list[int]]) -> list[PartRows]:
    """Share out the prefix's tokens, its last not counted, each to the part that has the fewest."""
    lengths, shared = rows.lengths(), max(len(rows.prefix) - 1, 0)
    loads = [int(lengths[part].sum()) for part in group]
    own = [0] * len(group)
    for _ in range(shared):
        least = min(range(len(group)), key=lambda part: loads[part] + own[part])
        own[least] += 1
    ends = accumulate(own, initial=0)
    return [PartRows(part, range(*span)) for part, span in zip(group, pairwise(ends), strict=True)]
