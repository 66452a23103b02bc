"""A hub folder's config.json and tensor names as mlx-lm's text models must read them.

Classes of transformers have defaults that a config.json leaves out and mlx-lm fills otherwise, or asks for. A model that
also reads images nests its text model's numbers under `text_config` and its tensors below `language_model`; what is
brought in is the text model alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from jessyfile.models.rope import plain_rope, rope_theta

if TYPE_CHECKING:
    from jessyfile.models.weights import Weights

EMBEDDING, HEAD = "model.embed_tokens.weight", "lm_head.weight"
# the wrapper's model_type -> the text model's where the text_config does not say, and what it leaves out
WRAPPERS: Mapping[str, Mapping[str, Any]] = {
    "gemma3": {
        "model_type": "gemma3_text", "vocab_size": 262_208, "num_attention_heads": 8, "num_key_value_heads": 4,
        "head_dim": 256, "max_position_embeddings": 131_072, "rms_norm_eps": 1e-6, "sliding_window": 4096,
        "sliding_window_pattern": 6, "rope_local_base_freq": 10_000.0,
    },
    "mistral3": {"model_type": "mistral"},
}  # fmt: skip
_CLASSES: Mapping[str, str] = {"gemma3_text": "Gemma3ForCausalLM", "mistral": "MistralForCausalLM"}
_HEAD_DIMS: Mapping[str, int] = {"gemma": 256, "gemma2": 256, "gemma3_text": 256, "qwen3": 128}
_TIED = ("gemma", "gemma2", "gemma3_text", "smollm3")
_TEXT_PREFIXES = (
    ("language_model.model.", "model."),
    ("model.language_model.", "model."),
    ("language_model.lm_head.", "lm_head."),
)
_IMAGE_PREFIXES = tuple(
    f"{outer}{part}." for outer in ("", "model.") for part in ("vision_tower", "multi_modal_projector")
)


def text_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the config of a model's text part, with every number that mlx-lm and llama.cpp would fill otherwise."""
    text = _unwrapped(config)
    kind, heads, hidden = (text.get(key) for key in ("model_type", "num_attention_heads", "hidden_size"))
    plain = plain_rope(text)
    plain["rope_theta"] = rope_theta(plain)
    if type(heads) is int and type(hidden) is int and heads > 0:
        plain["head_dim"] = plain.get("head_dim") or _HEAD_DIMS.get(str(kind)) or hidden // heads
        plain["num_key_value_heads"] = plain.get("num_key_value_heads") or heads
    if kind in ("gemma2", "gemma3_text"):
        plain.setdefault("query_pre_attn_scalar", 256)
    plain.setdefault("max_position_embeddings", 8192)
    return plain


def with_weights(config: Mapping[str, Any], weights: Weights) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the config with what only the weights tell, and the stored name of each tensor that the model has.

    The weights tell how many rows the embeddings have, and whether the output layer is tied to them where config.json does
    not: libraries default it otherwise.
    """
    stored = {name: own for own in weights.names if (name := text_name(own)) is not None}
    told = dict(config)
    if EMBEDDING in stored:
        told["vocab_size"] = weights.shape(stored[EMBEDDING])[0]
    if told.get("tie_word_embeddings") is None:
        told["tie_word_embeddings"] = str(told["model_type"]) in _TIED or HEAD not in stored
    if told["tie_word_embeddings"]:
        stored.pop(HEAD, None)
    return told, stored


def _unwrapped(config: Mapping[str, Any]) -> dict[str, Any]:
    inner = config.get("text_config")
    defaults = WRAPPERS.get(str(config.get("model_type")))
    if defaults is None:
        return dict(config)
    inner = inner if isinstance(inner, dict) else {}
    outer = {key: config[key] for key in ("tie_word_embeddings", "torch_dtype", "dtype") if key in config}
    text = {**defaults, **outer, **{key: value for key, value in inner.items() if value is not None}}
    text["architectures"] = [_CLASSES.get(str(text["model_type"]), "ForCausalLM")]
    for key in ("quantization", "quantization_config"):
        if isinstance(config.get(key), dict):
            text[key] = _renamed(config[key])
    return text


def _renamed(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of a quantization with its exceptions under the text model's names."""
    names = {key: text_name(f"{key}.weight") for key, value in settings.items() if isinstance(value, dict | bool)}
    plain = {key: value for key, value in settings.items() if key not in names}
    return plain | {name.removesuffix(".weight"): settings[key] for key, name in names.items() if name is not None}


def text_name(name: str) -> str | None:
    """Return what the text model calls a stored tensor, None for one that it does not have."""
    if name.startswith(_IMAGE_PREFIXES) or name.endswith("rotary_emb.inv_freq"):
        return None
    for old, new in _TEXT_PREFIXES:
        if name.startswith(old):
            return new + name.removeprefix(old)
    return name
