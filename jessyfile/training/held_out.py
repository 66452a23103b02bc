"""How well a model says the answers of rows that it was not trained on."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

from jessyfile.errors import TrainingError
from jessyfile.models.accelerate import on_gpu
from jessyfile.training import loss
from jessyfile.training.batches import build, pack_rows
from jessyfile.training.decoder import Decoder
from jessyfile.training.gradient import guarded
from jessyfile.training.tape import Tape

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    from jessyfile.training.encoded import Encoded

# the states that predict, the tokens to predict, and what makes logits of some of the states
Predicted: TypeAlias = "tuple[Any, NDArray[np.int32], Callable[[Any], NDArray[np.float32]]]"
_POSITIONS = 64  # whose logits exist at once: 64 MB with a vocabulary of 262,144


@dataclass(frozen=True, slots=True)
class Metrics:
    """What a model makes of the trained tokens of some rows: mean cross-entropy in nats, and the share of tokens that it would
    have said itself, each given the true tokens before it.
    """

    loss: float
    token_accuracy: float
    tokens: int
    rows: int

    @property
    def perplexity(self) -> float:
        """The exponential of the loss: among how many equally likely tokens the model hesitates."""
        return math.exp(min(self.loss, 700.0))

    def __str__(self) -> str:
        return f"Loss {self.loss:.4f}, Perplexity {self.perplexity:.2f}, Token Accuracy {self.token_accuracy:.1%}"


def measure(model: Any, rows: Encoded, batch_size: int) -> Metrics:
    """Return the metrics of a model on rows, without dropout.

    Raises InsufficientMemoryError, and TrainingError when the loss is not finite.
    """
    lengths = rows.lengths()
    order = sorted(range(len(rows)), key=lambda row: (int(lengths[row]), row))
    batches = [order[start : start + batch_size] for start in range(0, len(order), batch_size)]
    model.eval()
    try:
        found = [guarded(partial(_of_batch, model, rows, batch), len(batch)) for batch in batches]
    finally:
        model.train()
    total, right, tokens = (sum(part[i] for part in found) for i in range(3))
    if not math.isfinite(total):
        raise TrainingError("the loss on these rows is not finite", hint="train again with a lower learning rate")
    return Metrics(total / tokens, right / tokens, int(tokens), len(rows))


def _of_batch(model: Any, rows: Encoded, chosen: list[int]) -> tuple[float, int, int]:
    """Return a batch's summed cross-entropy, the tokens that the model puts first, and the tokens in all."""
    states, targets, logits = _on_gpu(model, rows, chosen) if on_gpu() else _on_cpu(model, rows, chosen)
    total, right = 0.0, 0
    for start in range(0, len(targets), _POSITIONS):
        part = slice(start, start + _POSITIONS)
        scores = logits(states[part])
        total += _cross_entropy(scores, targets[part])
        right += int((scores.argmax(axis=1) == targets[part]).sum())
    return total, right, len(targets)


def _on_cpu(model: Any, rows: Encoded, chosen: list[int]) -> Predicted:
    batch = pack_rows(rows, chosen)
    states = Decoder(model).predicting(Tape(recording=False), batch).value
    return states, batch.targets, partial(loss.cpu_logits, model)


def _on_gpu(model: Any, rows: Encoded, chosen: list[int]) -> Predicted:
    import mlx.core as mx
    import numpy as np

    batch = build(rows, chosen, 1)
    hidden = loss.states(model, mx.array(rows.prefix[:-1]), mx.array(batch.inputs))
    states = hidden.reshape(-1, hidden.shape[-1])[mx.array(batch.where)]
    return states, batch.targets, lambda part: np.array(loss.logits(model, part).astype(mx.float32))


def _cross_entropy(scores: NDArray[np.float32], targets: NDArray[np.int32]) -> float:
    import numpy as np

    picked = scores[np.arange(len(targets)), targets]
    top = scores.max(axis=1)
    sums = np.exp(scores - top[:, None]).sum(axis=1, dtype=np.float64)
    return float((np.log(sums) + top - picked).sum())
