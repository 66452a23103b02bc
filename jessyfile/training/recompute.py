"""Gradient checkpointing (Chen et al. 2016): layers keep only their input for the gradient and compute the rest again.

On a CPU the activations are computed when the model is called (`cpu_ops`), and MLX then holds every array of every
layer until the whole gradient is done: 4 MB a token for a model of 270M. Here a layer's arrays are released as soon
as the layer is done, so that only one layer's arrays exist at a time. The loss has the same bits, and the gradient is
the same to rounding, for a sixth more processor time.

Not covered: layers that are called with anything but a state, a mask and a cache.
"""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable, Iterator, Sequence
from typing import Any

Array = Any  # mx.array; MLX ships no complete types
_CALL = ["self", "x", "mask", "cache"]


@contextlib.contextmanager
def recomputed(model: Any, wanted: bool) -> Iterator[None]:
    """Let the classes of the model's layers keep only their inputs, until the block ends; twins of the model share them."""
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

        names = [name for name, _ in tree_flatten(self.trainable_parameters())]
        held = [array for _, array in tree_flatten(self.trainable_parameters())]
        before = list(cache.given()) if cache is not None else []
        # the cache itself takes the results, which know this function: MLX would never find that circle and never free it
        over = cache.over if cache is not None else None
        seed = _drawn_seed(self)

        def plain(x: Array, *rest: Array) -> list[Array]:
            """Compute the layer on these arrays alone: state, keys and values of the prefix, adapter."""
            if seed is not None:
                mx.random.seed(seed)
            own = over(rest[: len(before)]) if over is not None else None
            self.update(tree_unflatten(list(zip(names, rest[len(before) :], strict=True))))
            out = call(self, x, mask, own)
            return [out, *(own.left() if own is not None else ())]

        @mx.custom_function
        def layer(x: Array, nothing: Array, *rest: Array) -> list[Array]:
            del nothing
            return _loose(plain(*_loose([x, *rest])))

        @layer.vjp
        def pullback(primals: Sequence[Array], cotangents: Sequence[Array], _: object) -> list[Array]:
            x, nothing, *rest = primals
            found = mx.vjp(plain, _loose([x, *rest]), _loose(cotangents))[1]
            of_x, *others = _loose(found)
            return [of_x, mx.zeros_like(nothing), *others]

        # a function of one argument is given its gradient in another form, so there are always two
        results: Any = layer(x, mx.zeros(()), *before, *held)
        out, *left = results
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


def _loose(arrays: Sequence[Array]) -> list[Array]:
    """Return copies that know nothing of how they were computed, so that nothing behind them is kept."""
    import mlx.core as mx
    import numpy as np

    mx.eval(arrays)
    return [
        mx.array(np.asarray(array.view(mx.uint16))).view(mx.bfloat16)
        if array.dtype == mx.bfloat16
        else mx.array(np.asarray(array))
        for array in arrays
    ]
