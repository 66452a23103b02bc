"""The summed loss and gradient of an update's rows: cut into parts that fit, computed side by side, added in a fixed order."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol, TypeVar

from jessyfile.errors import InsufficientMemoryError
from jessyfile.language.recipe import Train
from jessyfile.models.accelerate import on_gpu
from jessyfile.training import loss
from jessyfile.training.batches import EVEN, Batch, LossWeights, Packed, build, pack_rows
from jessyfile.training.cpu_parts import cut, units_of
from jessyfile.training.cpu_pass import CpuPass, Portion
from jessyfile.training.encoded import Encoded
from jessyfile.training.frozen import FrozenStates, frozen_states, worth_keeping
from jessyfile.training.objective import ANSWERS, BETWEEN, Objective, as_arrays
from jessyfile.training.ranks import Ranks, here
from jessyfile.training.workers import Workers, shares

_MEMORY_WORDS = ("out of memory", "unable to allocate", "allocation", "insufficient memory")
TOGETHER = 8  # rows that are only read, at once: of answers to other questions thousands may be held out
_STEP = 16  # lengths are rounded up to this on a GPU, which compiles kernels for a shape

Gradients = dict[str, Any]
T = TypeVar("T")


@dataclass(slots=True)
class Totals:
    """Summed loss in nats, each token times its weight, or each pair's; trained tokens; what the loss is divided by; the gradient by
    adapter path; and where answers are compared, the summed reward margins and how many of them are above 0.
    """

    loss: float = 0.0
    tokens: int = 0
    mass: float = 0.0
    gradients: Gradients = field(default_factory=dict)
    margin: float = 0.0
    preferred: float = 0.0

    def add(self, other: Totals) -> None:
        """Add another's sums."""
        self.loss += other.loss
        self.tokens += other.tokens
        self.mass += other.mass
        self.margin += other.margin
        self.preferred += other.preferred
        if not self.gradients:
            self.gradients = other.gradients
        elif other.gradients:
            self.gradients = {key: array + other.gradients[key] for key, array in self.gradients.items()}


class Runner(Protocol):
    """What runs rows through the model as it is now."""

    __slots__ = ()

    def loss(
        self, rows: Encoded, batch_size: int, objective: Objective = ANSWERS, chosen: Sequence[int] | None = None
    ) -> Totals:
        """Return the sums over all rows, or over those that are chosen, without gradient and without dropout.

        Args:
            rows: the encoded rows.
            batch_size: so many units are computed at once at most.
            objective: what is summed.
            chosen: numbers of whole units' rows; None for all.

        Returns:
            The sums.

        Raises:
            InsufficientMemoryError: they do not fit.
        """
        return self._sums(rows, by_length(rows, batch_size, objective.unit, chosen), objective)

    def read(self, others: Encoded, chosen: Sequence[int]) -> float:
        """Return the summed cross-entropy of what is compared of some rows. Raises InsufficientMemoryError."""
        return self.loss(others, TOGETHER, BETWEEN, chosen).loss

    def _sums(self, rows: Encoded, batches: Sequence[Sequence[int]], objective: Objective) -> Totals:
        """Return the sums over batches."""


@dataclass(slots=True)
class Passes(Runner):
    """Runs rows through the model, with or without their gradient.

    splits     divides the rows of a part when memory was too small; it changes no mathematics
    on_cpu     what computes on a CPU, through NumPy; None on a GPU, where MLX does
    objective  what the gradient makes smaller
    ranks      the processes that share the parts
    frozen     what the frozen layers make of rows, where it is kept
    """

    workers: Workers
    splits: int
    on_cpu: CpuPass | None
    objective: Objective = ANSWERS
    ranks: Ranks = field(default_factory=here)
    frozen: list[FrozenStates] = field(default_factory=list)

    def gradient(self, rows: Encoded, group: Sequence[list[int]], seed_of: Callable[[int], int]) -> Totals:
        """Return the sums over a group of batches; `seed_of(number)` seeds the dropout of a batch on a CPU, of a part on a GPU.

        Raises InsufficientMemoryError.
        """
        import mlx.core as mx
        import mlx.nn as nn
        from mlx.utils import tree_flatten

        objective = self.objective.for_rows([row for batch in group for row in batch], self.read)

        def one(model: Any, number: int) -> Totals:
            mx.random.seed(seed_of(number))
            batch = build(rows, parts[number], _STEP, objective.counted)
            # the model stays out of the arguments: MLX leaves an argument's arrays exchanged when the function raises
            loss = partial(self._loss, model, rows, objective, parts[number], batch)
            (_, told), tree = nn.value_and_grad(model, loss)()
            gradients = dict(tree_flatten(tree))
            mx.eval(told, gradients)
            return _totals(told, objective.mass(parts[number], batch.weights), len(batch.targets), gradients)

        like = dict(tree_flatten(self.workers.models[0].trainable_parameters()))
        if self.on_cpu is not None:
            return self._together(partial(self._by_numpy, self.on_cpu, rows, group, seed_of, objective), like)
        parts = list(self.parts(rows, group))
        return self._together(partial(self._by_mlx, rows, parts, one), like)

    def _sums(self, rows: Encoded, batches: Sequence[Sequence[int]], objective: Objective) -> Totals:
        import mlx.core as mx

        def one(model: Any, number: int) -> Totals:
            model.eval()
            batch = build(rows, parts[number], _STEP, objective.counted)
            told = self._loss(model, rows, objective, parts[number], batch)[1]
            mx.eval(told)
            model.train()
            return _totals(told, objective.mass(parts[number], batch.weights), len(batch.targets), {})

        if self.on_cpu is not None:
            return self._together(partial(self._by_numpy, self.on_cpu, rows, batches, None, objective), {})
        parts = [part for batch in batches for part in self._parts(rows, batch, objective.unit)]
        return self._together(partial(self._by_mlx, rows, parts, one), {})

    def parts(self, rows: Encoded, group: Sequence[Sequence[int]]) -> Iterator[list[int]]:
        """Yield the rows of each part of some batches."""
        for batch in group:
            yield from self._parts(rows, batch, self.objective.unit)

    def own_parts(self, rows: Encoded, group: Sequence[Sequence[int]]) -> dict[int, list[int]]:
        """Return the rows of each part of some batches that this process computes, by the part's number."""
        parts = list(self.parts(rows, group))
        return {number: parts[number] for numbers in self._dealt(rows, parts) for number in numbers}

    def _together(self, own: Callable[[], Totals], like: Gradients) -> Totals:
        """Return the sums over all processes; `like` has the shapes of the gradient, for a process without parts."""
        import mlx.core as mx

        if self.ranks.size == 1:
            return own()
        sums, short = Totals(), None
        try:
            sums = own()
        except InsufficientMemoryError as error:
            short = error
        self.ranks.fail_together(short)
        own_sums = [sums.loss, sums.tokens, sums.mass, sums.margin, sums.preferred]
        loss, tokens, mass, *compared = self.ranks.total(own_sums)
        gradients = sums.gradients or {key: mx.zeros_like(array) for key, array in like.items()}
        return Totals(loss, int(tokens), mass, self.ranks.added(gradients), *compared)

    def _by_numpy(
        self,
        work: CpuPass,
        rows: Encoded,
        batches: Sequence[Sequence[int]],
        seed_of: Callable[[int], int] | None,
        objective: Objective,
    ) -> Totals:
        """Return this process's sums on a CPU; without seeds there is no gradient."""
        import mlx.core as mx

        sums = Totals()
        known = next((states for states in self.frozen if states.of is rows), None)
        for number, packed in self._groups(rows, batches, objective.counted, objective.unit):
            given = packed if known is None else [known.given(part) for part in packed]
            chosen = [Portion(part, objective.weighed, seed_of and seed_of(number)) for part in given]
            found, gradients = guarded(partial(work.sums, chosen), max(len(one.numbers) for one in packed))
            for part, one in zip(packed, found, strict=True):
                sums.add(Totals(one.loss, len(part.targets), one.mass, {}, one.margin, one.preferred))
            sums.add(Totals(gradients=dict(gradients)))
        sums.gradients = {path: mx.array(gradient) for path, gradient in sums.gradients.items()}
        return sums

    def _groups(
        self, rows: Encoded, batches: Sequence[Sequence[int]], counted: LossWeights, unit: int = 1
    ) -> Iterator[tuple[int, list[Packed]]]:
        """Yield this process's parts of each batch with its number, those together that are computed at once."""
        cuts = [
            (number, group)
            for number, batch in enumerate(batches)
            for group in cut(rows, batch, self.workers.count, self.ranks.size, self.splits, unit)
        ]
        for number, parts in cuts[self.ranks.rank :: self.ranks.size]:
            yield number, [pack_rows(rows, part.rows, counted, part.own) for part in parts]

    def keep_frozen(self, splits: Sequence[Encoded], train: Train) -> None:
        """Compute once what the frozen layers make of rows, where several epochs need it and it is little enough to be kept.

        Raises InsufficientMemoryError.
        """
        if self.on_cpu is None or self.ranks.size > 1 or train.epochs == 1:
            return
        for rows in splits:
            if worth_keeping(self.workers.models[0], rows):
                groups = [packed for _, packed in self._groups(rows, by_length(rows, train.batch_size), EVEN)]
                self.frozen.append(guarded(partial(frozen_states, self.on_cpu, rows, groups), train.batch_size))

    def _by_mlx(self, rows: Encoded, parts: list[list[int]], one: Callable[[Any, int], Totals]) -> Totals:
        """Return the sums of this process's parts, computed by MLX."""
        import mlx.core as mx

        def several(model: Any, numbers: list[int]) -> Totals:
            sums = Totals()
            for number in numbers:
                sums.add(guarded(partial(one, model, number), len(parts[number])))
                mx.eval(sums.gradients)
            return sums

        sums = Totals()
        for result in self.workers.map(several, self._dealt(rows, parts)):
            sums.add(result)
        mx.eval(sums.gradients)
        return sums

    def _dealt(self, rows: Encoded, parts: list[list[int]]) -> list[list[int]]:
        """Deal the parts to the workers of all processes; return those of this process's."""
        lengths = rows.lengths()
        costs = [float(lengths[part].sum()) for part in parts]
        return shares(costs, self.ranks.size * self.workers.count)[self.ranks.own(self.workers.count)]

    def _parts(self, rows: Encoded, batch: Sequence[int], unit: int = 1) -> list[list[int]]:
        """Cut a batch into `splits` parts or more, of about as much work, no unit in two; rows of about one length together: a GPU pads
        them."""
        ordered = units_of(rows, batch, unit)
        sizes = [int(rows.lengths()[one].sum()) for one in ordered]
        count = max(self.splits, self.ranks.size * self.workers.count)
        parts: list[list[int]] = [[] for _ in range(count)]
        before = 0
        for one, size in zip(ordered, sizes, strict=True):
            parts[int((before + size / 2) / sum(sizes) * count)] += one
            before += size
        return [part for part in parts if part]

    def _loss(
        self, model: Any, rows: Encoded, objective: Objective, chosen: Sequence[int], batch: Batch
    ) -> tuple[Any, Any]:
        import mlx.core as mx

        given = as_arrays(objective.given(chosen, batch, len(chosen)))
        return objective.value(given, loss.token_losses(model, mx.array(rows.prefix[:-1]), batch))


def _totals(told: Any, mass: float, tokens: int, gradients: Gradients) -> Totals:
    value, margin, preferred = told.tolist()
    return Totals(value, tokens, mass, gradients, margin, preferred)


def by_length(rows: Encoded, batch_size: int, unit: int = 1, chosen: Sequence[int] | None = None) -> list[list[int]]:
    """Return batches of whole units, those of similar length together.

    Args:
        rows: the encoded rows.
        batch_size: how many units a batch has.
        unit: how many rows lie side by side.
        chosen: numbers of the rows; None for all.

    Returns:
        The row numbers of each batch.
    """
    order = units_of(rows, range(len(rows)) if chosen is None else chosen, unit)
    return [[row for one in order[i : i + batch_size] for row in one] for i in range(0, len(order), batch_size)]


def passes(workers: Workers, splits: int, objective: Objective = ANSWERS) -> Passes:
    """Return the passes that suit the device MLX computes on."""
    model = workers.models[0]
    if on_gpu():
        return Passes(workers, splits, None, objective)
    on_cpu = CpuPass(workers, loss.head_rows(model), getattr(model, "final_logit_softcapping", None))
    return Passes(workers, splits, on_cpu, objective)


def guarded(work: Callable[[], T], rows: int) -> T:
    """Run a piece of work; turn the backend's words for too little memory into our error."""
    try:
        return work()
    except (MemoryError, RuntimeError) as error:
        if out_of_memory(error):
            raise InsufficientMemoryError(
                f"{rows} rows at a time do not fit into memory",
                hint="lower batch_size or max_length in TRAIN, or rank in LORA",
            ) from error
        raise


def out_of_memory(error: BaseException | None) -> bool:
    """Return whether an error of NumPy's or MLX's says that memory is too short."""
    words = str(error).lower()
    return isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError) and any(word in words for word in _MEMORY_WORDS)
    )
