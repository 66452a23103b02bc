"""Training written a second time, as plainly as the formulas are: what the trainer is held against.

Nothing here comes from the trainer's loss, batches or optimizer. Every row is computed alone and whole, from its first token, with logits at
every place; its gradient is MLX's own over mlx-lm's own model; cross-entropy and AdamW are NumPy in double precision.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import numpy as np
from mlx.utils import tree_flatten

from jessyfile.language.recipe import Train
from jessyfile.training.encoded import EncodedRow

Arrays = Mapping[str, np.ndarray]


def counted(row: EncodedRow, end: int, train: Train) -> np.ndarray:
    """Return how often each token of a row counts: 0 where it is only given, the recipe's weights where an answer ends or a level stands."""
    weights = np.zeros(len(row.tokens), np.float32)
    levels = row.level or (False,) * len(row.tokens)
    for place, (token, trained, level) in enumerate(zip(row.tokens, row.trained, levels, strict=True)):
        if place and trained:  # nothing stands before the first token that could predict it
            weights[place] = train.level_weight if level else train.end_weight if token == end else 1
    return weights


def cross_entropy(logits: np.ndarray, said: np.ndarray, weights: np.ndarray) -> tuple[float, np.ndarray]:
    """Return the summed loss in nats and its slope at every logit: the softmax less the token that was said, as often as it counts.

    In double precision: MLX's own sum over a vocabulary of 49,152 is wrong in the fifth digit on a CPU.
    """
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares /= shares.sum(axis=1, keepdims=True)
    places = np.arange(len(said))
    loss = -np.log(shares[places, said]) @ weights
    shares[places, said] -= 1
    return float(loss), shares * weights[:, None]


def row_gradient(model: Any, row: EncodedRow, weights: np.ndarray) -> tuple[float, dict[str, np.ndarray]]:
    """Return the summed loss of one row and its gradient by parameter."""
    tokens = mx.array(row.tokens)

    def logits(model: Any) -> mx.array:
        return model(tokens[None, :-1])[0].astype(mx.float32)

    value, slopes = cross_entropy(np.array(logits(model), np.float64), np.array(row.tokens[1:]), weights[1:])
    pulled = mx.array(slopes.astype(np.float32))
    _, tree = nn.value_and_grad(model, lambda model: mx.sum(logits(model) * pulled))(model)
    return value, {key: np.array(array, np.float64) for key, array in tree_flatten(tree)}


@dataclass(frozen=True)
class Sums:
    """The mean loss over what counts, its gradient by parameter, and that gradient's norm."""

    loss: float
    gradient: dict[str, np.ndarray]

    @property
    def norm(self) -> float:
        return math.sqrt(sum(float(np.sum(array**2)) for array in self.gradient.values()))


def mean_gradient(model: Any, rows: Iterable[EncodedRow], end: int, train: Train) -> Sums:
    """Return loss and gradient over rows: one mean over all that counts in them, not a mean of means."""
    loss, mass, total = 0.0, 0.0, dict[str, np.ndarray]()
    for row in rows:
        weights = counted(row, end, train)
        value, gradient = row_gradient(model, row, weights)
        loss, mass = loss + value, mass + float(weights.sum())
        for key, array in gradient.items():
            total[key] = total.get(key, 0) + array
    return Sums(loss / mass, {key: array / mass for key, array in total.items()})


def clipped(sums: Sums, limit: float) -> dict[str, np.ndarray]:
    """Return a gradient whose norm is the limit at most; 0 is no limit."""
    factor = min(1.0, limit / sums.norm) if limit else 1.0
    return {key: array * factor for key, array in sums.gradient.items()}


@dataclass(frozen=True)
class Moments:
    """AdamW's two running means."""

    first: dict[str, np.ndarray]
    second: dict[str, np.ndarray]

    def after(self, gradient: Arrays) -> Moments:
        return Moments(
            {key: 0.9 * self.first[key] + 0.1 * g for key, g in gradient.items()},
            {key: 0.999 * self.second[key] + 0.001 * g**2 for key, g in gradient.items()},
        )


def stepped(weights: Arrays, moments: Moments, step: int, rate: float, decay: float) -> dict[str, np.ndarray]:
    """Return the weights after AdamW's step, counted from 1 (Loshchilov and Hutter 2019, algorithm 2, with both corrections)."""
    found = {}
    for key, weight in weights.items():
        first = moments.first[key] / (1 - 0.9**step)
        second = moments.second[key] / (1 - 0.999**step)
        found[key] = weight - rate * (first / (np.sqrt(second) + 1e-8) + decay * weight)
    return found


def rate_of(step: int, total: int, train: Train) -> float:
    """Return the learning rate of a step, counted from 1: a line up to the rate, then half a cosine down to 0."""
    warm = train.warmup_steps
    if step <= warm:
        return train.learning_rate * step / warm
    return train.learning_rate * 0.5 * (1 + math.cos(math.pi * (step - 1 - warm) / (total - warm)))


def groups(batches: Sequence[Sequence[int]], accumulated: int) -> list[list[int]]:
    """Return the row numbers of every update."""
    return [
        [row for batch in batches[start : start + accumulated] for row in batch]
        for start in range(0, len(batches), accumulated)
    ]
