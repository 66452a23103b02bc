"""Updates on a GPU: compiled once for each of a few shapes, the optimizer included, and read only when somebody looks.

An update of a small model is thousands of small kernels. So the adapter's arrays, their gradients and the optimizer's
state are one vector each; rows share sequences of one length (`bins`); and the next update is started before the loss of the
one before is read. What is not finite changes nothing: the vectors stay as they were.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from jessyfile.language.recipe import Train
from jessyfile.training.batches import EVEN, LossWeights
from jessyfile.training.bins import Bins, Shapes, fill, shapes_of
from jessyfile.training.encoded import Encoded
from jessyfile.training.gradient import guarded
from jessyfile.training.sequences import binned_loss

BETAS = (0.9, 0.999)
_EPSILON = 1e-8
_LOGITS = 1 << 31  # bytes of float32 logits that may be in memory at once

Array = Any  # mx.array; MLX ships no complete types
Arrays = Mapping[str, Array]


@dataclass(frozen=True, slots=True)
class Started:
    """An update under way: its summed loss, gradient norm and mass, none of them read yet; and its trained tokens."""

    loss: Array
    norm: Array
    mass: float
    tokens: int

    def read(self) -> tuple[float, float]:
        """Wait for the update; return its mean loss in nats and the gradient's norm. Raises InsufficientMemoryError."""
        return guarded(lambda: (float(self.loss) / self.mass, float(self.norm)), self.tokens)


@dataclass(slots=True)
class Compiled:
    """The adapter and its optimizer as vectors on the GPU, and the functions that train them."""

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
    chunk: int
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

    def start(self, parts: Sequence[Sequence[int]], rate: float, seed_of: Callable[[int], int]) -> Started:
        """Begin an update over the rows of some parts; `seed_of(part)` seeds a part's dropout. Raises InsufficientMemoryError."""
        import mlx.core as mx

        def begun() -> Started:
            sums, mass, tokens = mx.zeros(self.values.size + 1), 0.0, 0
            for number, part in enumerate(parts):
                bins = fill(self.rows, part, self.fitting.holding(part), self.counted)
                mx.random.seed(seed_of(number))
                sums = self._accumulate(self.values, sums, _arrays(bins))
                mass += float(bins.weights.sum(dtype="float64"))
                tokens += int((bins.weights > 0).sum())
            vectors = (self.values, self.first, self.second, self.step)
            norm, *vectors_after = self._apply(*vectors, sums, mx.array(mass), mx.array(rate))
            self.values, self.first, self.second, self.step = vectors_after
            started = Started(sums[-1], norm, mass, tokens)
            mx.async_eval(started.loss, norm, *vectors_after)  # type: ignore[no-untyped-call]
            return started

        return guarded(begun, self.train.batch_size)

    def held_out(self, rows: Encoded, batches: Sequence[Sequence[int]]) -> tuple[float, int]:
        """Return the summed loss of some rows, without dropout, and their targets. Raises InsufficientMemoryError."""
        import mlx.core as mx

        def summed() -> tuple[float, int]:
            shapes = shapes_of(rows, batches, together=self.train.pack == "rows")
            value, count = mx.array(0.0), 0
            for batch in batches:
                bins = fill(rows, batch, shapes.holding(batch), EVEN)
                value = value + self._held_out(self.values, _arrays(bins))
                count += int((bins.weights > 0).sum())
                mx.async_eval(value)  # type: ignore[no-untyped-call]
            return float(value), count

        self.model.eval()
        try:
            return guarded(summed, self.train.batch_size)
        finally:
            self.model.train()

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

    # what is compiled ---------------------------------------------------------------------------------------------------------

    def _accumulated(self, values: Array, sums: Array, arrays: Arrays) -> Array:
        """Return the sums with a part's gradient and, as the last number, its loss added."""
        import mlx.core as mx

        def loss(views: list[Array]) -> Array:
            self._into_model(views)
            return binned_loss(self.model, mx.array(self.rows.prefix[:-1]), arrays, self.chunk)

        value, gradients = mx.value_and_grad(loss)(self._views(values))
        return sums + _flat([*gradients, value.reshape(1)])

    def _applied(
        self, values: Array, first: Array, second: Array, step: Array, sums: Array, mass: Array, rate: Array
    ) -> tuple[Array, ...]:
        """Return the gradient's norm, and the vectors after AdamW with bias correction; unchanged when something is not finite."""
        import mlx.core as mx

        gradient = sums[:-1] / mass
        norm = mx.sqrt(mx.sum(gradient * gradient))
        if self.train.max_grad_norm:
            gradient = gradient * mx.minimum(1.0, self.train.max_grad_norm / (norm + 1e-6))
        step_after = step + 1
        m = BETAS[0] * first + (1 - BETAS[0]) * gradient
        v = BETAS[1] * second + (1 - BETAS[1]) * gradient * gradient
        corrected = mx.sqrt(v / (1 - BETAS[1] ** step_after)) + _EPSILON
        moved = (m / (1 - BETAS[0] ** step_after)) / corrected
        after = values * (1 - rate * self.train.weight_decay) - rate * moved
        sound = mx.isfinite(norm) & mx.isfinite(sums[-1])
        pairs = ((after, values), (m, first), (v, second), (step_after, step))
        return norm, *(mx.where(sound, new, old) for new, old in pairs)

    def _loss(self, values: Array, arrays: Arrays) -> Array:
        import mlx.core as mx

        self._into_model(self._views(values))
        return binned_loss(self.model, mx.array(self.rows.prefix[:-1]), arrays, self.chunk)

    def _into_model(self, views: Sequence[Array]) -> None:
        from mlx.utils import tree_unflatten

        self.model.update(tree_unflatten(list(zip(self.names, views, strict=True))))

    def _views(self, flat: Array) -> list[Array]:
        import mlx.core as mx

        ends = list(itertools.accumulate(math.prod(shape) for shape in self.shapes))
        pieces = mx.split(flat, ends[:-1]) if len(ends) > 1 else [flat]
        return [piece.reshape(shape) for piece, shape in zip(pieces, self.shapes, strict=True)]


def compiled(model: Any, train: Train, rows: Encoded, counted: LossWeights, parts: Sequence[Sequence[int]]) -> Compiled:
    """Return the compiled training of a model's adapter.

    Args:
        model: the MLX model with its adapter, its layers rotated by position.
        train: the recipe's TRAIN settings.
        rows: the rows that are trained.
        counted: the weights of end-of-turn and level tokens in the loss.
        parts: the rows of every part of every update: the shapes follow from them.
    """
    import mlx.core as mx

    from jessyfile.training.adapter import parameters

    arrays = parameters(model)
    flat = _flat(list(arrays.values()))
    vocabulary = int(vars(model.args)["vocab_size"])
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
        max(256, _LOGITS // (4 * vocabulary)),
    )


def _flat(arrays: Sequence[Array]) -> Array:
    import mlx.core as mx

    return mx.concatenate([array.astype(mx.float32).reshape(-1) for array in arrays])


def _arrays(bins: Bins) -> dict[str, Array]:
    import mlx.core as mx

    return {name: mx.array(value) for name, value in asdict(bins).items()}
