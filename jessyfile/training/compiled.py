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
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from jessyfile.errors import InsufficientMemoryError
from jessyfile.language.recipe import Train
from jessyfile.training.bins import Bins, Shapes, fill, shapes_of
from jessyfile.training.encoded import Encoded, with_prefix
from jessyfile.training.gradient import Passes, Runner, Totals, guarded
from jessyfile.training.objective import ANSWERS, BETWEEN, Answers, Objective, as_arrays
from jessyfile.training.optimizer import moved
from jessyfile.training.sequences import binned_losses, shares_its_prefix
from jessyfile.training.vectors import Array, Arrays, Vectors, cut, flat, vectors_of

Value = Callable[
    [Arrays, Array], tuple[Array, Array]
]  # what makes of targets' cross-entropies a loss, and what is told of it

_LOGITS = 1 << 31  # bytes of float32 logits that may be in memory at once
# numbers behind the gradient: loss, margins and how many are above 0, what the loss is divided by, targets, whether a stop is asked for,
# whether memory was short
_TOLD, _MASS = 7, 3


@dataclass(frozen=True, slots=True)
class Update:
    """An update that is done: its sums without the gradient, that one's norm, and whether a process was asked to stop."""

    sums: Totals
    norm: float
    asked: bool


@dataclass(frozen=True, slots=True)
class Started:
    """An update under way, nothing of it read yet; `compiling` seconds were spent on a shape that came for the first time."""

    told: Array
    compiling: float = 0.0

    def read(self, rows: int = 1) -> Update:
        """Wait for the update of so many rows at a time. Raises InsufficientMemoryError, in every process when one has too little."""
        loss, margin, preferred, mass, tokens, asked, short, norm = guarded(self.told.tolist, rows)
        if short:
            raise InsufficientMemoryError(f"{rows} rows at a time do not fit into the memory of every process")
        return Update(Totals(loss, int(tokens), mass, {}, margin, preferred), norm, asked > 0)


@dataclass(slots=True)
class Compiled(Runner):
    """An adapter and its optimizer as vectors, and the functions that train them.

    parts      the rows of every part of every update: the shapes follow from them
    passes     what cuts batches into parts, and what is made smaller
    scales     what each number is multiplied by where the model computes with it, which is done in `dtype`
    """

    model: Any
    train: Train
    rows: Encoded
    parts: Sequence[Sequence[int]]
    passes: Passes
    vectors: Vectors
    scales: Array
    dtype: Any
    chunk: int
    fitting: Shapes = field(init=False)
    _known: dict[int, tuple[Encoded, Shapes]] = field(default_factory=dict)
    _met: set[object] = field(default_factory=set)
    _accumulate: Callable[..., Any] = field(init=False)
    _apply: Callable[..., Any] = field(init=False)
    _measure: Callable[..., Any] = field(init=False)
    _read: Callable[..., Any] = field(init=False)

    @property
    def objective(self) -> Objective:
        """What the gradient makes smaller."""
        return self.passes.objective

    def __post_init__(self) -> None:
        import mlx.core as mx

        random = mx.random.state
        self._accumulate = mx.compile(self._accumulated, inputs=random, outputs=random)
        self._apply = mx.compile(self._applied)
        self._measure = mx.compile(partial(self._told, self.objective.value))
        self._read = mx.compile(partial(self._told, ANSWERS.value))
        self.fitting = shapes_of(self.rows, self.parts, together=self.train.pack == "rows")

    # what the trainer asks ----------------------------------------------------------------------------------------------------

    def start(
        self,
        group: Sequence[Sequence[int]],
        rate: float,
        seed_of: Callable[[int], int],
        *,
        asked: bool = False,
    ) -> Started:
        """Begin an update.

        Args:
            group: the rows of its batches.
            rate: the learning rate.
            seed_of: what seeds the dropout of a part.
            asked: whether this process is asked to stop, which all hear.

        Returns:
            The update, under way.

        Raises:
            InsufficientMemoryError: Memory is too short, and no other process waits for this one.
        """
        import mlx.core as mx

        parts = self.passes.own_parts(self.rows, group)

        def begun() -> Started:
            before, known = time.perf_counter(), len(self._met)
            sums = self.passes.ranks.summed(self._own_sums(parts, group, seed_of, asked=asked))
            held = self.vectors
            told, *after = self._apply(held.values, held.first, held.second, held.step, sums, mx.array(rate))
            held.values, held.first, held.second, held.step = after
            mx.async_eval(told, *after)  # type: ignore[no-untyped-call]
            return Started(told, time.perf_counter() - before if len(self._met) > known else 0.0)

        return guarded(begun, self.train.batch_size)

    def _sums(self, rows: Encoded, batches: Sequence[Sequence[int]], objective: Objective) -> Totals:
        import mlx.core as mx

        batches = list(self.passes.parts(rows, batches))
        most = max(map(len, batches), default=0)
        own, shapes = self._laid(rows, batches)
        told_of, ranks = self._read if isinstance(objective, Answers) else self._measure, self.passes.ranks

        def summed() -> list[float]:
            told, mass, tokens = mx.zeros(3), 0.0, 0
            for batch in batches[ranks.rank :: ranks.size]:
                bins = fill(own, batch, shapes.holding(batch), objective.counted)
                told = told + told_of(self.vectors.values, self._arrays(bins, batch, objective))
                mass, tokens = mass + objective.mass(batch, bins.weights), tokens + bins.trained
                mx.async_eval(told)  # type: ignore[no-untyped-call]
            return [*told.tolist(), mass, tokens]  # type: ignore[misc]

        self.model.eval()
        try:
            loss, margin, preferred, mass, tokens = ranks.together(lambda: guarded(summed, most))
            return Totals(loss, int(tokens), mass, {}, margin, preferred)
        finally:
            self.model.train()

    def finite(self, unit: int) -> bool:
        """Return whether the loss and gradient of one unit alone are finite."""
        import mlx.core as mx

        size, values = self.objective.unit, self.vectors.values
        rows = range(unit * size, (unit + 1) * size)
        bins = fill(self.rows, rows, self.fitting.holding(rows), self.objective.counted)
        arrays = self._arrays(bins, rows, self.objective)
        sums = self._accumulate(values, mx.zeros(values.size + _TOLD), arrays, mx.zeros(_TOLD - _MASS))
        return bool(mx.all(mx.isfinite(sums)))

    # one update ---------------------------------------------------------------------------------------------------------------

    def _own_sums(
        self,
        parts: Mapping[int, Sequence[int]],
        group: Sequence[Sequence[int]],
        seed_of: Callable[[int], int],
        *,
        asked: bool,
    ) -> Array:
        """Return what this process adds to the update: the gradient and the numbers behind it.

        Where others wait for it, too little memory is told as a loss that is not a number, so that no process moves.
        """
        import mlx.core as mx

        values = self.vectors.values

        def added() -> Array:
            objective = self.objective.for_rows([row for batch in group for row in batch], partial(self._now, parts))
            sums = mx.zeros(values.size + _TOLD)
            for number, part in parts.items():
                size = self.fitting.holding(part)
                bins = fill(self.rows, part, size, objective.counted)
                mx.random.seed(seed_of(number))
                told = [objective.mass(part, bins.weights), float(bins.trained), float(asked), 0.0]
                sums = self._accumulate(values, sums, self._arrays(bins, part, objective), mx.array(told))
                self._met.add(size)
            if self.passes.ranks.size > 1:
                mx.async_eval(sums)  # type: ignore[no-untyped-call]
            return sums

        try:
            return guarded(added, self.train.batch_size)
        except InsufficientMemoryError:
            if self.passes.ranks.size == 1:
                raise
            return mx.concatenate([mx.zeros(values.size), mx.array([math.nan, 0.0, 0.0, 1.0, 0.0, float(asked), 1.0])])

    def _now(self, parts: Mapping[int, Sequence[int]], others: Encoded, _: Sequence[int]) -> Array:
        """Return the summed cross-entropy that an update's answers to other questions have now, not waited for; where one has
        too little memory the others, which wait for this sum, hear that it is no number.
        """
        import mlx.core as mx

        told, value = mx.array(math.nan), mx.array(0.0)
        try:
            own, shapes = self._laid(others, self.parts)
            for part in parts.values():
                bins = fill(own, part, shapes.holding(part), BETWEEN.counted)
                value = value + self._read(self.vectors.values, self._arrays(bins, part, BETWEEN))[0]
            mx.async_eval(value)  # type: ignore[no-untyped-call]
            told = value
        finally:  # a process without a part of the update sums too, and one without memory
            found = self.passes.ranks.summed(told)
            mx.async_eval(found)  # type: ignore[no-untyped-call]
        return found

    def _laid(self, rows: Encoded, batches: Sequence[Sequence[int]]) -> tuple[Encoded, Shapes]:
        """Return rows as they are computed, and the shapes of their batches, found when they first come."""
        if id(rows) not in self._known:
            own = rows if len(self.rows.prefix) else with_prefix(rows)
            self._known[id(rows)] = own, shapes_of(own, batches, together=self.train.pack == "rows")
        return self._known[id(rows)]

    # what is compiled ---------------------------------------------------------------------------------------------------------

    def _accumulated(self, values: Array, sums: Array, arrays: Arrays, told: Array) -> Array:
        """Return the sums with a part's gradient, what its loss is, and what is told of it added."""
        import mlx.core as mx

        # by array, for the gradient of cutting a vector is a vector of its whole length for each piece
        learned = mx.value_and_grad(partial(self._of_views, self.objective.value))
        (_, found), gradients = learned(self._low(values), arrays)
        gradient = flat(gradients[path] for path in self.vectors.shapes) * self.scales
        return sums + mx.concatenate([gradient, found, told])

    def _applied(
        self, values: Array, first: Array, second: Array, step: Array, sums: Array, rate: Array
    ) -> tuple[Array, ...]:
        """Return what is told and the gradient's norm, and the vectors after AdamW; unchanged when something is not finite."""
        import mlx.core as mx

        told = sums[-_TOLD:]
        gradient = sums[:-_TOLD] / told[_MASS]
        norm = mx.sqrt(mx.sum(gradient * gradient))
        if self.train.max_grad_norm:
            gradient = gradient * mx.minimum(1.0, self.train.max_grad_norm / (norm + 1e-6))
        before = (values, first, second, step)
        decayed = values * (1 - rate * self.train.weight_decay)
        after = moved((decayed, first, second, step), gradient, rate)
        sound = mx.isfinite(norm) & mx.isfinite(told[0])
        vectors = (mx.where(sound, new, old) for new, old in zip(after, before, strict=True))
        return mx.concatenate([told, norm.reshape(1)]), *vectors

    def _told(self, value: Value, values: Array, arrays: Arrays) -> Array:
        """Return the loss of rows and what is told of it, without a gradient."""
        return self._of_views(value, self._low(values), arrays)[1]

    def _low(self, values: Array) -> dict[str, Array]:
        """Return the adapter's arrays as the model computes with them."""
        return cut((values * self.scales).astype(self.dtype), self.vectors.shapes)

    def _of_views(self, value: Value, views: Arrays, arrays: Arrays) -> tuple[Array, Array]:
        import mlx.core as mx
        from mlx.utils import tree_unflatten

        self.model.update(tree_unflatten(list(views.items())))
        return value(arrays, binned_losses(self.model, mx.array(self.rows.prefix[:-1]), arrays, self.chunk))

    def _arrays(self, bins: Bins, chosen: Sequence[int], objective: Objective) -> dict[str, Array]:
        """Return what the loss is told of some rows: places in a sequence only where several share one."""
        seen = ("inputs", "where", "targets", *(("positions", "segments") if self.train.pack == "rows" else ()))
        given = objective.given(chosen, bins, len(bins.inputs))
        return as_arrays({name: getattr(bins, name) for name in seen} | dict(given))


def compiled(
    model: Any,
    train: Train,
    rows: Encoded,
    plan: Sequence[Sequence[Sequence[int]]],
    scales: Mapping[str, float],
    passes: Passes,
) -> Compiled:
    """Return the compiled training of a model's adapter.

    Args:
        model: the MLX model with its adapter, `lean`, and rotated by position where several rows share a sequence.
        train: the recipe's TRAIN settings.
        rows: the rows that are trained.
        plan: the batches of every update.
        scales: by what some of the adapter's arrays are multiplied before the model is given them, by path.
        passes: what cuts batches into parts, for the processes that share them, and what is made smaller.
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
        [part for group in plan for part in passes.parts(rows, group)],
        passes,
        vectors_of(arrays),
        flat(mx.full(array.shape, scales.get(path, 1.0)) for path, array in arrays.items()),
        # in bfloat16 where every array is one of a lean layer's; a length of DoRA's needs more digits
        held if len(arrays) == 2 * len(scales) else mx.float32,
        max(256, _LOGITS // (4 * int(vars(model.args)["vocab_size"]))),
    )
