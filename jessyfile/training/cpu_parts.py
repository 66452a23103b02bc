"""How an update's rows are cut for the processors: turns of parts that are computed side by side, of about as many tokens each."""

from __future__ import annotations

import math
from collections.abc import Sequence

from jessyfile.training.encoded import Encoded
from jessyfile.training.workers import shares

CPU_TOKENS = (
    480  # of one part: larger ones are hardly faster, and their memory grows by about 1 MB a token (Gemma 3 270M)
)


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
) -> list[list[list[int]]]:
    """Return the parts of a batch, those together that one process computes at once.

    Args:
        rows: the encoded rows.
        batch: the batch's rows.
        workers: how many parts a process computes at once; the first of them computes the prefix too.
        processes: among how many processes the work is divided.
        splits: into how many parts a batch is cut at least.
        unit: how many rows that lie side by side stay together.
    """
    lengths, together = rows.lengths(), workers * processes
    ordered = units_of(rows, batch, unit)
    costs = [int(lengths[one].sum()) for one in ordered]
    groups = processes * max(turns(sum(costs), len(ordered), together), math.ceil(splits / together))
    prefixes = [len(rows.prefix) * (not i % workers) for i in range(groups * workers)]
    parts = [[row for place in part for row in ordered[place]] for part in shares(costs, len(prefixes), prefixes)]
    found = [[part for part in parts[i : i + workers] if part] for i in range(0, len(parts), workers)]
    return [group for group in found if group]
