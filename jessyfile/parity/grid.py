"""Whether stored numbers are roundings of given ones, whatever type they are stored in and whoever rounded.

Every quantizer puts each number on the nearest point of its block's grid; which grid it chose (with or without an importance
matrix, by one search or another) does not matter. Some then move the grid and leave the numbers on their points: the scale is
cut to 16 bits, or fitted anew to what was rounded. So a number is wrong when it lies nearer to another point of the same block
than to its own, both as the grid stands and as it fits the block best. Few of them come of rounding twice (by BF16 or F16
first); many say that the file was made of other numbers, even where their difference is far below the type's error.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

_F32, _F16, _Q8_0, _BF16 = 0, 1, 8, 30
_BY_16 = (10, 11, 14)  # Q2_K, Q3_K and Q6_K have a scale for 16 numbers, the other types for 32
_SAMPLE = 8192  # blocks of a run of rows
_TWICE = 2.0**-8  # as far as BF16 rounds
_HAIR = 1e-3
_SCALES = 3 * 2.0**-11  # of a block's largest number: as far as a scale and a minimum in F16 move a point


def misplaced(given: Array, stored: Array, kind: int) -> tuple[int, int]:
    """Return how many of the numbers that were looked at are not the roundings of the given ones, and how many were.

    Args:
        given: the numbers, float32.
        stored: what the file holds in their places, dequantized.
        kind: the ggml_type that they are stored in.

    Returns:
        The two counts.
    """
    import numpy as np

    if kind in (_F32, _F16, _BF16):
        near = np.float32(6e-8 if kind == _F16 else 1e-30)
        wrong = np.abs(given - stored) > np.abs(given) * np.float32(_TWICE) + near
        return int(np.count_nonzero(wrong)), given.size
    width = 16 if kind in _BY_16 else 32
    blocks, values = (_sampled(array.reshape(-1, width)) for array in (given, stored))
    wrong = _off_by_step(blocks, values) if kind == _Q8_0 else _nearer_to_another(blocks, values)
    return int(np.count_nonzero(wrong)), blocks.size


def _sampled(blocks: Array) -> Array:
    import numpy as np

    if len(blocks) <= _SAMPLE:
        return blocks
    return blocks[np.linspace(0, len(blocks) - 1, _SAMPLE).astype(np.int64)]


def _off_by_step(blocks: Array, values: Array) -> Array:
    """Eight bits have so many points that a block shows few neighbours; its step is its largest number by 127."""
    import numpy as np

    half = np.abs(values).max(axis=1, keepdims=True) / 127 / 2
    wrong: Array = np.abs(blocks - values) > half * (1 + 16 * _HAIR) + np.abs(blocks).max(axis=1, keepdims=True) / 2048
    return wrong


def _nearer_to_another(blocks: Array, values: Array) -> Array:
    """Return the wrong numbers of each block, by the grid that leaves fewer of them."""
    import numpy as np

    order = np.argsort(values, axis=1)
    given, points = (np.take_along_axis(array, order, 1) for array in (blocks, values))
    lowest, highest = _reach(points)
    as_it_stands, fitted = (((one < lowest) | (one > highest)) for one in (given, _fitted(given, points)))
    fewer = np.count_nonzero(fitted, axis=1) < np.count_nonzero(as_it_stands, axis=1)
    wrong: Array = np.where(fewer[:, None], fitted, as_it_stands)
    return wrong


def _reach(points: Array) -> tuple[Array, Array]:
    """Return the lowest and the highest number that is rounded to each of the sorted points of a block."""
    import numpy as np

    above, below = np.full_like(points, np.inf), np.full_like(points, -np.inf)
    for at in range(points.shape[1] - 2, -1, -1):
        above[:, at] = np.where(points[:, at + 1] > points[:, at], points[:, at + 1], above[:, at + 1])
    for at in range(1, points.shape[1]):
        below[:, at] = np.where(points[:, at - 1] < points[:, at], points[:, at - 1], below[:, at - 1])
    slack = np.abs(points).max(axis=1, keepdims=True) * np.float32(_SCALES)
    half = np.float32(0.5 + _HAIR)
    return points - (points - below) * half - slack, points + (above - points) * half + slack


def _fitted(given: Array, points: Array) -> Array:
    """Return the numbers of each block, stretched and moved as they come nearest to its points."""
    import numpy as np

    centre, middle = given.mean(axis=1, keepdims=True), points.mean(axis=1, keepdims=True)
    spread = np.maximum(np.square(given - centre).sum(axis=1, keepdims=True), np.float32(1e-30))
    stretch = ((given - centre) * (points - middle)).sum(axis=1, keepdims=True) / spread
    moved: Array = stretch * (given - centre) + middle
    return moved
