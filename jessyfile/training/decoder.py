"""A decoder's hidden states and the adapter's gradient on a CPU: mlx-lm's model, computed by a tape of NumPy operations.

Covers every architecture that jessy trains: they differ in where norms stand, whether queries and keys have some, how positions
are told, which activation the gate has, and what is fused into one matrix. The rows of a batch lie one after the other, without
padding, behind the prefix that they share. Layers below the lowest adapted one leave nothing behind.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from jessyfile.models.shape import Shape, shape_of
from jessyfile.training import tape as ops
from jessyfile.training.attention import Heads, attended, rope_tables
from jessyfile.training.batches import Layout, Packed
from jessyfile.training.dropout import Drops, drops, targets_of_rows
from jessyfile.training.prefix import PrefixAt
from jessyfile.training.projection import float32, projected
from jessyfile.training.tape import Tape, Traced
from jessyfile.training.widened import WideRows, is_narrow

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from jessyfile.training.tape import Matrix

FOUR_NORMS, QUERY_NORMS = ("gemma2", "gemma3_text"), ("gemma3_text", "qwen3")
_GATES = {"gemma": ops.gelu, "gemma2": ops.gelu_tanh, "gemma3_text": ops.gelu_tanh}
# of one part: with more, its lowest layers keep only what enters them, and are computed again for their gradient
KEPT_BYTES = 1 << 30


@dataclass(frozen=True, slots=True)
class _Asked:
    """What a layer is told of a part; None for no, for all.

    rows    how they lie
    drops   what is dropped of them
    where   which tokens are wanted of it
    prefix  the way to a prefix that several parts share
    later   what is dropped of the tokens that are wanted
    """

    rows: Layout
    drops: Drops | None
    where: NDArray[np.int64] | None
    prefix: PrefixAt | None
    later: Drops | None


@dataclass(slots=True)
class Decoder:
    """An mlx-lm model whose layers are computed in NumPy."""

    model: Any
    _tables: dict[int, tuple[Matrix, Matrix]] = field(default_factory=dict)

    def embedded(self, ids: NDArray[np.int32]) -> Matrix:
        """Return the tokens' embeddings as they enter the first layer."""
        import mlx.core as mx
        import numpy as np

        table = self.model.model.embed_tokens
        found: Matrix = WideRows(table)[ids] if is_narrow(table) else np.asarray(table.weight)[ids]
        width, kind = found.shape[1], self.model.model_type
        if kind == "gemma3_text":  # its authors round the factor to bfloat16
            found = found * np.float32(float(mx.array(width**0.5, mx.bfloat16)))
        elif kind.startswith("gemma"):
            found = found * np.float32(width**0.5)
        return found

    def predicting(self, tape: Tape, batch: Packed, seed: int | None = None, prefix: PrefixAt | None = None) -> Traced:
        """Return the last states, normed, that predict the batch's targets, shape (targets, hidden).

        Args:
            tape: where the operations are recorded.
            batch: the rows and their targets.
            seed: what dropout is drawn from; None for no dropout.
            prefix: the way to a prefix that several parts share.
        """
        import numpy as np

        entering, count = batch.entering, len(self.model.layers)
        first = 0 if entering is None else frozen_layers(self.model)
        x = Traced(self.embedded(batch.ids) if entering is None else entering, needed=False)
        with np.errstate(all="ignore"):  # the trainer refuses what is not finite
            x = self._through(tape, x, batch, seed, prefix, range(first, count))
            return _norm(tape, x, self.model.model.norm)

    def below(self, batch: Packed, prefix: PrefixAt | None = None) -> Matrix:
        """Return what enters the lowest adapted layer, shape (tokens, hidden); `prefix` is the way to one that several parts share."""
        import numpy as np

        x = Traced(self.embedded(batch.ids), needed=False)
        with np.errstate(all="ignore"):
            return self._through(Tape(recording=False), x, batch, None, prefix, range(frozen_layers(self.model))).value

    def _through(
        self, tape: Tape, x: Traced, batch: Packed, seed: int | None, prefix: PrefixAt | None, layers: range
    ) -> Traced:
        """Return what layers make of the states before them; the last of all gives those at the targets, of others keys and values alone."""
        count, lowest = len(self.model.layers), frozen_layers(self.model)

        def computed(number: int, tape: Tape, x: Traced) -> Traced:
            dropped = None if seed is None else drops(batch, seed, number)
            where, later = None, dropped
            if number == count - 1:
                where, later = batch.where, dropped and dropped.at(targets_of_rows(batch))
            here = prefix and replace(prefix, layer=number)
            return self._layer(tape, x, number, _Asked(batch.rows, dropped, where, here, later))

        again = count - KEPT_BYTES // (4 * len(batch.ids) * kept_numbers(shape_of(vars(self.model.args))))
        for number in layers:
            work = partial(computed, number)
            x = tape.again(x, work) if lowest <= number < again else work(tape, x)
        return x

    def _layer(self, tape: Tape, x: Traced, number: int, asked: _Asked) -> Traced:
        """Return a layer's result: attention and gate, each behind a norm, each added to what came in; only at some tokens, if told so."""
        layer, path = self.model.layers[number], f"model.layers.{number}"
        sandwich = "pre_feedforward_layernorm" in layer
        attention = self._attention(tape, _norm(tape, x, layer.input_layernorm), layer, path, asked)
        if asked.where is not None:
            x = ops.picked(tape, x, asked.where)
        if sandwich:
            attention = _norm(tape, attention, layer.post_attention_layernorm)
        x = ops.added(tape, x, attention)
        before = layer.pre_feedforward_layernorm if sandwich else layer.post_attention_layernorm
        gate = self._gate(tape, _norm(tape, x, before), layer.mlp, f"{path}.mlp", asked.later)
        if sandwich:
            gate = _norm(tape, gate, layer.post_feedforward_layernorm)
        return ops.added(tape, x, gate)

    def _attention(self, tape: Tape, x: Traced, layer: Any, path: str, asked: _Asked) -> Traced:
        one, path, dropped = layer.self_attn, f"{path}.self_attn", asked.drops
        if "qkv_proj" in one:
            fused = projected(tape, x, one.qkv_proj, f"{path}.qkv_proj", dropped)
            size = fused.value.shape[1] // (one.n_heads + 2 * one.n_kv_heads)
            q, k, v = ops.columns(tape, fused, [n * size for n in (one.n_heads, one.n_kv_heads, one.n_kv_heads)])
        else:
            q, k, v = (
                projected(tape, x, one[name], f"{path}.{name}", dropped) for name in ("q_proj", "k_proj", "v_proj")
            )
        if "q_norm" in one:
            q, k = _norm(tape, q, one.q_norm), _norm(tape, k, one.k_norm)
        heads = self._heads(layer, q.value.shape[1] // one.n_heads, asked.rows)
        gathered = attended(tape, q, k, v, heads, asked.rows, asked.prefix)
        if asked.where is not None:
            gathered = ops.picked(tape, gathered, asked.where)
        return projected(tape, gathered, one.o_proj, f"{path}.o_proj", asked.later)

    def _gate(self, tape: Tape, x: Traced, mlp: Any, path: str, dropped: Drops | None) -> Traced:
        if "gate_up_proj" in mlp:
            fused = projected(tape, x, mlp.gate_up_proj, f"{path}.gate_up_proj", dropped)
            gate, up = ops.columns(tape, fused, [fused.value.shape[1] // 2] * 2)
        else:
            gate, up = (projected(tape, x, mlp[name], f"{path}.{name}", dropped) for name in ("gate_proj", "up_proj"))
        inside = ops.gated(tape, gate, up, _GATES.get(self.model.model_type, ops.silu))
        return projected(tape, inside, mlp.down_proj, f"{path}.down_proj", dropped)

    def _heads(self, layer: Any, size: int, rows: Layout) -> Heads:
        one, inner = layer.self_attn, self.model.model
        window = None
        if getattr(one, "is_sliding", False):  # Gemma 3
            window = inner.window_size
        elif getattr(layer, "use_sliding", False):  # Llama and its like
            window = inner.sliding_window
        interleaved = bool(getattr(one.rope, "traditional", False))
        return Heads(
            one.n_heads,
            one.n_kv_heads,
            one.scale,
            getattr(one, "attn_logit_softcapping", None),
            window,
            self._rope(one.rope, size, rows.longest, interleaved=interleaved),
            interleaved,
        )

    def _rope(self, rope: Any, size: int, positions: int, *, interleaved: bool) -> tuple[Matrix, Matrix] | None:
        rotated = getattr(rope, "dims", getattr(rope, "dim", None))
        if rotated is None:  # SmolLM3 leaves out every fourth layer's rotation
            return None
        known = self._tables.get(id(rope))
        if known is None or len(known[0]) < positions:
            known = self._tables[id(rope)] = rope_tables(rope, rotated, size, positions, interleaved=interleaved)
        return known


def frozen_layers(model: Any) -> int:
    """Return how many layers lie below the lowest adapted one."""
    from mlx.utils import tree_flatten

    trained = (n for n, layer in enumerate(model.layers) if tree_flatten(layer.trainable_parameters()))
    return next(trained, len(model.layers))


def kept_numbers(shape: Shape) -> int:
    """Return how many numbers of a token a trained layer keeps for its gradient."""
    queries, keys = shape.heads * shape.head_dim, shape.kv_heads * shape.head_dim
    norms = 2 * shape.hidden * (shape.model_type in FOUR_NORMS) + (queries + keys) * (shape.model_type in QUERY_NORMS)
    return 4 * shape.hidden + 2 * (queries + keys) + 3 * shape.intermediate + norms


def _norm(tape: Tape, x: Traced, norm: Any) -> Traced:
    """Return a value after one of the model's norms; Gemma's scales are told as their difference from one."""
    import mlx.nn as nn
    import numpy as np

    scale = float32(norm.weight)
    return ops.normed(tape, x, scale if isinstance(norm, nn.RMSNorm) else np.float32(1) + scale, norm.eps)
