"""A model's layers in fewer kernels, for a GPU: an update of a small model is thousands of them, and each costs the host microseconds."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import mlx.core as mx
import mlx.nn as nn
from mlx.utils import tree_unflatten
from mlx_lm.tuner.lora import LoRALinear

Array = Any  # mx.array; MLX ships no complete types


class LeanLoRA(nn.Module):  # type: ignore[misc]  # MLX is not typed
    """A LoRA layer whose `lora_b` is given with the layer's scale in it, and both matrices in the type of the states."""

    def __init__(self, layer: LoRALinear) -> None:
        super().__init__()
        self.linear, self.dropout, self.lora_a, self.lora_b = layer.linear, layer.dropout, layer.lora_a, layer.lora_b

    def __call__(self, x: Array) -> Array:
        """Return the layer's output for states of shape (..., in)."""
        flat = x.reshape(-1, x.shape[-1])
        out = mx.addmm(self.linear(flat), self.dropout(flat) @ self.lora_a, self.lora_b)
        return out.reshape(*x.shape[:-1], -1)


class LeanNorm(nn.Module):  # type: ignore[misc]  # MLX is not typed
    """Gemma's norm, whose scales are told as their difference from one, with the sum made once."""

    def __init__(self, norm: Any) -> None:
        super().__init__()
        self.weight, self.eps = 1.0 + norm.weight, norm.eps
        mx.eval(self.weight)  # else every update would add them anew
        self.freeze()

    def __call__(self, x: Array) -> Array:
        """Return the states, normed."""
        return mx.fast.rms_norm(x, self.weight, self.eps)


@contextlib.contextmanager
def lean(model: Any) -> Iterator[dict[str, float]]:
    """Let the model compute in fewer kernels inside the block; yields the scale of each `lora_b` that is given scaled, by path.

    A LoRA layer stays as it is where the base computes in float16, in which gradients summed over tokens would end.
    """
    low = model.model.norm.weight.dtype == mx.float16
    before = {
        path: module
        for path, module in model.named_modules()
        if (isinstance(module, LoRALinear) and not low) or _is_difference(module)
    }
    after = {path: LeanNorm(one) if _is_difference(one) else LeanLoRA(one) for path, one in before.items()}
    model.update_modules(tree_unflatten(list(after.items())))
    try:
        yield {f"{path}.lora_b": one.scale for path, one in before.items() if isinstance(one, LoRALinear)}
    finally:
        model.update_modules(tree_unflatten(list(before.items())))


def _is_difference(module: Any) -> bool:
    return type(module).__name__ == "RMSNorm" and not isinstance(module, nn.RMSNorm)
