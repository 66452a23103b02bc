"""The processes that train one model together: each computes its own share of an update's parts, and the sums are added over all.

Parts and their seeds follow from the whole update, so that it matters to no result which process computes which part; a process may
have none. MLX's distributed group carries the sums: a ring of sockets, or NCCL between NVIDIA cards.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from jessyfile.errors import InsufficientMemoryError, TrainingError
from jessyfile.training.vectors import Array, cut, flat

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Ranks:
    """This process's number, its rank, among those that train together; alone without a group."""

    rank: int = 0
    size: int = 1
    group: Any = None
    on_cpu: bool = True

    @property
    def first(self) -> bool:
        """Whether this process writes what is to be kept."""
        return self.rank == 0

    def own(self, workers: int) -> slice:
        """Return which of all workers' shares are this process's, which has so many workers."""
        return slice(self.rank * workers, (self.rank + 1) * workers)

    def least(self, number: int) -> int:
        """Return the smallest of all processes' numbers."""
        return min(row[0] for row in self._gathered([number]))

    def total(self, numbers: Sequence[float]) -> list[float]:
        """Return the sums of numbers over all processes, in double precision."""
        words = [word for number in numbers for word in struct.unpack("<2I", struct.pack("<d", number))]
        rows = [struct.unpack(f"<{len(numbers)}d", struct.pack(f"<{len(row)}I", *row)) for row in self._gathered(words)]
        return [sum(column) for column in zip(*rows, strict=True)]

    def added(self, arrays: Mapping[str, Array]) -> dict[str, Array]:
        """Return the sums of float32 arrays over all processes, each of which has the same names and shapes."""
        import mlx.core as mx

        shapes = {name: arrays[name].shape for name in sorted(arrays)}
        if self.size == 1 or not shapes:
            return dict(arrays)
        summed = self.summed(flat(arrays[name] for name in shapes))
        mx.eval(summed)
        return cut(summed, shapes)

    def summed(self, array: Array) -> Array:
        """Return the sum of an array over all processes, not waited for."""
        import mlx.core as mx

        return array if self.size == 1 else mx.distributed.all_sum(array, group=self.group, stream=self._stream)

    def together(self, own: Callable[[], Sequence[float]]) -> list[float]:
        """Return the sums of the numbers that every process finds. Raises InsufficientMemoryError in all when one has too little."""
        if self.size == 1:
            return list(own())
        found: Sequence[float] = ()
        short = None
        try:
            found = own()
        except InsufficientMemoryError as error:
            short = error
        self.fail_together(short)
        return self.total(found)

    def any(self, here: bool) -> bool:
        """Return whether it holds in any process."""
        return any(row[0] for row in self._gathered([int(here)]))

    def fail_together(self, error: InsufficientMemoryError | None) -> None:
        """Raise in every process when one has too little memory, so that all take the same way on."""
        if self.any(error is not None):
            raise error or InsufficientMemoryError("another process of this training has too little memory")

    def by_first(self, work: Callable[[], T]) -> T | None:
        """Return what process 0 alone finds, None in the others, which wait for it. Raises InsufficientMemoryError in all of them."""
        found, short = None, None
        try:
            found = work() if self.first else None
        except InsufficientMemoryError as error:
            short = error
        self.fail_together(short)
        return found

    def agree(self, what: str, value: str) -> None:
        """Raise TrainingError in every process unless all have the same value of something that they must share."""
        rows = self._gathered(list(struct.unpack("<4I", hashlib.sha256(value.encode()).digest()[:16])))
        odd = [rank for rank, row in enumerate(rows) if row != rows[0]]
        if odd:
            raise TrainingError(
                f"process {odd[0]} has another {what} than process 0",
                hint="all hosts need the same jessy, and the project's folder on a disk that they share",
            )

    def _gathered(self, words: list[int]) -> list[list[int]]:
        """Return what every process gives, by rank; numbers of 32 bits without a sign."""
        if self.size == 1:
            return [words]
        import mlx.core as mx

        found = mx.distributed.all_gather(mx.array(words, mx.uint32), group=self.group, stream=self._stream)
        rows: Any = found.reshape(self.size, -1).tolist()
        return [[int(word) for word in row] for row in rows]

    @property
    def _stream(self) -> Any:
        import mlx.core as mx

        return mx.cpu if self.on_cpu else mx.gpu


_here = Ranks()


def here() -> Ranks:
    """Return this process's place; it is alone unless it has joined others."""
    return _here


def join(backend: str) -> Ranks:
    """Join the processes that `mlx.launch` started with this one."""
    global _here
    import mlx.core as mx

    group = mx.distributed.init(strict=True, backend=backend)
    _here = Ranks(group.rank(), group.size(), group, on_cpu=backend != "nccl")
    return _here
