"""Several rows in one sequence that do not see each other, for a GPU: few shapes, little padding.

A row's tokens see the shared prefix and the row itself; their positions go on from the prefix's end, whatever stands before
them in the sequence. So the loss and its gradient are those of rows that stand alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from jessyfile.training.batches import EVEN, LossWeights, pack_rows
from jessyfile.training.encoded import Encoded

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

PAD = -1  # the segment of places that hold no row's token, the row of a target that is none
_TOKENS, _TARGETS = 64, 256  # a sequence's length and the number of targets are multiples of these
_SHAPES = 4  # at most so many shapes: a GPU compiles its kernels for each
_ROOM = 512  # tokens a sequence takes where rows are shorter: a GPU multiplies long ones faster


@dataclass(frozen=True, slots=True)
class Size:
    """The shape of a batch: sequences, tokens of one, targets in all; and whether several rows share a sequence."""

    count: int
    width: int
    targets: int
    together: bool


@dataclass(frozen=True, slots=True)
class Bins:
    """Rows in sequences of one length.

    inputs     (sequences, length) token ids; 0 where no row is
    positions  (sequences, length) each token's position in its row, the prefix counted
    segments   (sequences, length) the number of the token's row in its sequence, `PAD` where no row is
    where      (targets,) flat places of the states that predict a trained token
    targets    (targets,) the tokens to predict there
    weights    (targets,) how much each counts, float32; 0 for those that only fill the shape
    row        (targets,) which of the chosen rows each belongs to; `PAD` for those that only fill the shape
    """

    inputs: NDArray[np.int32]
    positions: NDArray[np.int32]
    segments: NDArray[np.int32]
    where: NDArray[np.int32]
    targets: NDArray[np.int32]
    weights: NDArray[np.float32]
    row: NDArray[np.int32]

    @property
    def trained(self) -> int:
        """How many targets there are."""
        return int((self.row != PAD).sum())


def first_fit(lengths: Sequence[int], width: int) -> list[list[int]]:
    """Deal rows to sequences of `width` tokens, the longest first, each into the first that has room; return row numbers."""
    bins: list[list[int]] = []
    room: list[int] = []
    for row in sorted(range(len(lengths)), key=lambda i: (-lengths[i], i)):
        place = next((b for b, left in enumerate(room) if left >= lengths[row]), len(bins))
        if place == len(bins):
            bins.append([])
            room.append(width)
        bins[place].append(row)
        room[place] -= lengths[row]
    return bins


@dataclass(frozen=True, slots=True)
class Shapes:
    """The few shapes that some batches of rows take, the smallest first; `lengths` and `targets` are each row's."""

    lengths: list[int]
    targets: list[int]
    sizes: tuple[Size, ...]

    def holding(self, chosen: Sequence[int]) -> Size:
        """Return the first shape that holds a batch."""
        own, wanted = [self.lengths[row] for row in chosen], sum(self.targets[row] for row in chosen)
        return next(
            size
            for size in self.sizes
            if max(own) <= size.width
            and wanted <= size.targets
            and len(_dealt(own, size.width, together=size.together)) <= size.count
        )


def shapes_of(rows: Encoded, batches: Sequence[Sequence[int]], *, together: bool) -> Shapes:
    """Return shapes of which one holds each batch.

    Args:
        rows: the encoded rows.
        batches: numbers of the rows of each.
        together: whether several rows share a sequence; else each has its own.
    """
    lengths, targets = _own_lengths(rows), _own_targets(rows)
    weights = [(sum if together else max)(lengths[row] for row in batch) for batch in batches]
    classes: dict[int, list[Sequence[int]]] = {}
    for weight, batch in zip(weights, batches, strict=True):
        classes.setdefault(-(-weight * _SHAPES // max(weights)), []).append(batch)
    found: dict[tuple[int, int], int] = {}
    for _, members in sorted(classes.items()):
        longest = max(lengths[row] for batch in members for row in batch)
        room = min(_ROOM, max(sum(lengths[row] for row in batch) for batch in members)) if together else 0
        width = _up(max(longest, room), _TOKENS)
        count = max(len(_dealt([lengths[row] for row in batch], width, together=together)) for batch in members)
        most = max(sum(targets[row] for row in batch) for batch in members)
        found[count, width] = max(_up(most, _TARGETS), found.get((count, width), 0))  # of the same sequences one shape
    return Shapes(lengths, targets, tuple(Size(*size, most, together) for size, most in found.items()))


def fill(rows: Encoded, chosen: Sequence[int], size: Size, counted: LossWeights = EVEN) -> Bins:
    """Put rows into sequences.

    Args:
        rows: the encoded rows.
        chosen: numbers of the rows.
        size: the shape, as `Shapes.holding` gives it.
        counted: the weights of end-of-turn and level tokens in the loss.

    Returns:
        The rows in sequences of the shape.
    """
    import numpy as np

    packed = pack_rows(rows, list(chosen), counted)
    spans = list(pairwise(packed.rows.starts))
    shape = (size.count, size.width)
    inputs, positions, segments = np.zeros(shape, np.int32), np.zeros(shape, np.int32), np.full(shape, PAD, np.int32)
    moved = np.zeros(len(packed.ids), np.int64)
    dealt = _dealt([end - start for start, end in spans], size.width, together=size.together)
    for number, members in enumerate(dealt):
        at = 0
        for segment, row in enumerate(members):
            start, end = spans[row]
            here = slice(at, at + end - start)
            inputs[number, here] = packed.ids[start:end]
            positions[number, here] = packed.rows.shared + np.arange(end - start)
            segments[number, here] = segment
            moved[start:end] = number * size.width + at + np.arange(end - start)
            at += end - start
    filling = (0, size.targets - len(packed.targets))
    return Bins(
        inputs,
        positions,
        segments,
        np.pad(moved[packed.where], filling).astype(np.int32),
        np.pad(packed.targets, filling).astype(np.int32),
        np.pad(packed.weights, filling),
        np.pad(packed.row, filling, constant_values=PAD).astype(np.int32),
    )


def _dealt(lengths: Sequence[int], width: int, *, together: bool) -> list[list[int]]:
    return first_fit(lengths, width) if together else [[row] for row in range(len(lengths))]


def _own_lengths(rows: Encoded) -> list[int]:
    """Return how many places each row takes: its tokens but the last, and the prefix's last before them."""
    lead = min(len(rows.prefix), 1)
    found: list[int] = (rows.lengths() - 1 + lead).tolist()
    return found


def _own_targets(rows: Encoded) -> list[int]:
    """Return how many targets each row has."""
    import numpy as np

    trained = rows.trained.copy()
    if not len(rows.prefix):
        trained[rows.offsets[:-1]] = False  # nothing comes before a first token
    before = np.concatenate([[0], np.cumsum(trained)])
    found: list[int] = (before[rows.offsets[1:]] - before[rows.offsets[:-1]]).tolist()
    return found


def _up(number: int, step: int) -> int:
    return -(-number // step) * step
