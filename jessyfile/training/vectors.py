"""An adapter and AdamW's moments as one vector each: on a GPU every array would take kernels of its own."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

Array = Any  # mx.array; MLX ships no complete types
Arrays = Mapping[str, Array]
Shapes = Mapping[str, tuple[int, ...]]


@dataclass(slots=True)
class Vectors:
    """An adapter's values and both moments of them, each a vector of all arrays, and how many steps were made."""

    shapes: Shapes
    values: Array
    first: Array
    second: Array
    step: Array

    def parameters(self) -> dict[str, Array]:
        """Return the adapter's arrays by path."""
        return cut(self.values, self.shapes)

    def state(self) -> dict[str, Array]:
        """Return the optimizer's state under the names that MLX's AdamW gives it."""
        moments = (("m", self.first), ("v", self.second))
        named = {f"{path}.{key}": one for key, vector in moments for path, one in cut(vector, self.shapes).items()}
        return {"step": self.step, **named}

    def load(self, adapter: Arrays, state: Arrays) -> None:
        """Take an adapter and the optimizer's state from a checkpoint."""
        import mlx.core as mx

        self.values = flat(adapter[path] for path in self.shapes)
        self.first = flat(state[f"{path}.m"] for path in self.shapes)
        self.second = flat(state[f"{path}.v"] for path in self.shapes)
        self.step = state["step"].astype(mx.float32)


def vectors_of(adapter: Arrays) -> Vectors:
    """Return an adapter as vectors, before the first step."""
    import mlx.core as mx

    values = flat(adapter.values())
    shapes = {path: array.shape for path, array in adapter.items()}
    return Vectors(shapes, values, mx.zeros_like(values), mx.zeros_like(values), mx.array(0.0))


def flat(arrays: Iterable[Array]) -> Array:
    """Return arrays one after the other, in float32."""
    import mlx.core as mx

    return mx.concatenate([array.reshape(-1) for array in arrays]).astype(mx.float32)


def cut(vector: Array, shapes: Shapes) -> dict[str, Array]:
    """Return the arrays of these shapes that lie one after the other in a vector."""
    import mlx.core as mx

    ends = list(itertools.accumulate(math.prod(shape) for shape in shapes.values()))
    pieces = mx.split(vector, ends[:-1]) if len(ends) > 1 else [vector]
    return {path: piece.reshape(shapes[path]) for path, piece in zip(shapes, pieces, strict=True)}
