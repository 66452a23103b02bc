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

from jessyfile.errors import ModelError, TrainingError
from jessyfile.text.printable import brief

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

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
_FUSED = {
    "attn_qkv": "self_attn.qkv_proj", "attn_output": "self_attn.o_proj", "ffn_up": "mlp.gate_up_proj",
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
    biased      the parts of a layer that have a bias: always, or when the config asks for them
    """

    gguf: str
    model_type: str
    hf_class: str
    layer: Mapping[str, str]
    norm_shift: bool = False
    permuted: bool = False
    always_tied: bool = False
    biased: tuple[tuple[str, str], ...] = ()

    @property
    def linear(self) -> frozenset[str]:
        """Return what the layers that can get an adapter are called."""
        return frozenset(inner.rpartition(".")[2] for inner in self.layer.values() if inner.endswith("_proj"))

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

    def shapes(self, config: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
        """Return the shape of every tensor that the model has, by MLX name, as its numbers have it."""
        hidden = int(config["hidden_size"])
        embeddings = (int(config["vocab_size"]), hidden)
        found: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": embeddings, "model.norm.weight": (hidden,)}
        if not config.get("tie_word_embeddings"):
            found["lm_head.weight"] = embeddings
        block = self._block(config)
        for layer in range(int(config["num_hidden_layers"])):
            found |= {f"model.layers.{layer}.{inner}": shape for inner, shape in block.items()}
        return found

    def _block(self, config: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
        hidden, wide, head = int(config["hidden_size"]), int(config["intermediate_size"]), head_size(config)
        queries, keys = int(config["num_attention_heads"]) * head, key_heads(config) * head
        known = {
            "self_attn.q_proj": (queries, hidden), "self_attn.k_proj": (keys, hidden),
            "self_attn.v_proj": (keys, hidden), "self_attn.o_proj": (hidden, queries),
            "self_attn.qkv_proj": (queries + 2 * keys, hidden), "mlp.gate_proj": (wide, hidden),
            "mlp.up_proj": (wide, hidden), "mlp.gate_up_proj": (2 * wide, hidden), "mlp.down_proj": (hidden, wide),
            "self_attn.q_norm": (head,), "self_attn.k_norm": (head,),
        }  # fmt: skip
        shapes = {inner: known.get(inner, (hidden,)) for inner in self.layer.values()}
        biased = [inner for inner, key in self.biased if not key or config.get(key)]
        return {
            **{f"{inner}.weight": shape for inner, shape in shapes.items()},
            **{f"{inner}.bias": shapes[inner][:1] for inner in biased},
        }

    def is_norm(self, gguf_name: str) -> bool:
        """Return whether a GGUF tensor is a norm's weight."""
        return gguf_name.endswith("_norm.weight")

    def heads_of(self, gguf_name: str, config: Mapping[str, Any]) -> int | None:
        """Return the number of heads by which a tensor's rows are permuted, None for a tensor that is not."""
        match = re.fullmatch(r"blk\.\d+\.attn_([qk])\.(?:weight|bias)", gguf_name)
        if match is None or not self.permuted:
            return None
        heads = int(config["num_attention_heads"])
        return heads if match[1] == "q" else key_heads(config)


_PARTS = {"qkv_proj": ("q_proj", "k_proj", "v_proj"), "gate_up_proj": ("gate_proj", "up_proj")}


def target_layers(targets: Collection[str], linear: Collection[str]) -> set[str]:
    """Return which of a model's linear layers are meant by a recipe's targets; Phi has some of them in one.

    Raises TrainingError for a target that is no layer, and for one part of a layer without the others.
    """
    whole = {part: layer for layer, parts in _PARTS.items() if layer in linear for part in parts}
    found = {whole.get(target, target) for target in targets}
    if missing := sorted(found - set(linear)):
        raise TrainingError(
            f"no layer of this model is called {', '.join(missing)}",
            hint=f"LORA targets can be: {' '.join(sorted({*whole, *linear} - {*whole.values()}))}",
        )
    for layer in sorted(found & set(_PARTS)):
        if absent := [part for part in _PARTS[layer] if part not in targets and layer not in targets]:
            raise TrainingError(
                f"this model has {', '.join(_PARTS[layer])} in one layer, and the targets lack {', '.join(absent)}",
                hint=f"name {' '.join(_PARTS[layer])}, or none of them",
            )
    return found


def head_size(config: Mapping[str, Any]) -> int:
    """Return how wide one head is."""
    return int(config.get("head_dim") or config["hidden_size"] // config["num_attention_heads"])


def key_heads(config: Mapping[str, Any]) -> int:
    """Return how many heads keys and values have."""
    return int(config.get("num_key_value_heads") or config["num_attention_heads"])


_ALWAYS = ""
_QKV_BIAS = tuple((f"self_attn.{part}_proj", _ALWAYS) for part in "qkv")
_ASKED_BIAS = (
    *((f"self_attn.{part}_proj", "attention_bias") for part in "qkvo"),
    *((f"mlp.{part}_proj", "mlp_bias") for part in ("gate", "up", "down")),
)
_LLAMA = {**_LINEAR, **_PRE_NORMS}
_KNOWN = (
    Architecture("gemma", "gemma", "GemmaForCausalLM", _LLAMA, norm_shift=True, always_tied=True),
    Architecture("gemma2", "gemma2", "Gemma2ForCausalLM", {**_LINEAR, **_SANDWICH}, norm_shift=True, always_tied=True),
    Architecture("gemma3", "gemma3_text", "Gemma3ForCausalLM", {**_LINEAR, **_SANDWICH, **_QK_NORMS}, norm_shift=True),
    Architecture("llama", "llama", "LlamaForCausalLM", _LLAMA, permuted=True, biased=_ASKED_BIAS),
    Architecture("llama", "mistral", "MistralForCausalLM", _LLAMA, permuted=True),
    Architecture("phi3", "phi3", "Phi3ForCausalLM", {**_FUSED, **_PRE_NORMS}),
    Architecture("qwen2", "qwen2", "Qwen2ForCausalLM", _LLAMA, biased=_QKV_BIAS),
    Architecture("qwen3", "qwen3", "Qwen3ForCausalLM", {**_LLAMA, **_QK_NORMS}),
    Architecture("smollm3", "smollm3", "SmolLM3ForCausalLM", _LLAMA, permuted=True),
)
ARCHITECTURES: Mapping[str, Architecture] = MappingProxyType({one.model_type: one for one in _KNOWN})


def by_model_type(model_type: object) -> Architecture:
    """Return the architecture of a config.json's `model_type`. Raises ModelError for one that jessy cannot convert."""
    found = ARCHITECTURES.get(str(model_type))
    if found is None:
        raise ModelError(
            f"models of the type {brief(model_type)} cannot be written as GGUF yet",
            hint=f"known are {', '.join(ARCHITECTURES)}, and the text models of gemma3 and mistral3",
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
            hint=f"known are {', '.join(sorted({one.gguf for one in _KNOWN}))}",
        )
    return found
