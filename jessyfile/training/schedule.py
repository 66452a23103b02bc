"""How many updates a training makes, and how fast it learns at each."""

from __future__ import annotations

import math

from jessyfile.language.recipe import Train


def micro_batches(rows: int, train: Train) -> int:
    """Return the number of batches over all epochs; an epoch's last batch may be small."""
    return train.epochs * math.ceil(rows / train.batch_size)


def updates(rows: int, train: Train) -> int:
    """Return the number of optimizer updates; accumulation runs across epochs, the last group may be small."""
    return math.ceil(micro_batches(rows, train) / train.grad_accumulation)


def validation_step(train: Train, total: int) -> int:
    """Return after how many updates the held-out rows are measured: what the recipe says, else an epoch."""
    return train.validate_every or math.ceil(total / train.epochs)


def due(update: int, every: int, total: int) -> bool:
    """Return whether something that happens every so many updates, and after the last, happens after this one."""
    return update % every == 0 or update == total


def learning_rate(update: int, total: int, train: Train) -> float:
    """Return the rate of an update, counted from 0: linear warm-up to the recipe's rate, then its schedule down to zero."""
    if update < train.warmup_steps:
        return train.learning_rate * (update + 1) / train.warmup_steps
    if train.schedule == "constant":
        return train.learning_rate
    left = max(total - train.warmup_steps, 1)
    done = (update - train.warmup_steps) / left
    share = 1 - done if train.schedule == "linear" else (1 + math.cos(math.pi * done)) / 2
    return train.learning_rate * share
