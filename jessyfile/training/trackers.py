"""Other programs that draw a training's metrics, each through its own official library, which is an extra."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jessyfile.errors import TrainingError

if TYPE_CHECKING:
    from jessyfile.language.recipe import Train
    from jessyfile.planning.steps import Progress
    from jessyfile.training.metrics import TrainingMetrics

_UNDRAWN = ("epoch", "iteration")  # what stands on the other axis


class TensorBoard:
    """Writes scalars by update, through the `tensorboard` package alone: neither TensorFlow nor PyTorch is needed.

    A log that the disk refuses ends with a note; the training goes on.
    """

    def __init__(self, folder: Path, progress: Progress) -> None:
        """Open a log in a folder of its own."""
        from tensorboard.summary import Writer

        self._progress = progress
        self._writer: Any = Writer(str(folder))

    def training(self, metrics: TrainingMetrics) -> None:
        """Write the metrics of an update."""
        known = {name: value for name, value in asdict(metrics).items() if value is not None and name not in _UNDRAWN}
        for name, value in known.items():
            self._add(f"training/{name}", value, metrics.iteration)

    def validation(self, update: int, loss: float) -> None:
        """Write a validation loss."""
        self._add("validation/loss", loss, update)

    def close(self) -> None:
        """Bring everything to the disk."""
        with self._reported():
            if self._writer is not None:
                self._writer.close()

    def _add(self, name: str, value: float, update: int) -> None:
        with self._reported():
            if self._writer is not None:
                self._writer.add_scalar(name, value, update)

    @contextlib.contextmanager
    def _reported(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self._writer = None
            self._progress.note(f"tensorboard's log cannot be written ({error}); the training goes on without it")


def refuse_missing(train: Train) -> None:
    """Raise TrainingError when the tracker's library is not installed."""
    if train.tracker == "tensorboard" and find_spec("tensorboard") is None:
        raise TrainingError(
            "tracker tensorboard needs the package tensorboard, which is not installed",
            hint="install it with `pip install 'jessy[tensorboard]'`, or delete the line",
        )


@contextlib.contextmanager
def tracking(
    train: Train, folder: Path | None, progress: Progress, step: str = "train"
) -> Iterator[TensorBoard | None]:
    """Yield the recipe's tracker; None where the recipe names none or no run keeps it.

    Args:
        train: the settings.
        folder: the run's own, below which the log lies.
        progress: told how to look at it, and when the disk refuses it.
        step: the step that is tracked; each has its own log.
    """
    refuse_missing(train)
    if train.tracker == "none" or folder is None:
        yield None
        return
    tracker = TensorBoard(folder / (train.tracker if step == "train" else f"{train.tracker}-{step}"), progress)
    progress.note(f"tensorboard --logdir {folder.parent} draws this run and those before")
    try:
        yield tracker
    finally:
        tracker.close()
