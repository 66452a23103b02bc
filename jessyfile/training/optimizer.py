"""AdamW: its step in NumPy, every worker moving some of the arrays; in compiled updates over vectors that hold every array.

MLX computes element-wise operations on a CPU one number at a time. The bits are those of MLX's own AdamW.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jessyfile.training import adapter

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from jessyfile.language.recipe import Train
    from jessyfile.training.workers import Workers

    Numbers = NDArray[np.float32]

_BETAS = (0.9, 0.999)
_EPSILON = 1e-8
_BLOCK = 1 << 15  # numbers that all passes go over while they are in the cache of a core

Array = Any  # mx.array; MLX ships no complete types


@dataclass(frozen=True, slots=True)
class AdamWStep:
    """What a step multiplies by, in float32: gradients, values before it, and both moments against their bias."""

    gradient: float
    decay: float
    first: float
    second: float

    @staticmethod
    def of(number: int, rate: float, weight_decay: float, factor: float) -> AdamWStep:
        """Return that of a step, as MLX computes it.

        Args:
            number: the step's, counted from 1.
            rate: the learning rate.
            weight_decay: the share of the rate by which values shrink.
            factor: what gradients are multiplied by.
        """
        import mlx.core as mx

        learned, count = mx.array(rate), mx.array(number, mx.uint64)
        first, second = learned / (1 - _BETAS[0] ** count), mx.rsqrt(1 - _BETAS[1] ** count)
        return AdamWStep(factor, float(1 - learned * weight_decay), float(first), float(second))


class InModel:
    """An adapter that lies in the model, and AdamW's moments of it."""

    def __init__(self, model: Any, train: Train, workers: Workers) -> None:
        import numpy as np

        self._model, self._workers, self._decay, self._number = model, workers, train.weight_decay, 0
        zeros = [(path, np.zeros(array.shape, np.float32)) for path, array in self.parameters().items()]
        self._moments = {path: (array, array.copy()) for path, array in zeros}

    def parameters(self) -> dict[str, Array]:
        """Return the adapter's arrays by path."""
        return adapter.parameters(self._model)

    def state(self) -> dict[str, Array]:
        """Return the optimizer's state under the names that MLX's AdamW gives it."""
        import numpy as np

        named = (
            (f"{path}.{key}", one) for path, both in self._moments.items() for key, one in zip("mv", both, strict=True)
        )
        return {"step": np.uint64(self._number), **dict(named)}

    def load(self, arrays: Mapping[str, Array], state: Mapping[str, Array]) -> None:
        """Take an adapter and the optimizer's state from a checkpoint."""
        import numpy as np

        self._model.load_weights(list(arrays.items()), strict=False)
        self._number = int(state["step"].item())
        self._moments = {path: (np.array(state[f"{path}.m"]), np.array(state[f"{path}.v"])) for path in self._moments}
        self._workers.share()

    def step(self, gradients: Mapping[str, Array], factor: float, rate: float) -> None:
        """Move the adapter by its gradients, which are multiplied by a factor, and give it to every worker."""
        import mlx.core as mx
        import numpy as np

        self._number += 1
        step, values = AdamWStep.of(self._number, rate, self._decay, factor), self.parameters()

        def work(_: Any, paths: Sequence[str]) -> list[tuple[str, Numbers]]:
            given = ((path, np.asarray(values[path]), np.asarray(gradients[path])) for path in paths)
            with np.errstate(all="ignore"):  # the next update says what is not finite
                return [(path, stepped(value, gradient, self._moments[path], step)) for path, value, gradient in given]

        paths, count = list(gradients), self._workers.count
        found = self._workers.map(work, [paths[i::count] for i in range(count)])
        self._model.load_weights([(path, mx.array(value)) for part in found for path, value in part], strict=False)
        self._workers.share()


def stepped(values: Numbers, gradient: Numbers, moments: tuple[Numbers, Numbers], step: AdamWStep) -> Numbers:
    """Return values after a step, which changes their moments in place.

    Args:
        values: the numbers that are trained.
        gradient: of the same shape, as the moments are.
        moments: the running means of the gradient and of its square.
        step: what the step multiplies by.

    Returns:
        New values, of the same shape.
    """
    import numpy as np

    found = np.empty_like(values)
    flat = [array.reshape(-1) for array in (values, gradient, *moments, found)]
    for start in range(0, found.size, _BLOCK):
        value, pull, first, second, out = (array[start : start + _BLOCK] for array in flat)
        pull = pull * np.float32(step.gradient)
        first *= np.float32(_BETAS[0])
        first += pull * np.float32(1 - _BETAS[0])
        second *= np.float32(_BETAS[1])
        pull *= pull
        second += pull * np.float32(1 - _BETAS[1])
        np.sqrt(second, out=pull)
        pull *= np.float32(step.second)
        pull += np.float32(_EPSILON)
        np.divide(first * np.float32(step.first), pull, out=pull)
        np.multiply(value, np.float32(step.decay), out=out)
        out -= pull
    return found


def moved(before: tuple[Array, ...], gradient: Array, rate: Array) -> tuple[Array, ...]:
    """Return values that are decayed already, both moments and the number of steps, after one more step with bias correction."""
    import mlx.core as mx

    values, first, second, step = before
    step = step + 1
    first = _BETAS[0] * first + (1 - _BETAS[0]) * gradient
    second = _BETAS[1] * second + (1 - _BETAS[1]) * gradient * gradient
    corrected = mx.sqrt(second / (1 - _BETAS[1] ** step)) + _EPSILON
    forward = (first / (1 - _BETAS[0] ** step)) / corrected
    return values - rate * forward, first, second, step
