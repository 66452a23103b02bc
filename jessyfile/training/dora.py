"""DoRA (Liu et al. 2024) over any base layer: mlx-lm's layer, with its row lengths found without building the adapted weight.

mlx-lm adds the low-rank product to the whole weight in every call to measure the rows of the sum. Their squares are also
|w|² + 2s·w·ab + s²·|ab|², row by row, which takes a product of the rank's width. So the base layer is only ever called: whatever it is
held in, float32, half precision or quantized, it is neither widened nor copied here.
"""

from __future__ import annotations

from typing import Any

import mlx.core as mx
from mlx_lm.tuner.dora import DoRALinear

Array = Any  # mx.array; MLX ships no complete types
_LEAST = 1e-30  # a row of zeros has a length of zero, and no direction


class DoRA(DoRALinear):  # type: ignore[misc]  # mlx-lm is not typed
    """A linear layer whose rows have trained lengths `m`, shape (out,), and directions changed by a low-rank product."""

    @staticmethod
    def from_base(linear: Any, r: int = 8, dropout: float = 0.0, scale: float = 20.0) -> DoRA:
        """Return the layer over another one; it computes what that one does until it is trained.

        Args:
            linear: the plain or quantized layer.
            r: the rank.
            dropout: the share of inputs that the low-rank product does not see while training.
            scale: the factor before the product.
        """
        rows, columns = linear.weight.shape
        width = columns * 32 // linear.bits if "scales" in linear else columns
        layer = DoRA(width, rows, r=r, dropout=dropout, scale=scale)
        layer.set_linear(linear)
        return layer

    def set_linear(self, linear: Any) -> None:
        """Take the base layer and the lengths of its rows."""
        super().set_linear(linear)
        self._squares = self.m * self.m  # of the base: the underscore keeps it from being trained

    def __call__(self, x: Array) -> Array:
        """Return the layer's output for states of shape (..., in)."""
        product = (self.dropout(x) @ self.lora_a) @ self.lora_b
        out = self._plain(x) + (self.scale * product).astype(x.dtype)
        out = (self.m / self._lengths()).astype(x.dtype) * out
        return out + self.linear.bias if "bias" in self.linear else out

    def _plain(self, x: Array) -> Array:
        out = self.linear(x)
        return out - self.linear.bias if "bias" in self.linear else out

    def _lengths(self) -> Array:
        """Return the lengths of the adapted rows, which the gradient takes for constant (section 4.3 of the paper)."""
        a, b = mx.stop_gradient(self.lora_a), mx.stop_gradient(self.lora_b)
        across = mx.sum(self._plain(a.T) * b, axis=0)
        own = mx.sum(((a.T @ a) @ b) * b, axis=0)
        squares = self._squares + 2 * self.scale * across + self.scale**2 * own
        return mx.sqrt(mx.maximum(squares, _LEAST))
