"""Check a config.json alone: is it of a model that jessy takes from training to a GGUF, and that both compute alike?

Training is mlx-lm's and serving llama.cpp's. Where one of them reads a number that the other takes from somewhere else, only
the value that both mean is let through.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from jessyfile.errors import ModelError
from jessyfile.models.architectures import by_model_type, head_size, key_heads
from jessyfile.models.rope import check_rope
from jessyfile.text.printable import brief

_COUNTS = (
    "vocab_size", "hidden_size", "num_hidden_layers", "intermediate_size", "num_attention_heads",
)  # fmt: skip
_TAKES = "FROM takes an MLX or Hugging Face model folder, or a GGUF"
_OTHER = "take another base of the family"
_ONE_HEAD_SIZE = ("phi3", "qwen2")  # whose heads share the hidden size, whatever head_dim says
_SOFTCAPS = ("attn_logit_softcapping", "final_logit_softcapping")
GEMMA3_PATTERN = 6
_NO_ROPE_STEP = 4
GEMMA_27B_LAYERS: Mapping[str, int] = {"gemma2": 46, "gemma3_text": 62}


def check_config(config: Mapping[str, Any], place: str, ggufs: tuple[str, ...] = ()) -> None:
    """Raise ModelError for a model that jessy cannot take from training to a GGUF.

    Args:
        config: the content of config.json, of the text part alone.
        place: the folder, file or repository, as messages call it.
        ggufs: GGUFs that lie beside it, as FROM would name them.

    Raises:
        ModelError: the kind of model, its quantization or one of its numbers.
    """
    if "model_type" not in config:
        hint = f"name the file: FROM {ggufs[0]}" if ggufs else _TAKES
        raise ModelError(f"{place} has no config.json with a model_type", hint=hint)
    check_kind(config)
    _refuse_lacking(config)
    _refuse_layers(config)
    for wrong, hint in _not_alike(config):
        raise ModelError(f"{place} has {wrong}, which is not trained and served alike", hint=hint)
    check_rope(config)


def check_kind(config: Mapping[str, Any]) -> None:
    """Raise ModelError for a model of another kind than those known, or quantized in a way that cannot be undone."""
    by_model_type(config.get("model_type"))
    _refuse_other_class(config)
    _refuse_quantization(config)


def _refuse_other_class(config: Mapping[str, Any]) -> None:
    """A classifier or an embedding model has the layers of a language model and not its head; one that brings code to build
    itself is not built.
    """
    if config.get("model_file") is not None:
        raise ModelError("the base asks for code of its own to be run (model_file)", hint="take a base of a known kind")
    if config.get("quantize_activations"):
        raise ModelError(
            "the base quantizes its activations, which is not trained", hint="take the unquantized repository"
        )
    classes = [str(name) for name in config.get("architectures") or ()]
    if classes and not any(name.endswith(("ForCausalLM", "LMHeadModel")) for name in classes):
        raise ModelError(f"the base is a {classes[0]}, which does not write text", hint="take a …ForCausalLM")


def _refuse_quantization(config: Mapping[str, Any]) -> None:
    """MLX's own quantization can be undone; others cannot."""
    if isinstance(config.get("quantization"), dict):
        return
    other = config.get("quantization_config")
    if isinstance(other, dict) and other:
        method = str(other.get("quant_method") or other.get("quant_algo") or "an unknown method")
        raise ModelError(
            f"the base is quantized by {method}, which cannot be merged into",
            hint="take the unquantized repository of the same model (BF16 or F16), or an MLX one",
        )


def _refuse_lacking(config: Mapping[str, Any]) -> None:
    missing = [key for key in _COUNTS if type(config.get(key)) is not int or config[key] < 1]
    missing += [] if isinstance(config.get("rms_norm_eps"), float | int) else ["rms_norm_eps"]
    if missing:
        raise ModelError(f"the base's config.json lacks {', '.join(missing)}", hint="fetch the folder again")


def _refuse_layers(config: Mapping[str, Any]) -> None:
    """Of the models that are known, only Gemma's layers differ in how far they see."""
    kind = str(config["model_type"])
    sliding = [layer for layer in config.get("layer_types") or () if layer != "full_attention"]
    if config.get("use_sliding_window") and not kind.startswith("gemma"):
        sliding = sliding or ["use_sliding_window"]
    if sliding and not kind.startswith("gemma"):
        raise ModelError(
            f"the base has layers of the kind {sliding[0]!r}, which a GGUF of {kind} cannot hold",
            hint="take a base whose layers all see the whole context",
        )


def _not_alike(config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield each value that one of the two would read otherwise, with what to do."""
    kind, heads, hidden = str(config["model_type"]), int(config["num_attention_heads"]), int(config["hidden_size"])
    activation = str(config.get("hidden_activation") or config.get("hidden_act") or "")
    if activation and activation != "silu" and not (kind.startswith("gemma") and activation.startswith("gelu")):
        yield f"the activation {brief(activation)}", _OTHER
    if heads % key_heads(config):
        yield f"{heads} heads for {key_heads(config)} heads of keys", "fetch the folder again"
    if kind in _ONE_HEAD_SIZE and head_size(config) * heads != hidden:
        yield f"head_dim {head_size(config)} where {heads} heads share {hidden}", _OTHER
    if kind == "smollm3" and _no_rope(config) != _every(int(config["num_hidden_layers"]), _NO_ROPE_STEP):
        yield "no_rope_layers in another order than every fourth", _OTHER
    if kind.startswith("gemma"):
        yield from _other_gemma(kind, config)
    if kind == "gemma3_text":
        yield from _other_pattern(config)


def _other_gemma(kind: str, config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if by_model_type(kind).always_tied and config.get("tie_word_embeddings") is False:
        yield "tie_word_embeddings false, while a Gemma's output layer is its embeddings", _OTHER
    if kind != "gemma" and config.get("query_pre_attn_scalar", query_scale(config)) != query_scale(config):
        yield f"query_pre_attn_scalar {config['query_pre_attn_scalar']} instead of {query_scale(config)}", _OTHER
    for key in _SOFTCAPS:
        if kind == "gemma2" and config.get(key, 1) is None:
            yield f"no {key}", _OTHER
        if kind == "gemma3_text" and config.get(key):
            yield key, _OTHER
    if config.get("use_bidirectional_attention"):
        yield "use_bidirectional_attention", "take a model that writes text, not one that embeds it"


def _other_pattern(config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    layers, types = int(config["num_hidden_layers"]), config.get("layer_types")
    pattern = config.get("sliding_window_pattern") or GEMMA3_PATTERN
    seen = _every(layers, int(pattern)) if types is None else [int(kind != "full_attention") for kind in types]
    if seen != _every(layers, GEMMA3_PATTERN):
        yield "layers that see the whole context in another order than every sixth", _OTHER
    if layers < GEMMA3_PATTERN:
        yield f"{layers} layers, none of which sees the whole context", "take a Gemma 3 of at least 6 layers"


def query_scale(config: Mapping[str, Any]) -> int:
    """Return what Gemma divides its queries by, before the root: in the 27B models a head's share of the hidden size, in all
    others the head's own.
    """
    if GEMMA_27B_LAYERS[str(config["model_type"])] == config["num_hidden_layers"]:
        return int(config["hidden_size"] // config["num_attention_heads"])
    return head_size(config)


def _no_rope(config: Mapping[str, Any]) -> list[int]:
    named = config.get("no_rope_layers")
    step = int(config.get("no_rope_layer_interval") or _NO_ROPE_STEP)
    return _every(int(config["num_hidden_layers"]), step) if named is None else [int(layer) for layer in named]


def _every(layers: int, step: int) -> list[int]:
    """Return 1 for each layer, 0 for every `step`th."""
    return [int(layer % step != 0) for layer in range(1, layers + 1)]
