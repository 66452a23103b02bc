"""Which rows go into which batch: every row once an epoch, little padding, persona and languages spread evenly.

The order of an epoch follows from (seed, epoch) alone, so a resumed run sees what an uninterrupted one would have seen.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from jessyfile.language.recipe import Train
from jessyfile.training.encoded import Encoded

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_POOL = 8  # batches sorted by length together when packing: enough to save padding, few enough to keep epochs different


@dataclass(frozen=True, slots=True)
class LossWeights:
    """How many times as much as another token the one that ends an answer counts, and the one that names a level."""

    end: float = 1.0
    level: float = 1.0


EVEN = LossWeights()
COMPARED = LossWeights(
    end=0.0, level=0.0
)  # what answers are compared by: neither the marker's line nor the end of turn


@dataclass(frozen=True, slots=True)
class Layout:
    """Where rows lie in a matrix of tokens: first the `own` tokens of their prefix, which has `shared` in all, then the rows, cut at
    `starts`. The prefix's other tokens lie in the matrices that are computed beside this one.
    """

    shared: int
    starts: tuple[int, ...]
    own: range

    def spans(self) -> Iterator[tuple[int, int, int]]:
        """Yield each row's first place, its end, and how many tokens of the prefix come before it."""
        if self.own:
            yield 0, len(self.own), self.own.start
        yield from ((start, end, self.shared) for start, end in zip(self.starts[:-1], self.starts[1:], strict=True))

    @property
    def longest(self) -> int:
        """How many tokens the longest row has, the prefix counted."""
        return max(before + end - start for start, end, before in self.spans())

    def positions(self) -> NDArray[np.int64]:
        """Return every token's position in its row, the prefix counted."""
        import numpy as np

        return np.concatenate([before + np.arange(end - start) for start, end, before in self.spans()])


@dataclass(frozen=True, slots=True)
class Targets:
    """What a batch trains.

    where    (targets,) the places of the states that predict a trained token
    targets  (targets,) the tokens to predict there
    weights  (targets,) how much each counts, float32: 1, or the weight asked for where the target ends an answer or names a level
    row      (targets,) which of the batch's rows each belongs to
    """

    where: NDArray[np.int64]
    targets: NDArray[np.int32]
    weights: NDArray[np.float32]
    row: NDArray[np.int64]

    @property
    def mass(self) -> float:
        """What the loss is divided by: the sum of the weights."""
        return float(self.weights.sum(dtype="float64"))


@dataclass(frozen=True, slots=True)
class Packed(Targets):
    """Rows one after the other behind the prefix that they share, without padding.

    ids      (tokens,) the prefix without its last token; of every row: that token, then the row's own without its last
    rows     where they lie
    numbers  which rows they are
    entering what enters the lowest adapted layer, shape (tokens, hidden); None where that is to be computed
    """

    ids: NDArray[np.int32]
    rows: Layout
    numbers: Sequence[int]
    entering: NDArray[np.float32] | None = None


@dataclass(frozen=True, slots=True)
class Batch(Targets):
    """Rows side by side, padded on the right; `where` counts places along all rows, rows * length.

    inputs   (rows, length) token ids: the prefix's last token, then the row's own without its last
    """

    inputs: NDArray[np.int32]


def epoch_batches(rows: Encoded, train: Train, per_batch: int, epoch: int) -> list[list[int]]:
    """Return one epoch's batches in training order.

    Args:
        rows: the encoded rows.
        train: the recipe's TRAIN settings; `pack` groups rows of similar length.
        per_batch: how many persona rows each batch should hold.
        epoch: the epoch's number; it changes the order.

    Returns:
        A list of row numbers for each batch.
    """
    import numpy as np

    generator = np.random.default_rng([train.seed, epoch])
    order = _spread(rows, generator)
    lengths = rows.lengths()
    batches: list[list[int]] = []
    size, pooled = train.batch_size, train.batch_size * (_POOL if train.pack == "length" else 1)
    for start in range(0, len(order), pooled):
        pool = sorted(order[start : start + pooled], key=lambda i: (lengths[i], i))
        cut = [pool[i : i + size] for i in range(0, len(pool), size)]
        _share_persona(cut, rows, per_batch)
        batches += cut
    return [batches[i] for i in generator.permutation(len(batches))]


def update_batches(rows: Encoded, train: Train, per_batch: int) -> list[list[list[int]]]:
    """Return every update's batches over all epochs; accumulation runs across epochs."""
    batches = [batch for epoch in range(train.epochs) for batch in epoch_batches(rows, train, per_batch, epoch)]
    step = train.grad_accumulation
    return [batches[i : i + step] for i in range(0, len(batches), step)]


def _spread(rows: Encoded, generator: np.random.Generator) -> list[int]:
    """Shuffle within each (language, persona) group and interleave the groups evenly."""
    groups: dict[tuple[int, bool], list[int]] = {}
    for i in range(len(rows)):
        groups.setdefault((int(rows.language[i]), bool(rows.persona[i])), []).append(i)
    placed: list[tuple[float, int]] = []
    for key in sorted(groups):
        members = generator.permutation(groups[key])
        placed += [((rank + generator.random()) / len(members), int(row)) for rank, row in enumerate(members)]
    return [row for _, row in sorted(placed)]


def _share_persona(batches: list[list[int]], rows: Encoded, per_batch: int) -> None:
    """Swap rows until every batch of the pool holds `per_batch` persona rows, or none can be spared.

    The partner is the nearest batch, whose rows are about as long, so padding stays small.
    """
    for needy in batches:
        while _count(needy, rows) < min(per_batch, len(needy)):
            donors = [b for b in batches if b is not needy and _count(b, rows) > per_batch]
            if not donors:
                return
            donor = min(donors, key=lambda b: abs(batches.index(b) - batches.index(needy)))
            given = next(i for i in donor if rows.persona[i])
            taken = next(i for i in needy if not rows.persona[i])
            donor[donor.index(given)], needy[needy.index(taken)] = taken, given


def _count(batch: list[int], rows: Encoded) -> int:
    return sum(bool(rows.persona[i]) for i in batch)


def build(rows: Encoded, chosen: list[int], step: int, counted: LossWeights = EVEN) -> Batch:
    """Pad the chosen rows to one length, a multiple of `step`, so that few shapes occur.

    Args:
        rows: the encoded rows.
        chosen: numbers of the rows in the batch.
        step: the padded length is a multiple of this many tokens.
        counted: the weights of end-of-turn and level tokens in the loss.

    Returns:
        Inputs of shape (rows, length); places, ids and weights of the targets, each of shape (targets,).
    """
    import numpy as np

    packed = pack_rows(rows, chosen, counted)
    starts = np.array(packed.rows.starts)
    width = -(-int(np.diff(starts).max()) // step) * step
    inputs, where = np.zeros((len(chosen), width), dtype=np.int32), packed.where.copy()
    for r, (start, end) in enumerate(pairwise(starts)):
        inputs[r, : end - start] = packed.ids[start:end]
        where[(packed.where >= start) & (packed.where < end)] += r * width - start
    return Batch(where, packed.targets, packed.weights, packed.row, inputs)


def pack_rows(rows: Encoded, chosen: list[int], counted: LossWeights = EVEN, own: range | None = None) -> Packed:
    """Put the chosen rows one after the other.

    A row's last token is never an input: nothing is predicted after it. A target at a row's first place follows the prefix, whose
    last token therefore opens every row of the batch; without a prefix a row's first token is never a target.

    Args:
        rows: the encoded rows.
        chosen: numbers of the rows.
        counted: the weights of end-of-turn and level tokens in the loss.
        own: which of the prefix's tokens lie before the rows, its last not counted; None for all.

    Returns:
        The tokens, where each row lies, and the targets.
    """
    import numpy as np

    lead, shared = min(len(rows.prefix), 1), rows.prefix[:-1]
    own = range(len(shared)) if own is None else own
    ids, starts, where, targets, levels = [shared[own.start : own.stop]], [len(own)], [], [], []
    for row in chosen:
        tokens, trained = rows.row(row)
        ids += [rows.prefix[-1:], tokens[:-1]]
        places = np.flatnonzero(trained)
        places = places[places + lead > 0]
        where.append(places - 1 + lead + starts[-1])
        targets.append(tokens[places])
        levels.append(rows.level[int(rows.offsets[row]) + places])
        starts.append(starts[-1] + lead + len(tokens) - 1)
    predicted = np.concatenate(targets)
    weights = np.where(predicted == rows.end[0], np.float32(counted.end), np.float32(1))
    weights[np.concatenate(levels)] = counted.level
    layout = Layout(len(shared), tuple(starts), own)
    rows_of = np.repeat(np.arange(len(where)), [len(places) for places in where])
    return Packed(np.concatenate(where), predicted, weights, rows_of, np.concatenate(ids), layout, chosen)
