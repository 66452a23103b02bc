"""AdamW: MLX's own on a CPU, its arrays shared out to several streams; and for a GPU its step over vectors that hold every array.

MLX computes element-wise operations on one core for each stream. The bits stay those of one stream: every array is computed
as there, only beside another.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from itertools import cycle
from typing import TYPE_CHECKING, Any

from jessyfile.training import adapter

if TYPE_CHECKING:
    from jessyfile.language.recipe import Train
    from jessyfile.training.workers import Workers

_BETAS = (0.9, 0.999)
_EPSILON = 1e-8

Array = Any  # mx.array; MLX ships no complete types


def adamw(train: Train, streams: int) -> Any:
    """Return MLX's AdamW with the recipe's settings; its updates are computed on so many streams of a CPU, 1 for the default one."""
    import mlx.core as mx
    import mlx.optimizers as optim

    turns = cycle(_stream(number) for number in range(streams))

    class Spread(optim.AdamW):  # type: ignore[misc]
        """AdamW whose arrays take turns on the streams."""

        def apply_single(self, gradient: Any, parameter: Any, state: Any) -> Any:
            with mx.stream(next(turns)):
                return super().apply_single(gradient, parameter, state)

    kind = Spread if streams > 1 else optim.AdamW
    return kind(train.learning_rate, betas=list(_BETAS), weight_decay=train.weight_decay, bias_correction=True)


class InModel:
    """An adapter that lies in the model, with MLX's AdamW of it; its steps are computed on as many streams as there are workers."""

    def __init__(self, model: Any, train: Train, workers: Workers) -> None:
        self._model, self._workers = model, workers
        self._optimizer = adamw(train, workers.count)
        self._optimizer.init(model.trainable_parameters())

    def parameters(self) -> dict[str, Array]:
        """Return the adapter's arrays by path."""
        return adapter.parameters(self._model)

    def state(self) -> dict[str, Array]:
        """Return the optimizer's state by path."""
        from mlx.utils import tree_flatten

        return dict(tree_flatten(self._optimizer.state))

    def load(self, arrays: Mapping[str, Array], state: Mapping[str, Array]) -> None:
        """Take an adapter and the optimizer's state from a checkpoint."""
        from mlx.utils import tree_unflatten

        self._model.load_weights(list(arrays.items()), strict=False)
        self._optimizer.state = tree_unflatten(list(state.items()))
        self._workers.share()

    def step(self, gradients: Mapping[str, Array], factor: float, rate: float) -> None:
        """Move the adapter by its gradients, which are multiplied by a factor, and give it to every worker."""
        import mlx.core as mx
        from mlx.utils import tree_unflatten

        scaled = tree_unflatten([(path, array * factor) for path, array in gradients.items()])
        self._optimizer.learning_rate = rate
        self._optimizer.update(self._model, scaled)
        mx.eval(self._model.trainable_parameters(), self._optimizer.state)
        self._workers.share()


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


@cache
def _stream(number: int) -> Any:
    """Return a stream of the CPU, the same for every training: MLX keeps a thread for each as long as the process lives."""
    import mlx.core as mx

    del number
    return mx.new_stream(mx.cpu)
