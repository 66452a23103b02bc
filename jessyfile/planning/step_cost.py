"""Wall time and peak memory of a block of work."""

from __future__ import annotations

import contextlib
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from jessyfile.machine import give_memory_back

if TYPE_CHECKING:
    from collections.abc import Iterator


_MUCH, _LONG = 64 << 20, 1.0  # bytes, seconds


@dataclass(slots=True)
class Measured:
    """Wall seconds, and the process's peak of resident memory in bytes (0 until the block has ended), `before` that at its start."""

    seconds: float = 0.0
    peak: int = 0
    before: int = 0


@contextlib.contextmanager
def measured() -> Iterator[Measured]:
    """Measure the block. On Linux the kernel's high-water mark is reset first; elsewhere the peak is that of the
    whole process so far.

    Not covered: memory of a GPU, and of child processes.
    """
    _reset_peak()
    result = Measured(before=_peak())
    start = time.perf_counter()
    try:
        yield result
    finally:
        result.seconds = time.perf_counter() - start
        result.peak = _peak()


def release_memory(cost: Measured) -> None:
    """Give back what a step left behind, if it took much.

    Without it a training's gigabytes stay with the process while the next steps load models of their own. To look for cycles takes a
    tenth of a second in a large process, which a small and short step does not deserve. Only Linux can tell what one step took.
    """
    if sys.platform == "linux" and cost.peak - cost.before < _MUCH and cost.seconds < _LONG:
        return
    give_memory_back()


def _reset_peak() -> None:
    if sys.platform == "linux":
        with contextlib.suppress(OSError), open("/proc/self/clear_refs", "w") as handle:
            handle.write("5")


def _peak() -> int:
    if sys.platform == "linux":
        with contextlib.suppress(OSError), open("/proc/self/status") as handle:
            for line in handle:
                if line.startswith("VmHWM:"):
                    return int(line.split()[1]) * 1024
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
