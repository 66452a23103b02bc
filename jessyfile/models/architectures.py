"""Differences between the architectures that jessy converts: names, norms, the order of q and k, and configuration
keys.

One table serves both directions, GGUF to MLX (`models.from_gguf`) and MLX to GGUF (`export.gguf_writer`). Names on
the MLX side are those of mlx-lm's models, which are Hugging Face's. Source of the rules: llama.cpp's loaders and its
conversion script.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from jessyfile.errors import ModelError
from jessyfile.text.printable import brief

if TYPE_CHECKING:
    from collections.abc import Mapping

_TOP = {
    "token_embd.weight": "model.embed_tokens.weight",
    "output_norm.weight": "model.norm.weight",
    "output.weight": "lm_head.weight",
}
_LINEAR = {
    "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj", "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}  # fmt: skip
_PRE_NORMS = {"attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm"}
_SANDWICH = {
    "attn_norm": "input_layernorm", "post_attention_norm": "post_attention_layernorm",
    "ffn_norm": "pre_feedforward_layernorm", "post_ffw_norm": "post_feedforward_layernorm",
}  # fmt: skip
_QK_NORMS = {"attn_q_norm": "self_attn.q_norm", "attn_k_norm": "self_attn.k_norm"}


@dataclass(frozen=True, slots=True)
class Architecture:
    """One family.

    `gguf` is `general.architecture`, `model_type` the word in config.json, `layer` maps names inside a block.

    norm_shift  llama.cpp stores norms plus one, MLX adds the one itself
    permuted    q and k are stored in the interleaved order of ggml's NORMAL rope
    always_tied MLX's model and llama.cpp's have no head but the embedding
    """

    gguf: str
    model_type: str
    hf_class: str
    layer: Mapping[str, str]
    norm_shift: bool = False
    permuted: bool = False
    always_tied: bool = False

    def mlx_name(self, name: str) -> str | None:
        """Return the MLX name of a GGUF tensor, None for one that MLX does not keep (`rope_freqs.weight`)."""
        if name in _TOP:
            return _TOP[name]
        match = re.fullmatch(r"blk\.(\d+)\.(\w+)\.(weight|bias)", name)
        if match is None or match[2] not in self.layer:
            return None
        return f"model.layers.{match[1]}.{self.layer[match[2]]}.{match[3]}"

    def gguf_name(self, name: str) -> str | None:
        """Return the GGUF name of an MLX tensor, None for one that GGUF does not keep."""
        top = next((key for key, value in _TOP.items() if value == name), None)
        match = re.fullmatch(r"model\.layers\.(\d+)\.(.+)\.(weight|bias)", name)
        if match is None:
            return top
        inner = next((key for key, value in self.layer.items() if value == match[2]), None)
        return None if inner is None else f"blk.{match[1]}.{inner}.{match[3]}"

    def is_norm(self, gguf_name: str) -> bool:
        """Return whether a GGUF tensor is a norm's weight."""
        return gguf_name.endswith("_norm.weight")

    def heads_of(self, gguf_name: str, config: Mapping[str, Any]) -> int | None:
        """Return the number of heads by which a tensor's rows are permuted, None for a tensor that is not."""
        match = re.fullmatch(r"blk\.\d+\.attn_([qk])\.(?:weight|bias)", gguf_name)
        if match is None or not self.permuted:
            return None
        heads = int(config["num_attention_heads"])
        return heads if match[1] == "q" else int(config.get("num_key_value_heads") or heads)


ARCHITECTURES: Mapping[str, Architecture] = MappingProxyType({
    "gemma": Architecture(
        "gemma", "gemma", "GemmaForCausalLM", {**_LINEAR, **_PRE_NORMS}, norm_shift=True, always_tied=True
    ),
    "gemma2": Architecture(
        "gemma2", "gemma2", "Gemma2ForCausalLM", {**_LINEAR, **_SANDWICH}, norm_shift=True, always_tied=True
    ),
    "gemma3_text": Architecture(
        "gemma3", "gemma3_text", "Gemma3ForCausalLM", {**_LINEAR, **_SANDWICH, **_QK_NORMS}, norm_shift=True
    ),
    "llama": Architecture("llama", "llama", "LlamaForCausalLM", {**_LINEAR, **_PRE_NORMS}, permuted=True),
    "mistral": Architecture("llama", "mistral", "MistralForCausalLM", {**_LINEAR, **_PRE_NORMS}, permuted=True),
    "qwen2": Architecture("qwen2", "qwen2", "Qwen2ForCausalLM", {**_LINEAR, **_PRE_NORMS}),
    "qwen3": Architecture("qwen3", "qwen3", "Qwen3ForCausalLM", {**_LINEAR, **_PRE_NORMS, **_QK_NORMS}),
})  # fmt: skip


def by_model_type(model_type: object) -> Architecture:
    """Return the architecture of a config.json's `model_type`. Raises ModelError for one that jessy cannot convert."""
    found = ARCHITECTURES.get(str(model_type))
    if found is None:
        raise ModelError(
            f"models of the type {brief(model_type)} cannot be written as GGUF yet",
            hint=f"known are {', '.join(ARCHITECTURES)}",
        )
    return found


def by_gguf(word: str) -> Architecture:
    """Return the architecture of a GGUF's `general.architecture`.

    Raises ModelError for one that jessy cannot convert.
    """
    found = next((one for one in ARCHITECTURES.values() if one.gguf == word), None)
    if found is None:
        raise ModelError(
            f"a GGUF of the architecture {brief(word)} cannot be tuned yet",
            hint=f"known are {', '.join(ARCHITECTURES)}",
        )
    return found
