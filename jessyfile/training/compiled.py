"""Updates on a GPU: compiled once for each of a few shapes, the optimizer included, and read only when somebody looks.

An update of a small model is thousands of small kernels. So the adapter's arrays, their gradients and the optimizer's
state are one vector each; rows share sequences of one length (`bins`); and the next update is started before the loss of the
one before is read. What is not finite changes nothing: the vectors stay as they were. Several processes add their sums between
the gradient and the optimizer, and hear from each other by the same sum.
"""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from jessyfile import machine
from jessyfile.errors import InsufficientMemoryError
from jessyfile.language.recipe import Train
from jessyfile.models.shape import shape_of
from jessyfile.training.batches import EVEN, LossWeights
from jessyfile.training.bins import Bins, Shapes, fill, shapes_of
from jessyfile.training.encoded import Encoded, with_prefix
from jessyfile.training.gradient import guarded
from jessyfile.training.ranks import Ranks
from jessyfile.training.sequences import binned_loss

BETAS = (0.9, 0.999)
_EPSILON = 1e-8
_LOGITS = 1 << 31  # bytes of float32 logits that may be in memory at once
_WORK = (
    5e11  # tokens times weights that a CUDA card multiplies before the host has asked for the kernels of one more pass
)
_TOLD = 5  # numbers behind the gradient: loss, weights, targets, whether a stop is asked for, whether memory was short

Array = Any  # mx.array; MLX ships no complete types
Arrays = Mapping[str, Array]


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
    """The adapter and its optimizer as vectors on the GPU, and the functions that train them.

    scales  what each number is multiplied by where the model computes with it, which is done in `dtype`
    """

    model: Any
    train: Train
    rows: Encoded
    counted: LossWeights
    fitting: Shapes
    names: Sequence[str]
    shapes: Sequence[tuple[int, ...]]
    values: Array
    first: Array
    second: Array
    step: Array
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
            told, *after = self._apply(self.values, self.first, self.second, self.step, sums, mx.array(rate))
            self.values, self.first, self.second, self.step = after
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
                value = value + self._held_out(self.values, self._arrays(bins))
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

        bins = fill(self.rows, [row], self.fitting.holding([row]), self.counted)
        sums = self._accumulate(
            self.values, mx.zeros(self.values.size + _TOLD), self._arrays(bins), mx.zeros(_TOLD - 1)
        )
        return bool(mx.all(mx.isfinite(sums)))

    def parameters(self) -> dict[str, Array]:
        """Return the adapter's arrays by path."""
        return dict(zip(self.names, self._views(self.values), strict=True))

    def state(self) -> dict[str, Array]:
        """Return the optimizer's state under the names that MLX's AdamW gives it."""
        moments = zip(self.names, self._views(self.first), self._views(self.second), strict=True)
        named = {f"{name}.{key}": array for name, m, v in moments for key, array in (("m", m), ("v", v))}
        return {"step": self.step, **named}

    def load(self, adapter: Arrays, state: Arrays) -> None:
        """Take an adapter and the optimizer's state from a checkpoint."""
        import mlx.core as mx

        self.values = _flat([adapter[name] for name in self.names])
        self.first = _flat([state[f"{name}.m"] for name in self.names])
        self.second = _flat([state[f"{name}.v"] for name in self.names])
        self.step = state["step"].astype(mx.float32)

    # one update ---------------------------------------------------------------------------------------------------------------

    def _own_sums(self, parts: Mapping[int, Sequence[int]], seed_of: Callable[[int], int], *, asked: bool) -> Array:
        """Return what this process adds to the update: the gradient and the numbers behind it.

        Where others wait for it, too little memory is told as a loss that is not a number, so that no process moves.
        """
        import mlx.core as mx

        def added() -> Array:
            sums = mx.zeros(self.values.size + _TOLD)
            for number, part in parts.items():
                size = self.fitting.holding(part)
                bins = fill(self.rows, part, size, self.counted)
                mx.random.seed(seed_of(number))
                told = [float(bins.weights.sum(dtype="float64")), float((bins.weights > 0).sum()), float(asked), 0.0]
                sums = self._accumulate(self.values, sums, self._arrays(bins), mx.array(told))
                self._met.add(size)
            if self.ranks.size > 1:
                mx.async_eval(sums)  # type: ignore[no-untyped-call]
            return sums

        try:
            return guarded(added, self.train.batch_size)
        except InsufficientMemoryError:
            if self.ranks.size == 1:
                raise
            return mx.concatenate([mx.zeros(self.values.size), mx.array([math.nan, 1.0, 0.0, float(asked), 1.0])])

    # what is compiled ---------------------------------------------------------------------------------------------------------

    def _accumulated(self, values: Array, sums: Array, arrays: Arrays, told: Array) -> Array:
        """Return the sums with a part's gradient, its loss and what is told of it added."""
        import mlx.core as mx

        # by array, for the gradient of cutting a vector is a vector of its whole length for each piece
        value, gradients = mx.value_and_grad(self._of_views)(self._low(values), arrays)
        return sums + mx.concatenate([_flat(gradients) * self.scales, value.reshape(1), told])

    def _applied(
        self, values: Array, first: Array, second: Array, step: Array, sums: Array, rate: Array
    ) -> tuple[Array, ...]:
        """Return what is told and the gradient's norm, and the vectors after AdamW with bias correction; unchanged when something
        is not finite.
        """
        import mlx.core as mx

        told = sums[-_TOLD:]
        gradient = sums[:-_TOLD] / told[1]
        norm = mx.sqrt(mx.sum(gradient * gradient))
        if self.train.max_grad_norm:
            gradient = gradient * mx.minimum(1.0, self.train.max_grad_norm / (norm + 1e-6))
        step_after = step + 1
        m = BETAS[0] * first + (1 - BETAS[0]) * gradient
        v = BETAS[1] * second + (1 - BETAS[1]) * gradient * gradient
        corrected = mx.sqrt(v / (1 - BETAS[1] ** step_after)) + _EPSILON
        moved = (m / (1 - BETAS[0] ** step_after)) / corrected
        after = values * (1 - rate * self.train.weight_decay) - rate * moved
        sound = mx.isfinite(norm) & mx.isfinite(told[0])
        pairs = ((after, values), (m, first), (v, second), (step_after, step))
        return mx.concatenate([told, norm.reshape(1)]), *(mx.where(sound, new, old) for new, old in pairs)

    def _loss(self, values: Array, arrays: Arrays) -> Array:
        return self._of_views(self._low(values), arrays)

    def _low(self, values: Array) -> list[Array]:
        """Return the adapter's arrays as the model computes with them."""
        return self._views((values * self.scales).astype(self.dtype))

    def _of_views(self, views: Sequence[Array], arrays: Arrays) -> Array:
        import mlx.core as mx
        from mlx.utils import tree_unflatten

        self.model.update(tree_unflatten(list(zip(self.names, views, strict=True))))
        return binned_loss(self.model, mx.array(self.rows.prefix[:-1]), arrays, self.chunk)

    def _arrays(self, bins: Bins) -> dict[str, Array]:
        """Return what the loss is told of some rows: places in a sequence only where several share one."""
        import mlx.core as mx

        unseen = () if self.train.pack == "rows" else ("positions", "segments")
        return {name: mx.array(value) for name, value in asdict(bins).items() if name not in unseen}

    def _views(self, flat: Array) -> list[Array]:
        import mlx.core as mx

        ends = list(itertools.accumulate(math.prod(shape) for shape in self.shapes))
        pieces = mx.split(flat, ends[:-1]) if len(ends) > 1 else [flat]
        return [piece.reshape(shape) for piece, shape in zip(pieces, self.shapes, strict=True)]


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

    rows = rows if _shares_its_prefix(model, len(rows.prefix) * train.batch_size) else with_prefix(rows)
    arrays = parameters(model)
    flat = _flat(list(arrays.values()))
    held = model.model.norm.weight.dtype
    return Compiled(
        model,
        train,
        rows,
        counted,
        shapes_of(rows, parts, together=train.pack == "rows"),
        list(arrays),
        [array.shape for array in arrays.values()],
        flat,
        mx.zeros_like(flat),
        mx.zeros_like(flat),
        mx.array(0.0),
        _flat([mx.full(array.shape, scales.get(name, 1.0)) for name, array in arrays.items()]),
        # in bfloat16 where every array is one of a lean layer's; a length of DoRA's needs more digits
        held if len(arrays) == 2 * len(scales) else mx.float32,
        max(256, _LOGITS // (4 * int(vars(model.args)["vocab_size"]))),
        ranks,
    )


def _shares_its_prefix(model: Any, tokens: int) -> bool:
    """Return whether to compute the prefix that rows share once, which takes kernels of its own, and not so many tokens of it."""
    shape = shape_of(vars(model.args))
    weights = shape.layers * sum(inner * outer for inner, outer in shape.linear.values())
    return machine.chip() != "CUDA" or tokens * weights > _WORK


def _flat(arrays: Sequence[Array]) -> Array:
    import mlx.core as mx

    return mx.concatenate([array.reshape(-1) for array in arrays]).astype(mx.float32)
