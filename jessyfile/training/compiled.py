"""Updates on a GPU: compiled once for each of a few shapes, the optimizer included, and read only when somebody looks.

An update of a small model is thousands of small kernels. So the adapter's arrays, their gradients and the optimizer's
state are one vector each; rows share sequences of one length (`bins`); and the next update is started before the loss of the
one before is read. What is not finite changes nothing: the vectors stay as they were. Several processes add their sums between
the gradient and the optimizer, and hear from each other by the same sum.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from jessyfile.errors import InsufficientMemoryError
from jessyfile.language.recipe import Train
from jessyfile.training.batches import EVEN, LossWeights
from jessyfile.training.bins import Bins, Shapes, fill, shapes_of
from jessyfile.training.encoded import Encoded, with_prefix
from jessyfile.training.gradient import guarded
from jessyfile.training.optimizer import moved
from jessyfile.training.ranks import Ranks
from jessyfile.training.sequences import binned_loss, shares_its_prefix
from jessyfile.training.vectors import Array, Arrays, Vectors, cut, flat, vectors_of

_LOGITS = 1 << 31  # bytes of float32 logits that may be in memory at once
_TOLD = 5  # numbers behind the gradient: loss, weights, targets, whether a stop is asked for, whether memory was short


@dataclass(frozen=True, slots=True)
class Update:
    """An update that is done: mean loss in nats, gradient norm, trained tokens, and whether a process was asked to stop."""

    loss: float
    norm: float
    tokens: int
    asked: bool


@dataclass(frozen=True, slots=True)
class Started:
    """An update under way, nothing of it read yet; `compiling` seconds were spent on a shape that came for the first time."""

    told: Array
    compiling: float = 0.0

    def read(self, rows: int = 1) -> Update:
        """Wait for the update of so many rows at a time. Raises InsufficientMemoryError, in every process when one has too little."""
        loss, mass, tokens, asked, short, norm = guarded(self.told.tolist, rows)
        if short:
            raise InsufficientMemoryError(f"{rows} rows at a time do not fit into the memory of every process")
        return Update(loss / mass, norm, int(tokens), asked > 0)


@dataclass(slots=True)
class Compiled:
    """An adapter and its optimizer as vectors, and the functions that train them.

    scales  what each number is multiplied by where the model computes with it, which is done in `dtype`
    """

    model: Any
    train: Train
    rows: Encoded
    counted: LossWeights
    fitting: Shapes
    vectors: Vectors
    scales: Array
    dtype: Any
    chunk: int
    ranks: Ranks
    _met: set[object] = field(default_factory=set)
    _accumulate: Callable[..., Any] = field(init=False)
    _apply: Callable[..., Any] = field(init=False)
    _held_out: Callable[..., Any] = field(init=False)

    def __post_init__(self) -> None:
        import mlx.core as mx

        random = mx.random.state
        self._accumulate = mx.compile(self._accumulated, inputs=random, outputs=random)
        self._apply = mx.compile(self._applied)
        self._held_out = mx.compile(self._loss)

    # what the trainer asks ----------------------------------------------------------------------------------------------------

    def start(
        self, parts: Mapping[int, Sequence[int]], rate: float, seed_of: Callable[[int], int], *, asked: bool = False
    ) -> Started:
        """Begin an update.

        Args:
            parts: the rows of each part that this process computes, by its number.
            rate: the learning rate.
            seed_of: what seeds the dropout of a part.
            asked: whether this process is asked to stop, which all hear.

        Returns:
            The update, under way.

        Raises:
            InsufficientMemoryError: Memory is too short, and no other process waits for this one.
        """
        import mlx.core as mx

        def begun() -> Started:
            before, known = time.perf_counter(), len(self._met)
            sums = self.ranks.summed(self._own_sums(parts, seed_of, asked=asked))
            held = self.vectors
            told, *after = self._apply(held.values, held.first, held.second, held.step, sums, mx.array(rate))
            held.values, held.first, held.second, held.step = after
            mx.async_eval(told, *after)  # type: ignore[no-untyped-call]
            return Started(told, time.perf_counter() - before if len(self._met) > known else 0.0)

        return guarded(begun, self.train.batch_size)

    def held_out(self, rows: Encoded, batches: Sequence[Sequence[int]]) -> tuple[float, int]:
        """Return the summed loss of some rows, without dropout, and their targets. Raises InsufficientMemoryError."""
        import mlx.core as mx

        rows = rows if len(self.rows.prefix) else with_prefix(rows)

        def summed() -> list[float]:
            shapes = shapes_of(rows, batches, together=self.train.pack == "rows")
            value, count = mx.array(0.0), 0
            for batch in batches[self.ranks.rank :: self.ranks.size]:
                bins = fill(rows, batch, shapes.holding(batch), EVEN)
                value = value + self._held_out(self.vectors.values, self._arrays(bins))
                count += int((bins.weights > 0).sum())
                mx.async_eval(value)  # type: ignore[no-untyped-call]
            return [float(value), count]

        self.model.eval()
        try:
            value, count = self.ranks.together(lambda: guarded(summed, self.train.batch_size))
            return value, int(count)
        finally:
            self.model.train()

    def finite(self, row: int) -> bool:
        """Return whether a row's own loss and gradient are finite."""
        import mlx.core as mx

        bins, values = fill(self.rows, [row], self.fitting.holding([row]), self.counted), self.vectors.values
        sums = self._accumulate(values, mx.zeros(values.size + _TOLD), self._arrays(bins), mx.zeros(_TOLD - 1))
        return bool(mx.all(mx.isfinite(sums)))

    # one update ---------------------------------------------------------------------------------------------------------------

    def _own_sums(self, parts: Mapping[int, Sequence[int]], seed_of: Callable[[int], int], *, asked: bool) -> Array:
        """Return what this process adds to the update: the gradient and the numbers behind it.

        Where others wait for it, too little memory is told as a loss that is not a number, so that no process moves.
        """
        import mlx.core as mx

        values = self.vectors.values

        def added() -> Array:
            sums = mx.zeros(values.size + _TOLD)
            for number, part in parts.items():
                size = self.fitting.holding(part)
                bins = fill(self.rows, part, size, self.counted)
                mx.random.seed(seed_of(number))
                told = [float(bins.weights.sum(dtype="float64")), float((bins.weights > 0).sum()), float(asked), 0.0]
                sums = self._accumulate(values, sums, self._arrays(bins), mx.array(told))
                self._met.add(size)
            if self.ranks.size > 1:
                mx.async_eval(sums)  # type: ignore[no-untyped-call]
            return sums

        try:
            return guarded(added, self.train.batch_size)
        except InsufficientMemoryError:
            if self.ranks.size == 1:
                raise
            return mx.concatenate([mx.zeros(values.size), mx.array([math.nan, 1.0, 0.0, float(asked), 1.0])])

    # what is compiled ---------------------------------------------------------------------------------------------------------

    def _accumulated(self, values: Array, sums: Array, arrays: Arrays, told: Array) -> Array:
        """Return the sums with a part's gradient, its loss and what is told of it added."""
        import mlx.core as mx

        # by array, for the gradient of cutting a vector is a vector of its whole length for each piece
        value, gradients = mx.value_and_grad(self._of_views)(self._low(values), arrays)
        gradient = flat(gradients[path] for path in self.vectors.shapes) * self.scales
        return sums + mx.concatenate([gradient, value.reshape(1), told])

    def _applied(
        self, values: Array, first: Array, second: Array, step: Array, sums: Array, rate: Array
    ) -> tuple[Array, ...]:
        """Return what is told and the gradient's norm, and the vectors after AdamW; unchanged when something is not finite."""
        import mlx.core as mx

        told = sums[-_TOLD:]
        gradient = sums[:-_TOLD] / told[1]
        norm = mx.sqrt(mx.sum(gradient * gradient))
        if self.train.max_grad_norm:
            gradient = gradient * mx.minimum(1.0, self.train.max_grad_norm / (norm + 1e-6))
        before = (values, first, second, step)
        decayed = values * (1 - rate * self.train.weight_decay)
        after = moved((decayed, first, second, step), gradient, rate)
        sound = mx.isfinite(norm) & mx.isfinite(told[0])
        vectors = (mx.where(sound, new, old) for new, old in zip(after, before, strict=True))
        return mx.concatenate([told, norm.reshape(1)]), *vectors

    def _loss(self, values: Array, arrays: Arrays) -> Array:
        return self._of_views(self._low(values), arrays)

    def _low(self, values: Array) -> dict[str, Array]:
        """Return the adapter's arrays as the model computes with them."""
        return cut((values * self.scales).astype(self.dtype), self.vectors.shapes)

    def _of_views(self, views: Arrays, arrays: Arrays) -> Array:
        import mlx.core as mx
        from mlx.utils import tree_unflatten

        self.model.update(tree_unflatten(list(views.items())))
        return binned_loss(self.model, mx.array(self.rows.prefix[:-1]), arrays, self.chunk)

    def _arrays(self, bins: Bins) -> dict[str, Array]:
        """Return what the loss is told of some rows: places in a sequence only where several share one."""
        import mlx.core as mx

        unseen = () if self.train.pack == "rows" else ("positions", "segments")
        return {name: mx.array(value) for name, value in asdict(bins).items() if name not in unseen}


def compiled(
    model: Any,
    train: Train,
    rows: Encoded,
    counted: LossWeights,
    parts: Sequence[Sequence[int]],
    scales: Mapping[str, float],
    ranks: Ranks,
) -> Compiled:
    """Return the compiled training of a model's adapter.

    Args:
        model: the MLX model with its adapter, `lean`, and rotated by position where several rows share a sequence.
        train: the recipe's TRAIN settings.
        rows: the rows that are trained.
        counted: the weights of end-of-turn and level tokens in the loss.
        parts: the rows of every part of every update: the shapes follow from them.
        scales: by what some of the adapter's arrays are multiplied before the model is given them, by path.
        ranks: the processes that share the parts.
    """
    import mlx.core as mx

    from jessyfile.training.adapter import parameters

    rows = rows if shares_its_prefix(model, len(rows.prefix) * train.batch_size) else with_prefix(rows)
    arrays = parameters(model)
    held = model.model.norm.weight.dtype
    return Compiled(
        model,
        train,
        rows,
        counted,
        shapes_of(rows, parts, together=train.pack == "rows"),
        vectors_of(arrays),
        flat(mx.full(array.shape, scales.get(path, 1.0)) for path, array in arrays.items()),
        # in bfloat16 where every array is one of a lean layer's; a length of DoRA's needs more digits
        held if len(arrays) == 2 * len(scales) else mx.float32,
        max(256, _LOGITS // (4 * int(vars(model.args)["vocab_size"]))),
        ranks,
    )
