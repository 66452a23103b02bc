"""The sizes in a config.json that decide what a base weighs in memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

_GEMMA3_HEAD = 256  # what mlx-lm takes where config.json says nothing


@dataclass(frozen=True, slots=True)
class Shape:
    """A decoder's sizes: widths in numbers, `vocabulary` in tokens.

    `tied` says that the embeddings are the head too, `quantized` that its own folder holds it quantized.
    """

    model_type: str
    layers: int
    hidden: int
    intermediate: int
    heads: int
    kv_heads: int
    head_dim: int
    vocabulary: int
    tied: bool
    quantized: bool

    @property
    def linear(self) -> dict[str, tuple[int, int]]:
        """The (input, output) widths of every linear layer inside a block, by the name that LORA uses."""
        queries, keys = self.heads * self.head_dim, self.kv_heads * self.head_dim
        return {
            "q_proj": (self.hidden, queries),
            "k_proj": (self.hidden, keys),
            "v_proj": (self.hidden, keys),
            "o_proj": (queries, self.hidden),
            "gate_proj": (self.hidden, self.intermediate),
            "up_proj": (self.hidden, self.intermediate),
            "down_proj": (self.intermediate, self.hidden),
        }

    @property
    def matrices(self) -> tuple[tuple[int, int], ...]:
        """The (width, rows) of the embeddings, and of the head where it is a matrix of its own."""
        return ((self.hidden, self.vocabulary),) * (1 if self.tied else 2)


def shape_of(config: Mapping[str, Any]) -> Shape:
    """Return the shape that a checked config.json describes."""
    heads, hidden = int(config["num_attention_heads"]), int(config["hidden_size"])
    model_type = str(config["model_type"])
    usual = _GEMMA3_HEAD if model_type == "gemma3_text" else hidden // heads
    return Shape(
        model_type,
        int(config["num_hidden_layers"]),
        hidden,
        int(config["intermediate_size"]),
        heads,
        int(config.get("num_key_value_heads") or heads),
        int(config.get("head_dim") or usual),
        int(config["vocab_size"]),
        config.get("tie_word_embeddings") is not False,
        bool(config.get("quantization")),
    )
