"""A layer's weight as float32 rows, whatever it is held in: for a CPU, where MLX computes everything else one number at a time.

A product of 256 tokens takes fifteen times as long in bfloat16 as in float32, and thirty to fifty times with a
quantized weight. To widen the weight first costs a small part of that, and nothing of it stays in memory.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jessyfile.models.weights import widened

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Chosen = Any  # a slice, or token ids in an array
_TYPES = {"float32": "F32", "float16": "F16", "bfloat16": "BF16"}


class WideRows:
    """The weight of a linear layer or of embeddings, plain or quantized by MLX; indexing gives rows in float32."""

    def __init__(self, layer: Any) -> None:
        self._layer = layer

    def __len__(self) -> int:
        return int(self._layer.weight.shape[0])

    def __getitem__(self, chosen: Chosen) -> NDArray[np.float32]:
        if "scales" in self._layer:
            return self._dequantized(chosen)
        return _rows(self._layer.weight, chosen)

    def _dequantized(self, chosen: Chosen) -> NDArray[np.float32]:
        import mlx.core as mx
        import numpy as np

        layer = self._layer
        if layer.mode != "affine" or layer.bits not in (4, 8):
            rows = chosen if isinstance(chosen, slice) else mx.array(chosen)
            offsets = layer.get("biases")
            offsets = None if offsets is None else offsets[rows]
            settings = {"group_size": layer.group_size, "bits": layer.bits, "mode": layer.mode}
            values = mx.dequantize(layer.weight[rows], layer.scales[rows], offsets, **settings)
            return np.asarray(values.astype(mx.float32))
        packed = np.asarray(layer.weight)[chosen].view(np.uint8)
        wide = np.empty((*packed.shape, 8 // layer.bits), np.float32)
        if layer.bits == 8:
            wide[..., 0] = packed
        else:
            wide[..., 0], wide[..., 1] = packed & 15, packed >> 4
        grouped = wide.reshape(len(packed), -1, layer.group_size)
        grouped *= _rows(layer.scales, chosen)[..., None]
        grouped += _rows(layer.biases, chosen)[..., None]
        return grouped.reshape(len(packed), -1)


def is_narrow(layer: Any) -> bool:
    """Return whether a layer's weight is held in less than float32."""
    import mlx.core as mx

    return bool(layer.weight.dtype != mx.float32)


def _rows(array: Any, chosen: Chosen) -> NDArray[np.float32]:
    import mlx.core as mx
    import numpy as np

    name = str(array.dtype).removeprefix("mlx.core.")
    stored = np.asarray(array.view(mx.uint16) if name == "bfloat16" else array)
    return widened(stored[chosen], _TYPES[name])
