"""A linear layer on a tape, with the adapter that is trained on it: LoRA, or DoRA with its magnitudes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jessyfile.training.product import product
from jessyfile.training.widened import WideRows, is_narrow

if TYPE_CHECKING:
    from jessyfile.training.dropout import Drops
    from jessyfile.training.tape import Matrix, Tape, Traced

_LEAST = 1e-15  # the length of a row of zeros, which has no direction


def projected(tape: Tape, x: Traced, module: Any, path: str, dropout: Drops | None) -> Traced:
    """Return what a linear layer makes of a value.

    Args:
        tape: where the operation is recorded.
        x: the layer's input.
        module: a linear layer of MLX, plain or quantized, or mlx-lm's adapter around one.
        path: the layer's path, under which its adapter's gradients are kept.
        dropout: what does not enter the adapter; None while nothing is dropped.
    """
    if "lora_a" in module:
        return _adapted(tape, x, module, path, dropout)
    value = product(x.value, weight_of(module).T)
    if "bias" in module:
        value += float32(module.bias)
    return tape.record(value, lambda gradient: x.receive(product(gradient, weight_of(module))), needed=x.needed)


def _adapted(tape: Tape, x: Traced, module: Any, path: str, dropout: Drops | None) -> Traced:
    import numpy as np

    a, b, scale = float32(module.lora_a), float32(module.lora_b), np.float32(module.scale)
    mask = _mask(x.value, module, dropout)
    entering: Matrix = x.value if mask is None else x.value * mask
    inner = product(entering, a)
    inner *= scale
    value = product(inner, b, added_to=product(x.value, weight_of(module.linear).T))
    bare = value
    lengths: Matrix | None = None
    factor: Matrix | None = None
    if "m" in module:  # DoRA: the direction is LoRA's, its length is trained apart (Liu et al. 2024)
        lengths = np.linalg.norm(weight_of(module.linear) + (scale * b.T) @ a.T, axis=1).astype(np.float32)
        np.maximum(lengths, _LEAST, out=lengths)
        factor = float32(module.m) / lengths
        value = bare * factor
    if "bias" in module.linear:
        value += float32(module.linear.bias)

    def back(gradient: Matrix) -> None:
        if factor is not None and lengths is not None:
            of_magnitude = np.einsum("nd,nd->d", gradient, bare)
            tape.trained(f"{path}.m", of_magnitude / lengths)
            gradient = gradient * factor
        pulled = product(gradient, b.T)
        pulled *= scale
        tape.trained(f"{path}.lora_a", product(entering.T, pulled))
        tape.trained(f"{path}.lora_b", product(inner.T, gradient))
        if x.needed:
            through = product(pulled, a.T)
            if mask is not None:
                through *= mask
            x.receive(product(gradient, weight_of(module.linear), added_to=through))

    return tape.record(value, back, needed=True)


def _mask(value: Matrix, module: Any, dropout: Drops | None) -> Matrix | None:
    """Return what a value is multiplied by before it enters the adapter: 0 where it is dropped; None where nothing is."""
    kept = module.dropout._p_1 if "dropout" in module else 1  # noqa: SLF001 (MLX keeps it nowhere else)
    if dropout is None or kept >= 1:
        return None
    return dropout.factors(value.shape[1], kept)


def weight_of(layer: Any) -> Matrix:
    """Return a frozen layer's weight, shape (out, in); what is held narrow is widened for this product alone."""
    return WideRows(layer)[:] if is_narrow(layer) else float32(layer.weight)


def float32(array: Any) -> Matrix:
    """Return an array of MLX in float32, not copied where it is that."""
    import mlx.core as mx
    import numpy as np

    return np.asarray(array.astype(mx.float32))
