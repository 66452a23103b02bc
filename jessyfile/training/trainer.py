"""The training loop: batches in a fixed order, token-weighted updates, validation apart, exact resume.

The unit of work is one optimizer update. Its gradient is the mean over all trained tokens of its batches, whatever their sizes, so
accumulation and splitting for memory leave the mathematics alone. Where answers are compared it is the mean over pairs or judged answers.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jessyfile.errors import Interrupted
from jessyfile.language.recipe import Lora, Train
from jessyfile.machine import cores
from jessyfile.models.accelerate import on_gpu
from jessyfile.planning.steps import Progress, Stop
from jessyfile.training import adapter, checkpoint, convergence, schedule
from jessyfile.training.batches import LossWeights, update_batches
from jessyfile.training.checkpoint import Cursor
from jessyfile.training.compiled import Compiled, Started, compiled
from jessyfile.training.convergence import Divergence
from jessyfile.training.dropout import seed_at
from jessyfile.training.encoded import Encoded
from jessyfile.training.gradient import Gradients, Passes, Totals, passes
from jessyfile.training.metrics import MetricsLog
from jessyfile.training.objective import Answers
from jessyfile.training.optimizer import InModel
from jessyfile.training.preference_loss import PreferenceTask
from jessyfile.training.ranks import Ranks, here
from jessyfile.training.recompute import recomputed
from jessyfile.training.sequences import rotated_by_position
from jessyfile.training.throughput import Meter
from jessyfile.training.utilization import Utilization
from jessyfile.training.vectors import Vectors
from jessyfile.training.workers import Workers, workers

_AHEAD = 3  # updates on a GPU whose loss is not read yet: it has work while the host prepares the next
_CACHE_BYTES = 1 << 26  # freed arrays that MLX may keep on a CPU: a gigabyte of them made no step faster


@dataclass(slots=True)
class Trainer:
    """Trains the adapter that `adapter.attach` put on `model`.

    `work` keeps checkpoints. `run` returns when training is done; `best` then holds the adapter that the recipe keeps, and `shapes`
    says how many shapes of updates were compiled. With `preferences`, `rows` and `held_out` are their answers, and their
    loss is made smaller in place of the answers' own.
    """

    model: Any
    train: Train
    lora: Lora
    rows: Encoded
    held_out: Encoded
    per_batch: int
    work: Path
    progress: Progress
    stop: Stop
    cursor: Cursor = field(default_factory=Cursor)
    best: Gradients = field(default_factory=dict)
    splits: int = 1
    checkpointing: bool = False
    log: MetricsLog = field(default_factory=MetricsLog)
    ranks: Ranks = field(default_factory=here)
    shapes: int = 0
    preferences: PreferenceTask | None = None
    _divergence: Divergence = field(default_factory=Divergence)
    _held: InModel | Vectors = field(init=False)
    _passes: Passes = field(init=False)
    _meter: Meter = field(init=False)
    _compiled: Compiled | None = None
    _ahead: deque[Started] = field(default_factory=deque)
    _stopping: bool = False

    def __post_init__(self) -> None:
        self._passes = self._over(Workers([self.model]))
        self._meter = Meter(Utilization(on_gpu()))

    def run(self) -> Cursor:
        """Train to the end, from the newest checkpoint if there is one. Raises Interrupted, ConvergenceError, InsufficientMemoryError."""
        count = self.ranks.least(1 if on_gpu() else min(cores(), self.train.batch_size))
        # a layer that is computed twice draws what it drops from a seed, which is no number while a function is compiled
        compiling = on_gpu() and not (self.checkpointing and self.lora.dropout)
        try:
            with (
                recomputed(self.model, self.checkpointing and on_gpu()),
                workers(self.model, count) as side_by_side,
                self._compiling() if compiling else contextlib.nullcontext(),
            ):
                self._passes = self._over(side_by_side)
                others = self.preferences.others() if self.preferences is not None else ()
                self._passes.keep_frozen((self.rows, self.held_out, *others), self.train)
                return self._run()
        finally:
            if self._compiled is not None:  # in place of what stood there while its functions were compiled
                self.model.load_weights(list(self._compiled.vectors.parameters().items()), strict=False)
            self._compiled = None
            self._passes = self._over(Workers([self.model]))

    def _over(self, threads: Workers) -> Passes:
        answers = Answers(LossWeights(self.train.end_weight, self.train.level_weight))
        return passes(threads, self.splits, answers if self.preferences is None else self.preferences.trained)

    def _plan(self) -> list[list[list[int]]]:
        """Return every update's batches, as lists of row numbers."""
        if self.preferences is not None:
            return self.preferences.plan(self.train)
        return update_batches(self.rows, self.train, self.per_batch)

    def _run(self) -> Cursor:
        plan = self._plan()
        self._prepare()
        total = len(plan)
        if self.preferences is not None and not self.cursor.validations and not self._validate():
            raise convergence.broken_start()
        doing = "compiling" if self._compiled is not None else "making"
        self.progress.update(self.cursor.update, total, text=f"{doing} the first update")
        while self.cursor.update < total:
            if not self._ahead and self.ranks.any(self.stop.requested()):
                self._save()
                raise Interrupted(f"training stopped after update {self.cursor.update} of {total}; it is saved")
            if not self._advance(plan, total):
                self._step_back(plan[self.cursor.update])
                continue
            convergence.refuse_plateau(self.cursor, self.train, total)
            if schedule.due(self.cursor.update, schedule.validation_step(self.train, total), total):
                if not self._validate():
                    self._step_back()
                    continue
                if self.train.early_stop is not None and self.cursor.stale >= self.train.early_stop:
                    break
            if self.cursor.update % self.train.checkpoint_every == 0:
                self._save()
        if self.train.keep == "last" or not self.best:
            self.best, self.cursor.best_update = self._held.parameters(), self.cursor.update
        return self.cursor

    @contextlib.contextmanager
    def _compiling(self) -> Iterator[None]:
        """Train by compiled updates inside the block."""
        together = rotated_by_position(self.model) if self.train.pack == "rows" else contextlib.nullcontext()
        from jessyfile.training.lean import lean  # it loads MLX

        with lean(self.model) as scales, together:
            self._compiled = compiled(self.model, self.train, self.rows, self._plan(), scales, self._passes)
            count = self.shapes = len(self._compiled.fitting.sizes)
            shapes = ", ".join(f"{one.count} sequences of {one.width} tokens" for one in self._compiled.fitting.sizes)
            self.progress.note(f"{count} shape{'s' * (count > 1)}, each compiled when it first comes: {shapes}")
            yield

    def _prepare(self) -> None:
        import mlx.core as mx

        own = self._compiled
        self._held = InModel(self.model, self.train, self._passes.workers) if own is None else own.vectors
        if not on_gpu():
            mx.set_cache_limit(_CACHE_BYTES)
        self._restore()
        self.ranks.agree("checkpoint", f"{self.cursor.update}")

    # one update -------------------------------------------------------------------------------------------------------------

    def _advance(self, plan: list[list[list[int]]], total: int) -> bool:
        """Do one update; return False when its loss or gradient is not finite or diverges."""
        if self._compiled is not None:
            return self._advance_ahead(self._compiled, plan, total)
        start = time.perf_counter()
        sums = self._gradients(plan[self.cursor.update])
        mean, size = sums.loss / sums.mass, adapter.norm(sums.gradients) / sums.mass
        if not self._sound(mean, size):
            return False
        rate = self._rate(self.cursor.update, total)
        self._apply(sums, size, rate)
        self._record(total, sums, size, start)
        return True

    def _advance_ahead(self, on_gpu: Compiled, plan: list[list[list[int]]], total: int) -> bool:
        """Wait for the oldest update that was started, others having been started behind it; return as `_advance` does."""
        start, compiling = time.perf_counter(), 0.0
        while len(self._ahead) <= _AHEAD and self._may_start(self.cursor.update + len(self._ahead), total):
            update = self.cursor.update + len(self._ahead)
            # several processes hear of a stop with the sums of an update: to ask each other would be to wait for all before it
            asked = self.ranks.size > 1 and self.stop.requested()
            rate = self._rate(update, total)
            self._ahead.append(on_gpu.start(plan[update], rate, self._seeds(update), asked=asked))
            compiling += self._ahead[-1].compiling
        done = self._ahead.popleft().read(self.train.batch_size // self.splits)
        self._stopping, sums = done.asked, done.sums
        if not self._sound(sums.loss / sums.mass, done.norm):
            self._ahead.clear()
            return False
        self._record(total, sums, done.norm, start, compiling)
        return True

    def _sound(self, loss: float, norm: float) -> bool:
        return math.isfinite(loss) and math.isfinite(norm) and not self._divergence.seen(self.cursor, loss)

    def _may_start(self, update: int, total: int) -> bool:
        """Whether an update may begin before the loss of those before it is known: not past a place where all must be."""
        if not self._ahead:
            return True
        every = (schedule.validation_step(self.train, total), self.train.checkpoint_every)
        stopping = self._stopping or (self.ranks.size == 1 and self.stop.requested()) or update == total
        return not stopping and not any(
            schedule.due(past, step, total) for past in range(self.cursor.update + 1, update + 1) for step in every
        )

    def _compared(self, sums: Totals) -> dict[str, float]:
        """Return the mean reward margin, and in which share it is above 0; nothing where no answers are compared."""
        if self.preferences is None:
            return {}
        return {"margin": sums.margin / sums.mass, "preferred": sums.preferred / sums.mass}

    def _record(self, total: int, sums: Totals, size: float, start: float, compiling: float = 0.0) -> None:
        rate, seconds, count = self._rate(self.cursor.update, total), time.perf_counter() - start, sums.tokens
        self.cursor.update += 1
        self.cursor.trained_tokens += count
        self.cursor.seconds += seconds
        known = {"update": self.cursor.update, "loss": sums.loss / sums.mass, "learning_rate": rate}
        self.cursor.curve.append({**known, "gradient_norm": size, **self._compared(sums)})
        epoch = min(math.ceil(self.cursor.update * self.train.epochs / total), self.train.epochs)
        done = self._meter.read(self.cursor, epoch, count, seconds, compiling)
        self.log.add(done)
        self.progress.update(self.cursor.update, total, text=done.live())

    def _rate(self, update: int, total: int) -> float:
        return schedule.learning_rate(update, total, self.train) * self.cursor.rate_factor

    def _seeds(self, update: int) -> Callable[[int], int]:
        """Return what seeds the dropout of each part of an update: it follows from where training is."""
        return lambda part: seed_at(self.train.seed, update, part)

    def _gradients(self, group: list[list[int]]) -> Totals:
        return self._passes.gradient(self.rows, group, self._seeds(self.cursor.update))

    def _apply(self, sums: Totals, size: float, rate: float) -> None:
        limit = self.train.max_grad_norm
        factor = min(1.0, limit / (size + 1e-6)) / sums.mass if limit else 1 / sums.mass
        if isinstance(self._held, InModel):  # a compiled update moves the vectors itself
            self._held.step(sums.gradients, factor, rate)

    # validation, recovery, checkpoints --------------------------------------------------------------------------------------

    def _validate(self) -> bool:
        """Measure the held-out rows and keep the adapter if it is the best so far; return False when the loss is not finite."""
        if not len(self.held_out):
            return True
        found = self._held_out_figures()
        value = found["loss"]
        if not math.isfinite(value):
            return False
        self.cursor.validations.append({"update": self.cursor.update, **found})
        self.log.validated(self.cursor.update, value)
        margin = f", reward margin {found['margin']:.3f}" if "margin" in found else ""
        self.progress.note(f"validation loss {value:.4f}{margin} after update {self.cursor.update}")
        if self.cursor.best_loss is None or value < self.cursor.best_loss:
            self.cursor.best_loss, self.cursor.best_update, self.cursor.stale = value, self.cursor.update, 0
            self.best = self._held.parameters()
        else:
            self.cursor.stale += 1
        return True

    def _held_out_figures(self) -> dict[str, float]:
        if self.preferences is None:
            return {"loss": self.validation_loss()}
        sums = self.preferences.measured(self._compiled or self._passes, self.train.batch_size)
        return {"loss": sums.loss / sums.mass, **self._compared(sums)}

    def validation_loss(self) -> float:
        """Return the mean cross-entropy in nats of the held-out rows' trained tokens, without dropout."""
        sums = (self._compiled or self._passes).loss(self.held_out, self.train.batch_size)
        return sums.loss / max(sums.tokens, 1)

    def _step_back(self, group: Sequence[Sequence[int]] = ()) -> None:
        """Return to the last good checkpoint with half the rate, as often as the recipe allows; `group` are the rows that failed."""
        retries, factor, where = self.cursor.retries + 1, self.cursor.rate_factor / 2, self.cursor.update
        rungs, exhausted = self.cursor.rungs, retries > self.train.retries
        if not exhausted or retries == 1:
            self._restore()
            self.ranks.agree("checkpoint", f"{self.cursor.update}")
            unit = self._passes.objective.unit
            failed = [row // unit for batch in group for row in batch[::unit]]
            what = "row" if self.preferences is None else self.preferences.what
            convergence.refuse_broken(failed, self._unit_is_finite, len(self.rows) // unit, what)
        if exhausted:
            raise convergence.rate_too_high(where + 1, self.train, 2 * factor)
        self.cursor.retries, self.cursor.rate_factor = retries, factor
        said = f"update {where + 1} was not finite or diverged; back to {self.cursor.update} at {factor:g} of the rate"
        self.cursor.rungs = [*rungs, said]
        self.progress.note(self.cursor.rungs[-1])

    def _unit_is_finite(self, number: int) -> bool:
        if self._compiled is not None:
            return self._compiled.finite(number)
        unit = self._passes.objective.unit
        sums = self._gradients([list(range(number * unit, (number + 1) * unit))])
        return math.isfinite(sums.loss) and math.isfinite(adapter.norm(sums.gradients))

    def _save(self) -> None:
        if self.ranks.first:
            held = self._held
            groups = {"adapter": held.parameters(), "best": self.best, "optimizer": held.state()}
            checkpoint.save(self.work, self.cursor, groups)

    def _restore(self) -> None:
        """Go to the newest whole checkpoint; write one at the very start, so that there always is one."""
        found = checkpoint.latest(self.work)
        if found is None:
            self.log.back_to(0)
            self._save()
            return
        self.cursor, groups = found
        self.log.back_to(self.cursor.update)
        self._divergence.back_to(self.cursor)
        self.best = dict(groups["best"])
        self._held.load(groups["adapter"], groups["optimizer"])
        if self.cursor.update:
            self.progress.note(f"going on after update {self.cursor.update}")
