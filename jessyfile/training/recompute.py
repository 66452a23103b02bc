"""Gradient checkpointing on a GPU (Chen et al. 2016): layers keep only their input for the gradient and compute the rest again.

The loss is the same, and the gradient to rounding, for about a third more time. On a CPU `decoder` does it by itself.

Not covered: layers that are called with anything but a state, a mask and a cache.
"""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable, Iterator
from typing import Any

Array = Any  # mx.array; MLX ships no complete types
_CALL = ["self", "x", "mask", "cache"]


@contextlib.contextmanager
def recomputed(model: Any, wanted: bool) -> Iterator[None]:
    """Let the classes of the model's layers keep only their inputs, until the block ends."""
    classes = {type(layer) for layer in model.layers} if wanted else set()
    originals = {one: one.__call__ for one in classes if list(inspect.signature(one.__call__).parameters) == _CALL}
    for one, call in originals.items():
        one.__call__ = _keeping_inputs(call)
    try:
        yield
    finally:
        for one, call in originals.items():
            one.__call__ = call


def _keeping_inputs(call: Callable[..., Array]) -> Callable[..., Array]:
    def keeping(self: Any, x: Array, mask: Any = None, cache: Any = None) -> Array:
        import mlx.core as mx
        from mlx.utils import tree_flatten, tree_unflatten

        trained = tree_flatten(self.trainable_parameters())
        names, held = [name for name, _ in trained], [array for _, array in trained]
        given = list(cache.given()) if cache is not None else []
        seed = _drawn_seed(self)

        def plain(x: Array, *rest: Array) -> list[Array]:
            """Compute the layer on these arrays alone: state, keys and values of the prefix, adapter."""
            if seed is not None:
                mx.random.seed(seed)
            own = cache.over(rest[: len(given)]) if cache is not None else None
            self.update(tree_unflatten(list(zip(names, rest[len(given) :], strict=True))))
            out = call(self, x, mask, own)
            return [out, *(own.left() if own is not None else ())]

        out, *left = mx.checkpoint(plain)(x, *given, *held)
        self.update(tree_unflatten(list(zip(names, held, strict=True))))
        if cache is not None:
            cache.take(left)
        return out

    return keeping


def _drawn_seed(layer: Any) -> int | None:
    """Draw from the random stream what both passes of a layer with dropout start from; None without dropout."""
    import mlx.core as mx
    import mlx.nn as nn

    if not any(isinstance(part, nn.Dropout) and part._p_1 < 1 for part in layer.modules()):  # noqa: SLF001 (not public)
        return None
    return int(mx.random.randint(0, 2**31 - 1, ()))
