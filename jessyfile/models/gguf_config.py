"""The config.json that a GGUF's metadata amounts to.

GGUF keeps no `model_type`-specific defaults, so what llama.cpp hard-codes (Gemma's sliding pattern, its local rope
base, its query scale) is filled in here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jessyfile.errors import ModelError
from jessyfile.models.config_checks import GEMMA3_PATTERN, check_config, query_scale
from jessyfile.text.printable import brief

if TYPE_CHECKING:
    from jessyfile.models.architectures import Architecture
    from jessyfile.models.gguf_reader import GgufFile

_MOST_STRETCHED = 1.42  # an original context of 4,096 becomes 16 million by it
GEMMA3_LOCAL_BASE = 10_000.0
_PATTERN_KEY = "gemma3.attention.sliding_window_pattern"


def config_of(file: GgufFile, architecture: Architecture) -> dict[str, Any]:
    """Return config.json's content. Raises ModelError when a needed number is missing or the tensors contradict it."""
    config = _common(file, architecture)
    if architecture.model_type == "gemma3_text":
        config |= _gemma3(file, config)
    elif architecture.model_type == "gemma2":
        config |= _gemma2(file, config)
    elif architecture.model_type == "phi3":
        config |= _phi3(file, config)
    if config.get("rope_scaling") is None:
        config.pop("rope_scaling")
    check_config(config, f"`{file.path.name}`")
    return config


def _common(file: GgufFile, architecture: Architecture) -> dict[str, Any]:
    word = architecture.gguf
    embeddings = file.tensors.get("token_embd.weight")
    if embeddings is None or len(embeddings.shape) != 2:
        raise file.bad("has no token embeddings")
    heads, hidden = file.count(f"{word}.attention.head_count"), file.count(f"{word}.embedding_length")
    if hidden != embeddings.shape[1]:
        raise file.bad(f"contradicts itself: {hidden} wide with {heads} heads, embeddings {embeddings.shape}")
    return {
        "architectures": [architecture.hf_class],
        "model_type": architecture.model_type,
        "vocab_size": embeddings.shape[0],
        "hidden_size": hidden,
        "num_hidden_layers": file.count(f"{word}.block_count", limit=len(file.tensors) + 1),
        "intermediate_size": file.count(f"{word}.feed_forward_length"),
        "num_attention_heads": heads,
        "num_key_value_heads": file.count(f"{word}.attention.head_count_kv", heads),
        "head_dim": file.count(f"{word}.attention.key_length", max(1, hidden // heads)),
        "rms_norm_eps": _decimal(file.number(f"{word}.attention.layer_norm_rms_epsilon")),
        "rope_theta": file.number(f"{word}.rope.freq_base", 10_000.0),
        "rope_scaling": _scaling(file, word),
        "max_position_embeddings": file.count(f"{word}.context_length"),
        "attention_bias": "blk.0.attn_output.bias" in file.tensors,
        "mlp_bias": "blk.0.ffn_down.bias" in file.tensors,
        "tie_word_embeddings": "output.weight" not in file.tensors,
        "bos_token_id": file.token_id("tokenizer.ggml.bos_token_id"),
        "eos_token_id": file.token_id("tokenizer.ggml.eos_token_id"),
        "torch_dtype": "float32",
    }


def _decimal(value: float) -> float:
    """Undo single precision: 9.999999974752427e-07 was 1e-06."""
    return float(f"{value:.7g}")


def _gemma3(file: GgufFile, config: dict[str, Any]) -> dict[str, Any]:
    pattern: Any = file.metadata.get(_PATTERN_KEY, GEMMA3_PATTERN)
    layers: list[Any] = [] if type(pattern) is int else getattr(pattern, "tolist", list)()
    types = {"layer_types": ["sliding_attention" if one else "full_attention" for one in layers]}
    return {
        "query_pre_attn_scalar": query_scale(config),
        "sliding_window": file.count("gemma3.attention.sliding_window"),
        **({"sliding_window_pattern": file.count(_PATTERN_KEY, GEMMA3_PATTERN)} if type(pattern) is int else types),
        "rope_local_base_freq": file.number("gemma3.rope.freq_base_swa", GEMMA3_LOCAL_BASE),
        "hidden_activation": "gelu_pytorch_tanh",
    }


def _gemma2(file: GgufFile, config: dict[str, Any]) -> dict[str, Any]:
    return {
        "query_pre_attn_scalar": query_scale(config),
        "sliding_window": file.count("gemma2.attention.sliding_window", 4096),
        "attn_logit_softcapping": file.number("gemma2.attn_logit_softcapping", 50.0),
        "final_logit_softcapping": file.number("gemma2.final_logit_softcapping", 30.0),
        "hidden_activation": "gelu_pytorch_tanh",
    }


def _phi3(file: GgufFile, config: dict[str, Any]) -> dict[str, Any]:
    """Phi turns a part of each head; its factors stand in tensors, how far its context was stretched in one number."""
    turned = file.count("phi3.rope.dimension_count", config["head_dim"])
    found: dict[str, Any] = {"partial_rotary_factor": turned / config["head_dim"]}
    if "rope_factors_short.weight" not in file.tensors:
        return found
    short = file.stored(file.tensors["rope_factors_short.weight"]).view("<f4").tolist()
    original = file.count("phi3.rope.scaling.original_context_length")
    factor = file.number("phi3.rope.scaling.attn_factor", 1.0)
    if not 1 <= factor <= _MOST_STRETCHED:
        raise file.bad(f"stretches its context by a factor of {factor:g}")
    stretched = round(original ** (factor**2))
    scaling = {"type": "longrope", "rope_type": "longrope", "short_factor": short, "long_factor": short}
    return found | {
        "rope_scaling": {**scaling, "original_max_position_embeddings": original},
        "original_max_position_embeddings": original,
        "max_position_embeddings": stretched,
    }


def _scaling(file: GgufFile, word: str) -> dict[str, Any] | None:
    if "rope_freqs.weight" in file.tensors:
        return _llama3_scaling(file, word)
    kind = file.text(f"{word}.rope.scaling.type", "none")
    if kind == "none" or "rope_factors_short.weight" in file.tensors:
        return None
    factor = file.number(f"{word}.rope.scaling.factor")
    if kind == "linear":
        return {"rope_type": "linear", "type": "linear", "factor": factor}
    if kind == "yarn":
        original = file.count(f"{word}.rope.scaling.original_context_length")
        return {"rope_type": "yarn", "type": "yarn", "factor": factor, "original_max_position_embeddings": original}
    raise ModelError(
        f"`{file.path.name}` scales its rope by {brief(kind)}, which jessy does not know", hint="take another base"
    )


def _llama3_scaling(file: GgufFile, word: str) -> dict[str, Any]:
    """Find the four numbers behind Llama 3's per-frequency factors; llama.cpp keeps only the factors."""
    import numpy as np

    from jessyfile.models.rope import LLAMA3_DEFAULTS, llama3_factors

    factors = file.tensors["rope_freqs.weight"]
    if factors.kind != 0:
        raise file.bad("holds its rope's factors in another type than F32")
    stored = file.stored(factors).view("<f4")
    scaling = {**LLAMA3_DEFAULTS, "factor": float(np.max(stored))}
    theta = float(file.number(f"{word}.rope.freq_base", 10_000.0))
    if not np.allclose(stored, llama3_factors(scaling, theta, 2 * len(stored)), rtol=1e-4):
        raise ModelError(
            f"`{file.path.name}` scales its rope in a way that is not Llama 3's",
            hint="take the model's hub folder instead",
        )
    return scaling
