"""Several threads that compute parts of one gradient side by side, for a CPU.

Most of a training step on a CPU is not matrix products: MLX computes element-wise operations on one core, whatever
the BLAS does. So the work is divided above the BLAS. Every thread has its own model, which shares the first model's
frozen arrays, and its own MLX stream. The BLAS gets one thread for each of them. Without this, BLAS threads that spin
beside a busy neighbour cost up to twenty times the time.

The parts alone decide which thread computes which part, and sums are taken in that order: the same parts give the
same bits. Not covered: GPUs, where one stream is enough, and several machines.
"""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeVar

Share = TypeVar("Share")
Result = TypeVar("Result")


@dataclass(slots=True)
class Workers:
    """The models that work side by side; `models[0]` is the one that is trained."""

    models: list[Any]
    _threads: list[ThreadPoolExecutor] = field(default_factory=list)

    @property
    def count(self) -> int:
        """How many parts can be computed at once."""
        return len(self.models)

    def share(self) -> None:
        """Give every model the trained model's adapter."""
        import mlx.core as mx

        adapter = self.models[0].trainable_parameters()
        mx.eval(adapter)
        for model in self.models[1:]:
            model.update(adapter)

    def map(self, work: Callable[[Any, Share], Result], shares: Sequence[Share]) -> list[Result]:
        """Return `work(model, share)` of every share, the first to the first model and so on; raises the first share's error."""
        if not self._threads:
            return [work(self.models[0], share) for share in shares]
        futures: list[Future[Result]] = [
            thread.submit(work, model, share)
            for thread, model, share in zip(self._threads, self.models, shares, strict=False)
        ]
        return [future.result() for future in futures]


@contextlib.contextmanager
def workers(model: Any, count: int) -> Iterator[Workers]:
    """Yield `count` workers over the model; with one, everything runs in the calling thread and nothing is changed."""
    import mlx.core as mx

    if count < 2:
        yield Workers([model])
        return
    from threadpoolctl import threadpool_limits

    mx.eval(_arrays(model))  # an array that is not computed yet belongs to the stream of the thread that made it
    threads = [ThreadPoolExecutor(1, f"jessy-train-{number}") for number in range(count)]
    made = Workers([model, *(_twin(model) for _ in range(count - 1))], threads)
    try:
        with threadpool_limits(1, user_api="blas"):
            yield made
    finally:
        for thread in threads:
            thread.submit(mx.clear_streams)  # MLX aborts the process when a thread ends with its stream alive
            thread.shutdown(wait=True)


def shares(costs: Sequence[float], count: int) -> list[list[int]]:
    """Deal parts to `count` workers, the costliest first and each to the least loaded; return each worker's parts in order."""
    load = [0.0] * count
    dealt: list[list[int]] = [[] for _ in range(count)]
    for part in sorted(range(len(costs)), key=lambda i: (-costs[i], i)):
        worker = load.index(min(load))
        load[worker] += costs[part]
        dealt[worker].append(part)
    return [sorted(parts) for parts in dealt]


def _twin(model: Any) -> Any:
    """Return a model with modules of its own over the same arrays."""
    return copy.deepcopy(model, {id(array): array for array in _arrays(model)})


def _arrays(model: Any) -> list[Any]:
    """Return all arrays that the model's modules hold, those that are no parameters too, as frequencies of a position encoding."""
    import mlx.core as mx
    from mlx.utils import tree_flatten

    held = [array for _, array in tree_flatten(model.parameters())]
    own = [value for module in model.modules() for value in (*module.values(), *vars(module).values())]
    return [*held, *(value for value in own if isinstance(value, mx.array))]
