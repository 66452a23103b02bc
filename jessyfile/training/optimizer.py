"""AdamW on a CPU, its arrays shared out to several streams: MLX computes element-wise operations on one core for each stream.

The same bits as MLX's own AdamW: every array is computed as there, only beside another.
"""

from __future__ import annotations

from functools import cache
from itertools import cycle
from typing import TYPE_CHECKING, Any

from jessyfile.training.compiled import BETAS

if TYPE_CHECKING:
    from jessyfile.language.recipe import Train


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
    return kind(train.learning_rate, betas=list(BETAS), weight_decay=train.weight_decay, bias_correction=True)


@cache
def _stream(number: int) -> Any:
    """Return a stream of the CPU, the same for every training: MLX keeps a thread for each as long as the process lives."""
    import mlx.core as mx

    del number
    return mx.new_stream(mx.cpu)
