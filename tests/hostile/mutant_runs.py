"""Judge mutants in a process of their own and hear how each ended, also when that process dies of a signal or hangs.

    python tests/hostile/mutant_runs.py 0-200000

prints every fault with its number, what was done and how it ended. The same number makes the same mutant again, so that a run that was
stopped goes on from the last number printed, and several run side by side on ranges of their own.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROAD = Path(__file__).with_name("mutant_road.py")
EACH = 5000  # mutants for one process: MLX keeps something of every model that was loaded
SILENCE = 60.0  # seconds of the clock for one mutant; those of the processor are limited in the process itself


@dataclass
class Tally:
    """What a run of mutants found."""

    faults: list[str] = field(default_factory=list)
    ends: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    slowest: tuple[float, int] = (0.0, -1)
    largest: tuple[int, int] = (0, -1)

    def __str__(self) -> str:
        count = sum(self.ends.values()) or 1
        return (
            f"{count} mutants ({', '.join(f'{n} {end}' for end, n in sorted(self.ends.items()))}), {self.seconds / count * 1000:.1f} ms each, "
            f"the slowest {self.slowest[0]:.2f} s (number {self.slowest[1]}), the largest {self.largest[0] >> 20} MiB (number {self.largest[1]})"
        )


def judged(first: int, last: int, *, loud: bool = False) -> Tally:
    """Judge the mutants from `first` up to but not including `last`."""
    tally = Tally()
    while first < last:
        first = _one_process(first, min(last, first + EACH), tally, loud)
    return tally


def _one_process(first: int, last: int, tally: Tally, loud: bool) -> int:
    """Judge until the end, or until the process dies; return the number to go on with."""
    threads = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "RAYON_NUM_THREADS"), "1")
    quiet = {"RUST_BACKTRACE": "0", "TOKENIZERS_PARALLELISM": "false"}
    root = str(ROAD.parents[2])
    paths = {"PYTHONPATH": os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))}
    command = [sys.executable, str(ROAD), str(first), str(last)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ, **threads, **quiet, **paths}
    ) as child:
        begun = {}
        for heard in _lines(child):
            if "outcome" not in heard:
                begun = heard
                continue
            _count(tally, begun, heard, loud)
            begun = {}
        child.kill()
        said = child.stderr.read().decode(errors="replace")[-2000:] if child.stderr else ""
    if not begun and child.returncode != 0 and child.returncode != -9:
        raise RuntimeError(f"no mutant was judged: {said}")
    if begun:
        ended = f"signal {-child.returncode}" if child.returncode < 0 else f"exit {child.returncode}"
        _count(
            tally,
            begun,
            {"outcome": "fault", "fault": f"the process ended: {ended}\n{said}", "seconds": 0, "peak": 0},
            loud,
        )
        return int(begun["number"]) + 1
    return last


def _lines(child: subprocess.Popen[bytes]) -> Iterator[dict]:
    """Yield what the process prints until it ends, or is silent for too long."""
    assert child.stdout is not None
    left, pipe = b"", child.stdout.fileno()
    while select.select([pipe], [], [], SILENCE)[0]:
        data = os.read(pipe, 1 << 16)
        if not data:
            child.wait()
            return
        *whole, left = (left + data).split(b"\n")
        yield from map(json.loads, whole)


def _count(tally: Tally, begun: dict, heard: dict, loud: bool) -> None:
    number = int(begun["number"])
    tally.ends[heard["outcome"].partition(":")[0]] += 1
    tally.seconds += heard["seconds"]
    tally.slowest = max(tally.slowest, (heard["seconds"], number))
    tally.largest = max(tally.largest, (heard["peak"], number))
    if heard["fault"]:
        tally.faults.append(f"mutant {number} of {begun['seed']}, {'; '.join(begun['done'])}:\n{heard['fault']}")
        if loud:
            print(tally.faults[-1], flush=True)
    if loud and number % 1000 == 999:
        print(f"up to {number}: {tally}", flush=True)


if __name__ == "__main__":
    first, _, last = sys.argv[1].partition("-")
    found = judged(int(first), int(last), loud=True)
    print(found)
    raise SystemExit(bool(found.faults))
