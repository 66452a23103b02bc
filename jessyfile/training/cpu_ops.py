"""Activations, norms and products with narrow weights for the CPU, through NumPy's vectorized functions.

MLX computes `tanh` and `exp` one number at a time on a CPU: the activations alone were half of a training step. These are the same functions
with the same gradients to rounding (4e-7 forward, 4e-6 backward), ten times as fast and more. A root mean square norm, which MLX takes apart
into many small operations with its gradient, is two here. They stand in MLX's place while a model trains on a CPU, and nowhere else.

Not covered: training a norm's own weight. LoRA leaves it frozen, and the gradient by it is not computed here.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from functools import cache
from typing import TYPE_CHECKING, Any

from jessyfile.training.widened import WideRows, is_narrow

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_ROOT = 0.7978845608028654  # sqrt(2 / pi), of the tanh form of GELU (Hendrycks and Gimpel 2016)
_CUBIC = 0.044715

Array = Any


@contextlib.contextmanager
def fast_activations(wanted: bool) -> Iterator[None]:
    """Replace `nn.gelu_approx`, `nn.silu` and `mx.fast.rms_norm`, which mlx-lm's models look up at each call, until the block ends.

    Layers whose weights are held in less than float32 compute in float32 meanwhile.

    Compiled functions are run as they are written meanwhile: mlx-lm compiles `swiglu`, which calls `nn.silu`, and a function that computes
    may not stand inside a compiled one. On a CPU compiling would only fuse what NumPy does here.
    """
    import mlx.core as mx
    import mlx.nn as nn

    if not wanted:
        yield
        return
    replaced = [
        (nn, "gelu_approx", _differentiable("gelu")),
        (nn, "silu", _differentiable("silu")),
        (mx.fast, "rms_norm", _rms_norm),
        *((kind, "__call__", _wide_product(kind.__call__)) for kind in (nn.Linear, nn.QuantizedLinear)),
        *((kind, "__call__", _wide_lookup(kind.__call__)) for kind in (nn.Embedding, nn.QuantizedEmbedding)),
        *((kind, "as_linear", _wide_product(kind.as_linear)) for kind in (nn.Embedding, nn.QuantizedEmbedding)),
    ]
    originals = [(place, name, getattr(place, name)) for place, name, _ in replaced]
    for place, name, function in replaced:
        setattr(place, name, function)
    mx.disable_compile()
    try:
        yield
    finally:
        if "MLX_DISABLE_COMPILE" not in os.environ:
            mx.enable_compile()
        for place, name, original in originals:
            setattr(place, name, original)


@cache
def _differentiable(name: str) -> Callable[[Array], Array]:
    import mlx.core as mx
    import numpy as np

    forward, slope = {"gelu": (_gelu, _gelu_slope), "silu": (_silu, _silu_slope)}[name]

    @mx.custom_function
    def activation(x: Array) -> Array:
        return mx.array(forward(np.asarray(x.astype(mx.float32)))).astype(x.dtype)

    @activation.vjp
    def pullback(x: Array, cotangent: Array, _: Array) -> Array:
        gradient = slope(np.asarray(x.astype(mx.float32)))
        gradient *= np.asarray(cotangent.astype(mx.float32))
        return mx.array(gradient).astype(x.dtype)

    function: Callable[[Array], Array] = activation
    return function


def _gelu_tanh(x: NDArray[np.float32]) -> NDArray[np.float32]:
    import numpy as np

    inner = x * x
    inner *= _ROOT * _CUBIC
    inner += _ROOT
    inner *= x
    np.tanh(inner, out=inner)
    return inner


def _gelu(x: NDArray[np.float32]) -> NDArray[np.float32]:
    result = _gelu_tanh(x)
    result += 1
    result *= x
    result *= 0.5
    return result


def _gelu_slope(x: NDArray[np.float32]) -> NDArray[np.float32]:
    import numpy as np

    tanh = _gelu_tanh(x)
    slope = x * x
    slope *= 3 * _ROOT * _CUBIC
    slope += _ROOT
    slope *= x
    slope *= np.subtract(1, tanh * tanh)
    slope += tanh
    slope += 1
    slope *= 0.5
    return slope


def _sigmoid(x: NDArray[np.float32]) -> NDArray[np.float32]:
    import numpy as np

    half: NDArray[np.float32] = np.tanh(x * np.float32(0.5))
    half += 1
    half *= 0.5
    return half


def _silu(x: NDArray[np.float32]) -> NDArray[np.float32]:
    result = _sigmoid(x)
    result *= x
    return result


def _silu_slope(x: NDArray[np.float32]) -> NDArray[np.float32]:
    sigmoid = _sigmoid(x)
    slope = 1 - sigmoid
    slope *= x
    slope += 1
    slope *= sigmoid
    return slope


def _rms_norm(x: Array, weight: Array | None, eps: float) -> Array:
    """Do what `mx.fast.rms_norm` does, over the last axis; its gradient is by x alone."""
    import mlx.core as mx
    import numpy as np

    scale = np.float32(1) if weight is None else np.asarray(weight.astype(mx.float32))

    @mx.custom_function
    def norm(x: Array) -> Array:
        values = np.asarray(x.astype(mx.float32))
        return mx.array(values * _inverse_root(values, eps) * scale).astype(x.dtype)

    @norm.vjp
    def pullback(x: Array, cotangent: Array, _: Array) -> Array:
        values = np.asarray(x.astype(mx.float32))
        pulled = np.asarray(cotangent.astype(mx.float32)) * scale
        inverse = _inverse_root(values, eps)
        along = np.einsum("...d,...d->...", pulled, values)[..., None] * inverse * inverse / values.shape[-1]
        pulled -= values * along
        # MLX does not warn either: the way back to a row of zeros is infinite, nothing is trained there, and the trainer refuses
        # a gradient that is not finite
        with np.errstate(over="ignore"):
            pulled *= inverse
        return mx.array(pulled).astype(x.dtype)

    result: Array = norm(x)
    return result


def _inverse_root(x: NDArray[np.float32], eps: float) -> NDArray[np.float32]:
    import numpy as np

    mean = np.einsum("...d,...d->...", x, x)[..., None] / np.float32(x.shape[-1])
    inverse: NDArray[np.float32] = 1 / np.sqrt(mean + np.float32(eps))
    return inverse


def _wide_product(original: Callable[[Any, Array], Array]) -> Callable[[Any, Array], Array]:
    """Return a layer's call that widens a narrow weight for this product, and again for its gradient, and keeps neither."""

    def call(layer: Any, x: Array) -> Array:
        if not is_narrow(layer):
            return original(layer, x)
        import mlx.core as mx

        weight = WideRows(layer)

        @mx.custom_function
        def product(x: Array) -> Array:
            return _times(x, weight[:].T)

        @product.vjp
        def pullback(x: Array, cotangent: Array, _: Array) -> Array:
            return _times(cotangent, weight[:]).astype(x.dtype)

        result: Array = product(x)
        return result + layer.bias if "bias" in layer else result

    return call


def _wide_lookup(original: Callable[[Any, Array], Array]) -> Callable[[Any, Array], Array]:
    def call(layer: Any, ids: Array) -> Array:
        if not is_narrow(layer):
            return original(layer, ids)
        import mlx.core as mx
        import numpy as np

        return mx.array(WideRows(layer)[np.asarray(ids).reshape(-1)]).reshape(*ids.shape, -1)

    return call


def _times(x: Array, matrix: NDArray[np.float32]) -> Array:
    """Return the product over the last axis, through NumPy's BLAS."""
    import mlx.core as mx
    import numpy as np

    values = np.asarray(x.astype(mx.float32))
    with np.errstate(
        over="ignore", invalid="ignore"
    ):  # MLX does not warn either; the trainer refuses what is not finite
        return mx.array(values.reshape(-1, values.shape[-1]) @ matrix).reshape(*values.shape[:-1], -1)
