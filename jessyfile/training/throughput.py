"""What training reports while it runs: speed and memory, smoothed over the last updates."""

from __future__ import annotations

import resource
import sys
from collections import deque
from dataclasses import dataclass, field

_WINDOW = 10


@dataclass(slots=True)
class Meter:
    """Trained tokens a second over the last updates, and the process's peak memory."""

    _recent: deque[tuple[int, float]] = field(default_factory=lambda: deque(maxlen=_WINDOW))

    def add(self, tokens: int, seconds: float) -> None:
        """Count one update."""
        self._recent.append((tokens, seconds))

    def tokens_per_second(self) -> float:
        """Return trained tokens a second over the last ten updates."""
        seconds = sum(s for _, s in self._recent)
        return sum(t for t, _ in self._recent) / seconds if seconds else 0.0

    def peak_gigabytes(self) -> float:
        """Return the peak so far in GB: the GPU's where MLX runs on one, else the process's resident memory."""
        return peak_bytes() / 1e9


def peak_bytes() -> int:
    """Return the peak memory in bytes: MLX's own on a GPU, else the largest resident size."""
    import mlx.core as mx

    if mx.default_device() == mx.Device(mx.gpu):
        return int(mx.get_peak_memory())
    unit = 1 if sys.platform == "darwin" else 1024  # getrusage counts bytes on macOS, kibibytes on Linux
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
