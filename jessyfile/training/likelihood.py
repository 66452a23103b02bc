"""How probable a model finds the trained tokens of rows: each token's log-probability, given the true ones before it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from jessyfile.machine import cores
from jessyfile.models.accelerate import on_gpu
from jessyfile.training import loss
from jessyfile.training.batches import build, pack_rows
from jessyfile.training.cpu_pass import CpuPass
from jessyfile.training.gradient import guarded
from jessyfile.training.workers import workers

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from jessyfile.training.encoded import Encoded

_TOKENS = 2048  # of one part: more are not faster, and memory grows with them
_POSITIONS = 256  # whose logits exist at once on a GPU: 268 MB with a vocabulary of 262,144


@dataclass(frozen=True, slots=True)
class ModelReader:
    """A model that is read and not trained; `on_cpu` computes through NumPy, None on a GPU, where MLX does."""

    model: Any
    on_cpu: CpuPass | None

    def logprobs(self, splits: Sequence[Encoded]) -> list[list[NDArray[np.float32]]]:
        """Return, split by split and row by row, the log-probabilities of the trained tokens in nats.

        The rows of a split share its prefix, which is computed once a part. Raises InsufficientMemoryError.
        """
        parts = [(number, rows) for number, split in enumerate(splits) for rows in _parts(split)]
        # parts of about one size together: none waits for a larger one
        order = sorted(range(len(parts)), key=lambda at: -_size(splits[parts[at][0]], parts[at][1]))
        together = self.on_cpu.workers.count if self.on_cpu is not None else 1
        read: dict[int, list[NDArray[np.float32]]] = {}
        for start in range(0, len(parts), together):
            some = order[start : start + together]
            work = partial(self._read, [(splits[parts[at][0]], parts[at][1]) for at in some])
            read.update(zip(some, guarded(work, len(some)), strict=True))
        found: list[list[NDArray[np.float32]]] = [[] for _ in splits]
        for at, (number, _) in enumerate(parts):
            found[number] += read[at]
        return found

    def _read(self, parts: Sequence[tuple[Encoded, list[int]]]) -> list[list[NDArray[np.float32]]]:
        if self.on_cpu is None:
            read = [_on_gpu(self.model, split, rows) for split, rows in parts]
        else:
            read = self.on_cpu.logprobs([pack_rows(split, rows) for split, rows in parts])
        return [_by_row(found, split, rows) for found, (split, rows) in zip(read, parts, strict=True)]


@contextmanager
def reader(model: Any) -> Iterator[ModelReader]:
    """Yield a reader of a model that uses every core, or the GPU."""
    model.eval()
    if on_gpu():
        yield ModelReader(model, None)
        return
    with workers(model, cores()) as side_by_side:
        cap = getattr(model, "final_logit_softcapping", None)
        yield ModelReader(model, CpuPass(side_by_side, loss.head_rows(model), cap))


def _parts(split: Encoded) -> Iterator[list[int]]:
    """Yield the rows of each part, in order, so many that their tokens stay below the limit."""
    part, tokens = list[int](), 0
    for row, length in enumerate(map(int, split.lengths())):
        if part and tokens + length > _TOKENS:
            yield part
            part, tokens = [], 0
        part.append(row)
        tokens += length
    if part:
        yield part


def _size(split: Encoded, rows: Sequence[int]) -> int:
    return len(split.prefix) + int(split.lengths()[list(rows)].sum())


def _by_row(found: NDArray[np.float32], split: Encoded, rows: Sequence[int]) -> list[NDArray[np.float32]]:
    ends = [0]
    for row in rows:
        ends.append(ends[-1] + int(split.row(row)[1].sum()))
    return [found[start:end] for start, end in pairwise(ends)]


def _on_gpu(model: Any, split: Encoded, rows: list[int]) -> NDArray[np.float32]:
    import mlx.core as mx
    import numpy as np

    batch = build(split, rows, 1)
    hidden = loss.states(model, mx.array(split.prefix[:-1]), mx.array(batch.inputs))
    states = hidden.reshape(-1, hidden.shape[-1])[mx.array(batch.where)]
    targets, found = mx.array(batch.targets), []
    for start in range(0, len(batch.targets), _POSITIONS):
        scores = loss.logits(model, states[start : start + _POSITIONS]).astype(mx.float32)
        picked = mx.take_along_axis(scores, targets[start : start + _POSITIONS, None], axis=1)[:, 0]
        found.append(np.array(picked - mx.logsumexp(scores, axis=1)))
    return np.concatenate(found)
