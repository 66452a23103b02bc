"""The training loop: batches in a fixed order, token-weighted updates, validation apart, exact resume.

The unit of work is one optimizer update. Its gradient is the mean over all trained tokens of its batches, whatever their sizes, so
accumulation and splitting for memory leave the mathematics alone.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from jessyfile.errors import ConvergenceError, InsufficientMemoryError, Interrupted
from jessyfile.language.recipe import Lora, Train
from jessyfile.planning.steps import Progress, Stop
from jessyfile.training import adapter, checkpoint, loss, schedule
from jessyfile.training.batches import build, epoch_batches
from jessyfile.training.checkpoint import Cursor
from jessyfile.training.cpu_ops import fast_activations
from jessyfile.training.encoded import Encoded
from jessyfile.training.metrics import Meter

_BETAS = [0.9, 0.999]
_SMOOTHED = 16  # updates whose mean loss is looked at: batches of short rows and of long ones differ by nature
_DIVERGED = 2.5  # that mean may not exceed this many times its best
_SMALL_LOSS = 1.0  # nats a token; below it a factor says nothing
_CACHE_BYTES = 1 << 30  # freed arrays that MLX may keep on a CPU; unbounded, the shapes of a few batches filled 20 GB
_CPU_TOKENS = 512  # padded tokens at a time on a CPU: its matrix products gain nothing from more, and memory grows by 8 MB a token
_MEMORY_WORDS = ("out of memory", "unable to allocate", "allocation", "insufficient memory")

Gradients = dict[str, Any]


@dataclass(slots=True)
class Trainer:
    """Trains the adapter that `adapter.attach` put on `model`.

    `work` keeps checkpoints. `run` returns when training is done; `best` then holds the adapter that the recipe keeps.
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
    _optimizer: Any = None
    _weight: Any = None
    _most_tokens: float = math.inf
    _meter: Meter = field(default_factory=Meter)

    def run(self) -> Cursor:
        """Train to the end, from the newest checkpoint if there is one. Raises Interrupted, ConvergenceError, InsufficientMemoryError."""
        with fast_activations(not _on_gpu()):
            return self._run()

    def _run(self) -> Cursor:
        self._prepare()
        plan = self._plan()
        total = len(plan)
        while self.cursor.update < total:
            if self.stop.requested():
                self._save()
                raise Interrupted(f"training stopped after update {self.cursor.update} of {total}; it is saved")
            if not self._advance(plan[self.cursor.update], total):
                self._step_back()
                continue
            if (
                self._due(self.train.validate_every or math.ceil(total / self.train.epochs), total)
                and self._validate_and_is_stale()
            ):
                break
            if self.cursor.update % self.train.checkpoint_every == 0:
                self._save()
        if self.train.keep == "last" or not self.best:
            self.best, self.cursor.best_update = adapter.parameters(self.model), self.cursor.update
        return self.cursor

    def _prepare(self) -> None:
        import mlx.core as mx
        import mlx.optimizers as optim
        import numpy as np

        self._optimizer = optim.AdamW(
            self.train.learning_rate, betas=_BETAS, weight_decay=self.train.weight_decay, bias_correction=True
        )
        self._optimizer.init(self.model.trainable_parameters())
        if not _on_gpu():
            mx.set_cache_limit(_CACHE_BYTES)
            self._most_tokens = _CPU_TOKENS
            weight = loss.head_weight(self.model)
            self._weight = None if weight is None else np.asarray(weight.astype(mx.float32))
        self._restore()

    def _plan(self) -> list[list[list[int]]]:
        """Return every update's batches, as lists of row numbers."""
        batches = [
            batch
            for epoch in range(self.train.epochs)
            for batch in epoch_batches(self.rows, self.train, self.per_batch, epoch)
        ]
        step = self.train.grad_accumulation
        return [batches[i : i + step] for i in range(0, len(batches), step)]

    # one update -------------------------------------------------------------------------------------------------------------

    def _advance(self, group: list[list[int]], total: int) -> bool:
        """Do one update; return False, with nothing changed, when its loss or gradient is not finite or diverges."""
        start = time.perf_counter()
        summed, count, gradients = self._gradients(group)
        mean = summed / count
        size = adapter.norm(gradients) / count
        if not math.isfinite(mean) or not math.isfinite(size) or self._diverges(mean):
            return False
        rate = schedule.learning_rate(self.cursor.update, total, self.train) * self.cursor.rate_factor
        self._apply(gradients, count, size, rate)
        self.cursor.update += 1
        self.cursor.trained_tokens += count
        self.cursor.seconds += time.perf_counter() - start
        self.cursor.curve.append(
            {"update": self.cursor.update, "loss": mean, "learning_rate": rate, "gradient_norm": size}
        )
        self._report(total, mean, rate, count, time.perf_counter() - start)
        return True

    def _gradients(self, group: list[list[int]]) -> tuple[float, int, Gradients]:
        """Return summed loss, number of trained tokens and summed gradient over a group of batches."""
        import mlx.core as mx

        summed, count = 0.0, 0
        gathered: Gradients = {}
        for number, part in enumerate(self._parts(group)):
            mx.random.seed(_seed(self.train.seed, self.cursor.update, number))
            batch = build(self.rows, part)
            (_, value), gradients = self._guarded(partial(self._value_and_gradient, batch))
            summed += value
            count += len(batch.targets)
            gathered = {key: gathered[key] + array if gathered else array for key, array in gradients.items()}
            mx.eval(gathered)
        return summed, count, gathered

    def _parts(self, group: list[list[int]]) -> Iterator[list[int]]:
        """Cut batches so that each part fits: at most 1/splits of the rows, and on a CPU a bounded number of padded tokens."""
        lengths = self.rows.lengths()
        for rows in group:
            most = max(1, math.ceil(len(rows) / self.splits))
            part: list[int] = []
            for row in sorted(rows, key=lambda i: (lengths[i], i)):
                if part and (len(part) == most or (len(part) + 1) * int(lengths[row]) > self._most_tokens):
                    yield part
                    part = []
                part.append(row)
            yield part

    def _value_and_gradient(self, batch: Any) -> tuple[tuple[Any, float], Gradients]:
        import mlx.core as mx
        import mlx.nn as nn
        from mlx.utils import tree_flatten

        (surrogate, value), gradients = nn.value_and_grad(self.model, self._loss)(self.model, batch)
        flat = dict(tree_flatten(gradients))
        mx.eval(surrogate, value, flat)
        return (surrogate, float(value)), flat

    def _loss(self, model: Any, batch: Any) -> tuple[Any, Any]:
        import mlx.core as mx

        prefix = mx.array(self.rows.prefix[:-1])
        if self._weight is not None:
            return loss.streamed_loss(model, prefix, batch, self._weight)
        return loss.direct_loss(model, prefix, batch)

    def _guarded(self, work: Callable[[], Any]) -> Any:
        """Run a piece of work; turn the backend's words for too little memory into our error."""
        try:
            return work()
        except (MemoryError, RuntimeError) as error:
            if isinstance(error, MemoryError) or any(word in str(error).lower() for word in _MEMORY_WORDS):
                raise InsufficientMemoryError(
                    f"a batch of {math.ceil(self.train.batch_size / self.splits)} rows does not fit into memory",
                    hint="lower batch_size or max_length in TRAIN, or rank in LORA",
                ) from error
            raise

    def _apply(self, gradients: Gradients, count: int, size: float, rate: float) -> None:
        import mlx.core as mx
        from mlx.utils import tree_unflatten

        limit = self.train.max_grad_norm
        factor = min(1.0, limit / (size + 1e-6)) / count if limit else 1 / count
        scaled = {key: array * factor for key, array in gradients.items()}
        self._optimizer.learning_rate = rate
        self._optimizer.update(self.model, tree_unflatten(list(scaled.items())))
        mx.eval(self.model.trainable_parameters(), self._optimizer.state)

    def _report(self, total: int, mean: float, rate: float, count: int, seconds: float) -> None:
        self._meter.add(count, seconds)
        text = f"loss {mean:.3f} · rate {rate:.1e} · {self._meter.tokens_per_second():.0f} tokens/s · {self._meter.peak_gigabytes():.1f} GB"
        self.progress.update(self.cursor.update, total, text=text)

    # validation, recovery, checkpoints --------------------------------------------------------------------------------------

    def _due(self, every: int, total: int) -> bool:
        return self.cursor.update % every == 0 or self.cursor.update == total

    def _validate_and_is_stale(self) -> bool:
        """Measure the held-out rows, keep the adapter if it is the best so far; return True when early stopping says stop."""
        if not len(self.held_out):
            return False
        value = self.validation_loss()
        self.cursor.validations.append({"update": self.cursor.update, "loss": value})
        self.progress.note(f"validation loss {value:.4f} after update {self.cursor.update}")
        if self.cursor.best_loss is None or value < self.cursor.best_loss:
            self.cursor.best_loss, self.cursor.best_update, self.cursor.stale = value, self.cursor.update, 0
            self.best = adapter.parameters(self.model)
        else:
            self.cursor.stale += 1
        return self.train.early_stop is not None and self.cursor.stale >= self.train.early_stop

    def validation_loss(self) -> float:
        """Return the mean cross-entropy in nats of the held-out rows' trained tokens, without dropout."""
        self.model.eval()
        order = sorted(range(len(self.held_out)), key=lambda i: int(self.held_out.lengths()[i]))
        summed, count = 0.0, 0
        for start in range(0, len(order), self.train.batch_size):
            batch = build(self.held_out, order[start : start + self.train.batch_size])
            summed += float(self._loss(self.model, batch)[1])
            count += len(batch.targets)
        self.model.train()
        return summed / max(count, 1)

    def _diverges(self, mean: float) -> bool:
        """Return True when the mean over the last updates is far above the best such mean; one batch alone proves nothing."""
        losses = [*(entry["loss"] for entry in self.cursor.curve), mean]
        means = [sum(losses[i : i + _SMOOTHED]) / _SMOOTHED for i in range(len(losses) - _SMOOTHED + 1)]
        return len(means) > _SMOOTHED and means[-1] > _DIVERGED * max(min(means), _SMALL_LOSS)

    def _step_back(self) -> None:
        """Return to the last good checkpoint with half the rate, as often as the recipe allows."""
        retries, factor, where = self.cursor.retries + 1, self.cursor.rate_factor / 2, self.cursor.update
        rungs = self.cursor.rungs
        if retries > self.train.retries:
            raise ConvergenceError(
                f"the loss is not finite or diverges at update {where + 1}, also at 1/{round(1 / self.cursor.rate_factor)} of the rate",
                hint=f"learning_rate {self.train.learning_rate:g} is too high for these rows, or a row is broken: see `jessy data lint`",
            )
        if not self._restore():
            raise ConvergenceError(
                f"the loss is not finite at update {where + 1}, before any checkpoint",
                hint="lower learning_rate in TRAIN",
            )
        self.cursor.retries, self.cursor.rate_factor = retries, factor
        said = f"update {where + 1} was not finite or diverged; back to {self.cursor.update} at {factor:g} of the rate"
        self.cursor.rungs = [*rungs, said]
        self.progress.note(self.cursor.rungs[-1])

    def _save(self) -> None:
        from mlx.utils import tree_flatten

        groups = {
            "adapter": adapter.parameters(self.model),
            "best": self.best,
            "optimizer": dict(tree_flatten(self._optimizer.state)),
        }
        checkpoint.save(self.work, self.cursor, groups)

    def _restore(self) -> bool:
        """Go to the newest whole checkpoint; write one at the very start, so that there always is one."""
        from mlx.utils import tree_unflatten

        found = checkpoint.latest(self.work)
        if found is None:
            self._save()
            return True
        self.cursor, groups = found
        self.best = dict(groups["best"])
        self.model.load_weights(list(groups["adapter"].items()), strict=False)
        self._optimizer.state = tree_unflatten(list(groups["optimizer"].items()))
        if self.cursor.update:
            self.progress.note(f"going on after update {self.cursor.update}")
        return True


def _seed(seed: int, update: int, part: int) -> int:
    """Mix seed and place into 63 bits (SplitMix64's multiplier), so that dropout follows from where training is."""
    return (seed * 0x9E3779B97F4A7C15 + update * 0xBF58476D1CE4E5B9 + part * 0x94D049BB133111EB) % (1 << 63)


def _on_gpu() -> bool:
    import mlx.core as mx

    return bool(mx.default_device() == mx.Device(mx.gpu))
