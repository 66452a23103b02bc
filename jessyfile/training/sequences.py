"""mlx-lm's models over sequences of several rows: what stands in a cache's place, rotations by position, and the loss, for a GPU."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from jessyfile import machine
from jessyfile.models.shape import shape_of
from jessyfile.training.loss import Continuation, keys_and_values, logits, states

# tokens times weights that a CUDA card multiplies before the host has asked for the kernels of one more pass
_WORK = 5e11

Array = Any  # mx.array; MLX ships no complete types


class _Rotation:
    """Stands where a layer's rotation would: takes positions of shape (sequences, length) in place of one offset."""

    def __init__(self, rope: Any) -> None:
        self.rope = rope

    def __call__(self, x: Array, offset: Any = 0) -> Array:
        if not getattr(offset, "ndim", 0):
            return self.rope(x, offset=offset)
        count, heads, length, size = x.shape
        alone = x.transpose(0, 2, 1, 3).reshape(count * length, heads, 1, size)
        turned = self.rope(alone, offset=offset.reshape(-1))
        return turned.reshape(count, length, heads, size).transpose(0, 2, 1, 3)


@contextlib.contextmanager
def rotated_by_position(model: Any) -> Iterator[None]:
    """Let every layer of a model take positions token by token inside the block."""
    layers = [layer.self_attn for layer in model.layers if hasattr(layer.self_attn, "rope")]
    for attention in layers:
        attention.rope = _Rotation(attention.rope)
    try:
        yield
    finally:
        for attention in layers:
            attention.rope = attention.rope.rope


class _Rows(Continuation):
    """Stands where a key-value cache would: lets a row's tokens see the prefix and the row, and nothing else."""

    def __init__(
        self, positions: Array, segments: Array, prefix: Sequence[Array], *, grouped: bool, dtype: Any
    ) -> None:
        super().__init__(prefix, positions)
        self._segments, self._grouped, self._dtype = segments, grouped, dtype

    def make_mask(self, length: int, return_array: bool = False, window_size: int | None = None) -> Array:
        import mlx.core as mx

        del return_array  # there is no other mask for several rows
        places = mx.arange(length)
        seen = (places[:, None] >= places[None]) & (self._segments[:, :, None] == self._segments[:, None, :])
        if window_size:
            seen = seen & (places[:, None] - places[None] < window_size)
        if self._prefix:
            before = mx.arange(self._prefix[0].shape[2])
            near = self.offset[:, :, None] - before < (window_size or 1 << 30)
            seen = mx.concatenate([near, seen], axis=2)
        # a sum's gradient takes no kernel, as that of a choice would
        added = mx.where(seen, 0, -mx.inf).astype(self._dtype)
        return added[:, None, None] if self._grouped else added[:, None]

    def update_and_fetch(self, keys: Array, values: Array) -> tuple[Array, Array]:
        return super().update_and_fetch(keys, values) if self._prefix else (keys, values)

    def over(self, given: Sequence[Array]) -> _Rows:
        return _Rows(self.offset, self._segments, given, grouped=self._grouped, dtype=self._dtype)


def binned_losses(model: Any, prefix: Array, arrays: Mapping[str, Array], chunk: int) -> Array:
    """Return the cross-entropy in nats of every target of rows in sequences, shape (targets,).

    Args:
        model: the MLX model, its layers rotated by position where several rows share a sequence.
        prefix: token ids that stand before every row, shape (length,).
        arrays: the fields of `Bins` by name; `positions` and `segments` where several rows share a sequence.
        chunk: how many targets' logits are in memory at once.
    """
    hidden = _together(model, prefix, arrays) if "segments" in arrays else states(model, prefix, arrays["inputs"])
    chosen = hidden.reshape(-1, hidden.shape[-1])[arrays["where"]]
    return cross_entropy(model, chosen, arrays["targets"], chunk)


def _together(model: Any, prefix: Array, arrays: Mapping[str, Array]) -> Array:
    before = keys_and_values(model, prefix) if prefix.size else [() for _ in model.layers]
    # gemma2's scores have five dimensions where heads share keys
    grouped = model.model_type == "gemma2" and model.layers[0].self_attn.repeats > 1
    dtype = model.model.norm.weight.dtype
    seen = [_Rows(arrays["positions"], arrays["segments"], one, grouped=grouped, dtype=dtype) for one in before]
    return model.model(arrays["inputs"], cache=seen)


def shares_its_prefix(model: Any, tokens: int) -> bool:
    """Return whether to compute the prefix that rows share once, which takes kernels of its own, and not so many tokens of it."""
    shape = shape_of(vars(model.args))
    weights = shape.layers * sum(inner * outer for inner, outer in shape.linear.values())
    return machine.chip() != "CUDA" or tokens * weights > _WORK


def cross_entropy(model: Any, chosen: Array, targets: Array, chunk: int) -> Array:
    """Return the cross-entropy in nats of every hidden state, shape (targets,).

    Args:
        model: the MLX model, whose head gives the logits.
        chosen: hidden states, shape (targets, hidden).
        targets: the tokens to predict there, shape (targets,).
        chunk: of how many states the logits are in memory at once; for the gradient they are computed a second time.
    """
    import mlx.core as mx
    import mlx.nn as nn

    def part(states: Array, here: slice) -> Array:
        return nn.losses.cross_entropy(logits(model, states).astype(mx.float32), targets[here])

    count = chosen.shape[0]
    pieces = [slice(start, start + chunk) for start in range(0, count, chunk)]
    if count <= chunk:
        return part(chosen, pieces[0])

    @mx.custom_function
    def whole(states: Array) -> Array:
        return mx.concatenate([part(states[here], here) for here in pieces])

    @whole.vjp
    def pulled(states: Array, cotangent: Array, _: Array) -> Array:
        parts = [mx.vjp(partial(part, here=here), [states[here]], [cotangent[here]])[1][0] for here in pieces]
        return mx.concatenate(parts).astype(states.dtype)

    return whole(chosen)
