"""The training loss: cross-entropy of the trained tokens and of no others.

Two savings change no result. The prefix that all rows share (the system prompt) is computed once a batch, and every
row attends to it. The vocabulary's logits are computed at the trained positions only. On a CPU they are streamed
through NumPy, and the gradient of the states is found in the same pass (an online softmax, Milakov and Gimelshein 2018,
extended to the gradient); the states there are `decoder`'s.

Not covered: encoder-decoder models and models whose cache is not one key-value pair a layer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from jessyfile.training.batches import Batch
from jessyfile.training.product import product
from jessyfile.training.widened import WideRows, is_narrow

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

CHUNK = 2048  # columns of the vocabulary at a time: their part of the matrix and of the logits stays in a cache

Array = Any  # mx.array; MLX ships no complete types
HeadRows: TypeAlias = "NDArray[np.float32] | WideRows"


class _Recorder:
    """Stands where a key-value cache would: keeps the prefix's keys and values, differentiable."""

    offset = 0
    keys: Array
    values: Array

    def make_mask(self, length: int, return_array: bool = False, window_size: int | None = None) -> Array:
        return _mask(length, 0, window_size, return_array)

    def update_and_fetch(self, keys: Array, values: Array) -> tuple[Array, Array]:
        self.keys, self.values = keys, values
        return keys, values

    # what `recompute` asks of a cache: the arrays it brings into a layer, one of its kind over others, the arrays it takes out

    def given(self) -> tuple[Array, ...]:
        return ()

    @staticmethod
    def over(given: Sequence[Array]) -> _Recorder:
        del given
        return _Recorder()

    def left(self) -> tuple[Array, Array]:
        return self.keys, self.values

    def take(self, left: Sequence[Array]) -> None:
        self.keys, self.values = left


class Continuation:
    """Stands where a key-value cache would: puts the prefix's keys and values before every row's own."""

    def __init__(self, prefix: Sequence[Array], offset: Array) -> None:
        self._prefix, self.offset = prefix, offset

    def make_mask(self, length: int, return_array: bool = False, window_size: int | None = None) -> Array:
        """Return which tokens see which."""
        return _mask(length, self.offset, window_size, return_array)

    def update_and_fetch(self, keys: Array, values: Array) -> tuple[Array, Array]:
        """Return the prefix's keys and values before the rows' own."""
        return self._joined(self._prefix[0], keys), self._joined(self._prefix[1], values)

    def given(self) -> tuple[Array, ...]:
        """Return the arrays that it brings into a layer."""
        return tuple(self._prefix)

    def over(self, given: Sequence[Array]) -> Continuation:
        """Return one of its kind over other arrays."""
        return Continuation(given, self.offset)

    def left(self) -> tuple[Array, ...]:
        """Return the arrays that it takes out of a layer: none."""
        return ()

    def take(self, left: Sequence[Array]) -> None:
        """Keep what was taken out."""

    @staticmethod
    def _joined(prefix: Array, own: Array) -> Array:
        import mlx.core as mx

        return mx.concatenate([mx.broadcast_to(prefix, (own.shape[0], *prefix.shape[1:])), own], axis=2)


def _mask(length: int, offset: int, window: int | None, as_array: bool) -> Array:
    from mlx_lm.models.base import create_causal_mask

    if length == 1 and not as_array:
        return None
    if as_array or (window and offset + length > window):
        return create_causal_mask(length, offset=offset, window_size=window)
    return "causal"


def states(model: Any, prefix: Array, inputs: Array) -> Array:
    """Return the last hidden states, shape (rows, length, hidden), of rows that follow a shared prefix of token ids."""
    if prefix.size == 0:
        return model.model(inputs)
    return model.model(inputs, cache=[Continuation(found, prefix.size) for found in keys_and_values(model, prefix)])


def keys_and_values(model: Any, prefix: Array) -> list[tuple[Array, Array]]:
    """Return every layer's keys and values of token ids that stand before all rows, differentiable."""
    recorders = [_Recorder() for _ in model.layers]
    model.model(prefix[None], cache=recorders)
    return [recorder.left() for recorder in recorders]


def head_rows(model: Any) -> HeadRows:
    """Return the output matrix, shape (vocabulary, hidden).

    What is held in float32 is not copied; of what is not, only the rows that are asked for are ever in float32.
    """
    import numpy as np

    head = model.lm_head if "lm_head" in model else model.model.embed_tokens
    return WideRows(head) if is_narrow(head) else np.asarray(head.weight)


def logits(model: Any, chosen: Array) -> Array:
    """Return logits, shape (n, vocabulary), of n hidden states, as the model's own head computes them."""
    import mlx.core as mx

    out = model.lm_head(chosen) if "lm_head" in model else model.model.embed_tokens.as_linear(chosen)
    cap = getattr(model, "final_logit_softcapping", None)
    return mx.tanh(out / cap) * cap if cap else out


def cpu_logits(model: Any, chosen: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return logits, shape (n, vocabulary), of n hidden states, computed by NumPy."""
    import numpy as np

    head = head_rows(model)
    scores = np.empty((len(chosen), len(head)), np.float32)
    for start in range(0, len(head), CHUNK):
        scores[:, start : start + CHUNK] = product(chosen, head[start : start + CHUNK].T)
    _bend(scores, getattr(model, "final_logit_softcapping", None))
    return scores


@dataclass(frozen=True, slots=True)
class Softmax:
    """Some of the vocabulary's softmax over n states: the highest logit and the sum of exponentials below it, each of shape (n,), and
    the output matrix's rows summed by those exponentials, shape (n, hidden).
    """

    top: NDArray[np.float32]
    total: NDArray[np.float32]
    pulled: NDArray[np.float32]

    def __add__(self, other: Softmax) -> Softmax:
        """Return that of both their tokens."""
        import numpy as np

        top = np.maximum(self.top, other.top)
        own, others = np.exp(self.top - top), np.exp(other.top - top)
        pulled = self.pulled * own[:, None] + other.pulled * others[:, None]
        return Softmax(top, self.total * own + other.total * others, pulled)


def streamed(
    chosen: NDArray[np.float32], weight: HeadRows, tokens: range, *, cap: float | None = None, pulling: bool = True
) -> Softmax:
    """Return the softmax over some of the vocabulary, read once in chunks.

    Args:
        chosen: hidden states at the targets, shape (n, hidden).
        weight: the output matrix, shape (vocabulary, hidden).
        tokens: which of its rows.
        cap: logits are bent to stay below it (Gemma 2); None for no cap.
        pulling: whether the rows are summed, which only a gradient needs.
    """
    import numpy as np

    top, total = np.full(len(chosen), -np.inf, dtype=np.float32), np.zeros(len(chosen), dtype=np.float32)
    pulled = np.zeros_like(chosen)
    with np.errstate(all="ignore"):
        for start in range(tokens.start, tokens.stop, CHUNK):
            part = weight[start : min(start + CHUNK, tokens.stop)]
            scores = product(chosen, part.T)
            slope = _bend(scores, cap)
            higher = np.maximum(top, scores.max(axis=1))
            shrink = np.exp(top - higher)
            scores -= higher[:, None]
            np.exp(scores, out=scores)
            total = total * shrink + scores.sum(axis=1)
            top = higher
            if not pulling:
                continue
            if slope is not None:
                scores *= slope
            pulled *= shrink[:, None]
            product(scores, part, added_to=pulled)
    return Softmax(top, total, pulled)


def cross_entropy(
    chosen: NDArray[np.float32], rows: NDArray[np.float32], whole: Softmax, cap: float | None
) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
    """Return the cross-entropy of each target in nats, shape (n,), and its gradient with respect to `chosen`, of the same shape.

    Args:
        chosen: hidden states at the targets, shape (n, hidden).
        rows: the output matrix's rows of the targets, shape (n, hidden).
        whole: the softmax over the whole vocabulary.
        cap: logits are bent to stay below it (Gemma 2); None for no cap.
    """
    import numpy as np

    picked = np.einsum("nd,nd->n", chosen, rows)[:, None]
    slope = _bend(picked, cap)
    losses = np.log(whole.total).astype(np.float64) + whole.top - picked[:, 0]
    return losses, whole.pulled / whole.total[:, None] - (rows if slope is None else rows * slope)


def target_logprobs(
    chosen: NDArray[np.float32], rows: NDArray[np.float32], whole: Softmax, cap: float | None
) -> NDArray[np.float32]:
    """Return the log-probability of each target in nats, shape (n,).

    Args:
        chosen: hidden states at the targets, shape (n, hidden).
        rows: the output matrix's rows of the targets, shape (n, hidden).
        whole: the softmax over the whole vocabulary.
        cap: logits are bent to stay below it (Gemma 2); None for no cap.
    """
    import numpy as np

    picked = np.einsum("nd,nd->n", chosen, rows)
    _bend(picked, cap)
    found: NDArray[np.float32] = picked - whole.top - np.log(whole.total)
    return found


def _bend(scores: NDArray[np.float32], cap: float | None) -> NDArray[np.float32] | None:
    """Bend scores in place so that they stay below a cap; return the slope, None without a cap."""
    import numpy as np

    if not cap:
        return None
    scores /= np.float32(cap)
    np.tanh(scores, out=scores)
    slope: NDArray[np.float32] = 1 - scores * scores
    scores *= np.float32(cap)
    return slope


def token_losses(model: Any, prefix: Array, batch: Batch) -> Array:
    """Return the cross-entropy of each target in nats, shape (targets,), computed by MLX (GPU)."""
    import mlx.core as mx
    import mlx.nn as nn

    hidden = states(model, prefix, mx.array(batch.inputs))
    chosen = hidden.reshape(-1, hidden.shape[-1])[mx.array(batch.where)]
    scores = logits(model, chosen).astype(mx.float32)
    return nn.losses.cross_entropy(scores, mx.array(batch.targets))


def direct_loss(model: Any, prefix: Array, batch: Batch) -> Array:
    """Return the summed loss, each target as often as it counts, computed by MLX (GPU)."""
    import mlx.core as mx

    return mx.sum(token_losses(model, prefix, batch) * mx.array(batch.weights))
