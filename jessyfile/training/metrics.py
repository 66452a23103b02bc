"""What a training reports after every update: shown, kept as JSON lines beside its checkpoints, and told to whoever watches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Protocol

from jessyfile import fsops
from jessyfile.errors import StateError, TrainingError
from jessyfile.results.typed_json import read_as
from jessyfile.text.json_lines import read_log
from jessyfile.text.printable import json_text

METRICS_FILE = "metrics.jsonl"


def metrics_file(step: str) -> str:
    """Return the name of the file with a step's metrics: an apply may train more than once."""
    return METRICS_FILE if step == "train" else f"metrics.{step}.jsonl"


@dataclass(frozen=True, slots=True)
class TrainingMetrics:
    """Where a training is: utilizations are shares (`gpu_utilization` is None without a GPU), memory in GB, time in seconds.

    `loss` is the mean over the tokens of the update that was made last, before it was made. `compile_seconds` is how long a GPU's
    kernels were compiled in this update: utilization and tokens a second leave that time out, `time_elapsed` does not.
    Where answers are compared, `loss` is the mean over pairs or judged answers, `margin` their mean reward margin, and `preferred` the
    share whose margin is above 0; else both are None.
    """

    epoch: int
    iteration: int
    loss: float
    learning_rate: float
    gpu_utilization: float | None
    memory_usage: float
    time_elapsed: float
    tokens_per_second: float = 0.0
    cpu_utilization: float | None = None
    compile_seconds: float = 0.0
    margin: float | None = None
    preferred: float | None = None

    def __post_init__(self) -> None:
        for name in ("gpu_utilization", "cpu_utilization"):
            share = getattr(self, name)
            if share is not None and not 0 <= share <= 1:
                raise TrainingError(f"{name} is {share}, not a share from 0 to 1")

    def __str__(self) -> str:
        gpu = "" if self.gpu_utilization is None else f", GPU {self.gpu_utilization:.1%}"
        return f"Epoch {self.epoch}, Iter {self.iteration}: Loss {self.loss:.4f}{gpu}"

    def log(self) -> None:
        """Print one line: epoch, iteration, loss and GPU."""
        print(self)  # noqa: T201 (that is what it is for)

    def live(self) -> str:
        """Return what the progress line says of it."""
        busy = self.gpu_utilization if self.gpu_utilization is not None else self.cpu_utilization
        chip = "GPU" if self.gpu_utilization is not None else "CPU"
        used = "" if busy is None else f" · {chip} {busy:.0%}"
        compared = "" if self.margin is None else f" · margin {self.margin:.3f} · preferred {self.preferred or 0:.0%}"
        return (
            f"loss {self.loss:.3f}{compared} · rate {self.learning_rate:.1e} · {self.tokens_per_second:.0f} tokens/s · "
            f"{self.memory_usage:.1f} GB{used}"
        )


Watcher = Callable[[TrainingMetrics], None]


class Tracker(Protocol):
    """Another program that is given the metrics while they are made."""

    def training(self, metrics: TrainingMetrics) -> None:
        """Take the metrics of an update."""

    def validation(self, update: int, loss: float) -> None:
        """Take the validation loss after an update."""

    def close(self) -> None:
        """Write what is not written yet."""


@dataclass(slots=True)
class MetricsLog:
    """The metrics of every update that counts, in memory and in a file; those of updates that are undone vanish."""

    path: Path | None = None
    watchers: Sequence[Watcher] = ()
    tracker: Tracker | None = None
    kept: list[TrainingMetrics] = field(default_factory=list)

    def add(self, metrics: TrainingMetrics) -> None:
        """Keep what an update has shown, and tell the watchers."""
        self.kept.append(metrics)
        if self.path is not None:
            fsops.append_line(self.path, json_text(asdict(metrics)))
        for watcher in self.watchers:
            watcher(metrics)
        if self.tracker is not None:
            self.tracker.training(metrics)

    def validated(self, update: int, loss: float) -> None:
        """Tell the tracker of a validation; the trainer keeps it itself."""
        if self.tracker is not None:
            self.tracker.validation(update, loss)

    def back_to(self, update: int) -> None:
        """Forget what came after an update: training goes on from there."""
        before = self.kept if self.path is None else read_metrics(self.path)
        self.kept = [one for one in before if one.iteration <= update]
        if self.path is not None:
            fsops.write_text(self.path, "".join(json_text(asdict(one)) + "\n" for one in self.kept))

    def mean_gpu(self) -> float | None:
        """Return the GPU's utilization over the updates, each by its time without that of compiling; None where it was never known."""
        return self._mean([one.gpu_utilization for one in self.kept])

    def mean_cpu(self) -> float | None:
        """Return the same of the processors."""
        return self._mean([one.cpu_utilization for one in self.kept])

    def _mean(self, shares: Sequence[float | None]) -> float | None:
        ends = [one.time_elapsed for one in self.kept]
        spans = [end - start for start, end in pairwise([0.0, *ends])]
        spans = [max(span - one.compile_seconds, 0.0) for span, one in zip(spans, self.kept, strict=True)]
        known = [(share, span) for share, span in zip(shares, spans, strict=True) if share is not None]
        total = sum(span for _, span in known)
        return sum(share * span for share, span in known) / total if total > 0 else None


def read_metrics(path: Path) -> list[TrainingMetrics]:
    """Return the metrics of a file; none where it is not there, and without a line that a crash has torn."""
    if not path.is_file():
        return []
    try:
        return [read_as(TrainingMetrics, line, f"a line of `{path}`") for line in read_log(path)]
    except StateError:
        return []
