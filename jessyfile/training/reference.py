"""How probable the adapter that `train` left finds every answer: read once, before the first update, and kept beside the checkpoints."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from jessyfile import fsops
from jessyfile.errors import Interrupted, StorageError
from jessyfile.training.likelihood import reader
from jessyfile.training.preference_loss import ComparedAnswers
from jessyfile.training.ranks import here

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from jessyfile.planning.steps import StepContext
    from jessyfile.training.encoded import Encoded
    from jessyfile.training.likelihood import ModelReader

REFERENCE_FILE, DIGEST_FILE = "reference.safetensors", "reference.sha256"
_TOGETHER = 64  # answers between two looks at whether to stop


def with_reference(context: StepContext, model: Any, splits: Sequence[ComparedAnswers]) -> list[ComparedAnswers]:
    """Return compared answers with the reference's log-probabilities, which the model gives where none are kept that are whole.

    Args:
        context: the step's; process 0 reads and writes, and all others take what it wrote.
        model: the base with the frozen adapter on it.
        splits: the answers.

    Raises:
        InsufficientMemoryError: they do not fit.
        Interrupted: a stop was asked for; nothing is kept.
    """
    path = context.work / REFERENCE_FILE

    def read_once() -> None:
        if _kept(path) is None:
            _write(path, logprobs(context, model, [rows for one in splits for rows in _rows(one)]))

    here().by_first(read_once)
    found = _kept(path)
    if found is None:
        raise StorageError(f"`{path}` is not as it was written")
    read = iter(found)
    return [
        replace(one, reference=next(read), others_reference=one.others_reference if one.others is None else next(read))
        for one in splits
    ]


def logprobs(context: StepContext, model: Any, splits: Sequence[Encoded]) -> list[NDArray[np.float64]]:
    """Return the log-probability of every row's compared tokens together, without dropout, by split. Raises Interrupted."""
    import numpy as np

    total, found = sum(map(len, splits)), [np.zeros(len(rows)) for rows in splits]
    done = 0
    try:
        with reader(model) as read:
            for rows, values in zip(splits, found, strict=True):
                for start in range(0, len(rows), _TOGETHER):
                    if here().size == 1 and context.stop.requested():  # several hear of it in the training alone
                        raise Interrupted("stopped while answers were read; the next apply reads them again")
                    part = rows.part(start, start + _TOGETHER)
                    values[start : start + len(part)] = of_answers(read, part)
                    done += len(part)
                    context.progress.update(done, total, text="read how likely the answers are")
    finally:
        model.train()
    return found


def of_answers(read: ModelReader, rows: Encoded) -> NDArray[np.float64]:
    """Return the log-probability of every row's compared tokens together."""
    import numpy as np

    [found] = read.logprobs([rows])
    apart = (rows.level | (rows.tokens == rows.end[0]))[rows.trained]
    around = np.split(apart, np.cumsum([len(one) for one in found])[:-1])
    return np.array([one[~beside].sum(dtype=np.float64) for one, beside in zip(found, around, strict=True)])


def _rows(one: ComparedAnswers) -> list[Encoded]:
    return [one.rows] if one.others is None else [one.rows, one.others]


def _write(path: Path, found: Sequence[NDArray[np.float64]]) -> None:
    from safetensors.numpy import save

    fsops.write_bytes(path, save({f"{number:02d}": values for number, values in enumerate(found)}))
    fsops.write_text(path.with_name(DIGEST_FILE), fsops.hash_file(path))


def _kept(path: Path) -> list[NDArray[np.float64]] | None:
    """Return what was read before; None where it is not there, or not whole."""
    from safetensors.numpy import load

    digest = path.with_name(DIGEST_FILE)
    if not path.is_file() or not digest.is_file() or digest.read_text("utf-8") != fsops.hash_file(path):
        return None
    return [values for _, values in sorted(load(path.read_bytes()).items())]
