"""What a training reports after every update: shown, kept as JSON lines beside its checkpoints, and told to whoever watches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from jessyfile import fsops
from jessyfile.errors import StateError, TrainingError
from jessyfile.results.typed_json import read_as
from jessyfile.text.json_lines import read_log
from jessyfile.text.printable import json_text

METRICS_FILE = "metrics.jsonl"


@dataclass(frozen=True, slots=True)
class TrainingMetrics:
    """Where a training is: utilizations are shares (`gpu_utilization` is None without a GPU), memory in GB, time in seconds.

    `loss` is the mean over the tokens of the update that was made last, before it was made.
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
        return (
            f"loss {self.loss:.3f} · rate {self.learning_rate:.1e} · {self.tokens_per_second:.0f} tokens/s · "
            f"{self.memory_usage:.1f} GB{used}"
        )


Watcher = Callable[[TrainingMetrics], None]


@dataclass(slots=True)
class MetricsLog:
    """The metrics of every update that counts, in memory and in a file; those of updates that are undone vanish."""

    path: Path | None = None
    watchers: Sequence[Watcher] = ()
    kept: list[TrainingMetrics] = field(default_factory=list)

    def add(self, metrics: TrainingMetrics) -> None:
        """Keep what an update has shown, and tell the watchers."""
        self.kept.append(metrics)
        if self.path is not None:
            fsops.append_line(self.path, json_text(asdict(metrics)))
        for watcher in self.watchers:
            watcher(metrics)

    def back_to(self, update: int) -> None:
        """Forget what came after an update: training goes on from there."""
        before = self.kept if self.path is None else read_metrics(self.path)
        self.kept = [one for one in before if one.iteration <= update]
        if self.path is not None:
            fsops.write_text(self.path, "".join(json_text(asdict(one)) + "\n" for one in self.kept))


def read_metrics(path: Path) -> list[TrainingMetrics]:
    """Return the metrics of a file; none where it is not there, and without a line that a crash has torn."""
    if not path.is_file():
        return []
    try:
        return [read_as(TrainingMetrics, line, f"a line of `{path}`") for line in read_log(path)]
    except StateError:
        return []
