"""Bring a model's weights into memory in the types that they are held in, one after the other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jessyfile.models.precision import BITS, GROUP, HEAD_BITS, Precision

if TYPE_CHECKING:
    import mlx.nn as nn


def hold(model: nn.Module, precision: Precision) -> None:
    """Change a lazily loaded model in place; at most one weight is in memory in the type that it is stored in.

    What the folder holds quantized stays so. Vectors (norms, biases) take the type that the base computes in.
    """
    import mlx.core as mx
    import mlx.nn as nn
    from mlx.utils import tree_flatten

    for _, module in model.named_modules():
        _cast(module, precision)
    bits = BITS.get(precision.held)
    if bits is not None:
        nn.quantize(model, class_predicate=lambda path, module: _quantization(path, module, bits))
    for _, array in tree_flatten(model.parameters()):
        mx.eval(array)
        mx.clear_cache()  # what it was read from is of no use to the next


def _cast(module: Any, precision: Precision) -> None:  # noqa: ANN401 (MLX ships no complete types)
    """Let a module's own numbers be read as they are held; a quantized weight's scales stay as they are."""
    import mlx.core as mx

    if "scales" in module:
        return
    for name in {"weight", "bias"} & set(module):
        held = precision.held if precision.held in ("float16", "bfloat16") and module[name].ndim > 1 else None
        module[name] = module[name].astype(getattr(mx, held or precision.computed))


def _quantization(path: str, module: Any, bits: int) -> dict[str, int] | bool:  # noqa: ANN401 (MLX ships no complete types)
    """Return how a module is quantized; False for one that is not, or whose width has no whole groups."""
    import mlx.nn as nn

    if not isinstance(module, nn.Linear | nn.Embedding) or module.weight.shape[-1] % GROUP:
        return False
    return {"group_size": GROUP, "bits": bits if ".layers." in path else HEAD_BITS}
