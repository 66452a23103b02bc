"""What training reports while it runs: speed, smoothed over the last updates, memory, and how busy the chips are."""

from __future__ import annotations

import resource
import sys
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from jessyfile.models.accelerate import on_gpu
from jessyfile.training.metrics import TrainingMetrics
from jessyfile.training.utilization import Utilization

if TYPE_CHECKING:
    from jessyfile.training.checkpoint import Cursor

_WINDOW = 10


@dataclass(slots=True)
class Meter:
    """Reads off what an update took: trained tokens a second over the last ten, the peak so far in GB, the chips' shares since the last."""

    _busy: Utilization
    _recent: deque[tuple[int, float]] = field(default_factory=lambda: deque(maxlen=_WINDOW))

    def read(self, cursor: Cursor, epoch: int, tokens: int, seconds: float, compiling: float) -> TrainingMetrics:
        """Return the metrics of the update that the cursor's curve ends with.

        Args:
            cursor: where training is.
            epoch: the epoch that the update belongs to.
            tokens: how many tokens it trained.
            seconds: how long it took.
            compiling: how much of that went into kernels.
        """
        self._recent.append((tokens, seconds - compiling))
        if compiling:
            self._busy.forget()
        last, taken = cursor.curve[-1], sum(one for _, one in self._recent)
        return TrainingMetrics(
            epoch=epoch,
            iteration=cursor.update,
            loss=last["loss"],
            learning_rate=last["learning_rate"],
            gpu_utilization=self._busy.gpu(),
            memory_usage=peak_bytes() / 1e9,
            time_elapsed=cursor.seconds,
            tokens_per_second=sum(count for count, _ in self._recent) / taken if taken else 0.0,
            cpu_utilization=self._busy.cpu(),
            compile_seconds=compiling,
            margin=last.get("margin"),
            preferred=last.get("preferred"),
        )


def peak_bytes() -> int:
    """Return the peak memory in bytes: MLX's own on a GPU, else the largest resident size."""
    if on_gpu():
        import mlx.core as mx

        return int(mx.get_peak_memory())
    unit = 1 if sys.platform == "darwin" else 1024  # getrusage counts bytes on macOS, kibibytes on Linux
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
