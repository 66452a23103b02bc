"""No file of a base, however damaged, does more than end in one error: three thousand mutants here, a million in `make stress`.

JESSY_FUZZ says how many, or which (`400000-1000000`). A number that fails once fails everywhere,
and is looked at again with `python tests/hostile/mutant_runs.py NUMBER-NUMBER+1`.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from mutant_runs import judged

MOST_SECONDS, MOST_BYTES = 2.0, 700 << 20


def asked() -> tuple[int, int]:
    first, dash, last = os.environ.get("JESSY_FUZZ", "1000").rpartition("-")
    return (int(first), int(last)) if dash else (0, int(last))


def test_every_mutant_of_a_base_is_refused_in_one_sentence_or_can_be_trained():
    """Signals, panics of a library in Rust, exceptions of any kind, hangs: all of them once came from one file."""
    tally = judged(*asked())
    print(tally)
    assert not tally.faults, "\n\n".join(tally.faults[:10])
    assert tally.ends["passed"] > 0.05 * sum(tally.ends.values()), "hardly any mutant got past the first check"
    assert tally.ends["refused"] > 0.3 * sum(tally.ends.values()), "hardly any mutant was wrong"
    assert tally.slowest[0] < MOST_SECONDS
    assert tally.largest[0] < MOST_BYTES
