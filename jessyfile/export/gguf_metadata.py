"""The keys of a GGUF: those of the base, normalised, or, for a base that never was a GGUF, made from config.json and
tokenizer.json. The chat template is always that of the format trained: an engine that finds another asks by it.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from jessyfile.models.architectures import head_size, key_heads
from jessyfile.models.chat_format import format_of
from jessyfile.models.from_gguf import METADATA_FILE
from jessyfile.models.gguf_container import F32, STRING, U32, Pair, pair_bytes
from jessyfile.models.gguf_normalise import normalised, unnamed
from jessyfile.models.gguf_reader import read_gguf
from jessyfile.models.model_json import read_json
from jessyfile.models.rope import (
    check_rope,
    longrope_factor,
    rope_scaling,
    rope_theta,
    rotary_size,
    served_context,
)
from jessyfile.models.tokenizer_facts import TokenizerFacts, document_ids, tokenizer_document, tokenizer_facts
from jessyfile.text.uncollected import uncollected

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from jessyfile.models.architectures import Architecture

FORMAT_KEY = "jessy.chat_format"  # which format was trained: a template that was put in later is known by it
_REPLACED = (FORMAT_KEY, "general.file_type", "general.quantization_version", "general.alignment")
_COUNTS_ROTATED = ("llama", "phi3", "smollm3")
_DROPPED_PREFIXES = ("split.", "quantize.")


@uncollected()
def key_bytes(folder: Path, architecture: Architecture, config: Mapping[str, Any], file_type: int) -> list[bytes]:
    """Return the metadata of a GGUF, each key with its value as bytes of the file.

    Args:
        folder: the model folder; keys kept from a GGUF base lie in it.
        architecture: names and rules of the model's architecture.
        config: the content of config.json.
        file_type: GGUF's number for the quantization.

    Returns:
        One byte string a key, in the order of the file.

    Raises:
        ModelError: GGUF cannot express the tokenizer or the rope settings.
    """
    own = partial(_own_pairs, family=str(config["model_type"]), file_type=file_type)
    if (folder / METADATA_FILE).is_file():
        file = normalised(read_gguf(folder / METADATA_FILE))
        ids = {token: number for number, token in enumerate(file.strings("tokenizer.ggml.tokens"))}
        kept = [
            data for key, data in file.raw.items() if key not in _REPLACED and not key.startswith(_DROPPED_PREFIXES)
        ]
        return [*kept, *(pair_bytes(*pair) for pair in own(tokenizer_facts(folder, ids)))]
    from jessyfile.export.gguf_tokenizer import document_pairs

    document = tokenizer_document(folder)
    facts = tokenizer_facts(folder, document_ids(document))
    pairs = [
        *architecture_pairs(architecture, config, _name(folder)),
        *document_pairs(document, int(config["vocab_size"]), facts),
        *own(facts),
    ]
    return [pair_bytes(*pair) for pair in pairs]


def _own_pairs(facts: TokenizerFacts, family: str, file_type: int) -> list[Pair]:
    form = format_of(facts.ids, family)
    return [
        ("tokenizer.chat_template", STRING, form.jinja(bos=facts.begins)),
        (FORMAT_KEY, STRING, form.name),
        ("general.quantization_version", U32, 2),
        ("general.file_type", U32, file_type),
    ]


def _name(folder: Path) -> str:
    return unnamed(str(read_json(folder / "source.json").get("from", "model")))


def architecture_pairs(architecture: Architecture, config: Mapping[str, Any], name: str) -> list[Pair]:
    """Return the keys that say what a model is: its sizes, its rope, and what its family has besides."""
    word, head = architecture.gguf, head_size(config)
    pairs: list[Pair] = [
        ("general.architecture", STRING, word),
        ("general.type", STRING, "model"),
        ("general.name", STRING, name),
        (f"{word}.context_length", U32, served_context(config)),
        (f"{word}.embedding_length", U32, int(config["hidden_size"])),
        (f"{word}.block_count", U32, int(config["num_hidden_layers"])),
        (f"{word}.feed_forward_length", U32, int(config["intermediate_size"])),
        (f"{word}.attention.head_count", U32, int(config["num_attention_heads"])),
        (f"{word}.attention.head_count_kv", U32, key_heads(config)),
        (f"{word}.attention.layer_norm_rms_epsilon", F32, float(config["rms_norm_eps"])),
        (f"{word}.attention.key_length", U32, head),
        (f"{word}.attention.value_length", U32, head),
        (f"{word}.rope.freq_base", F32, rope_theta(config)),
        (f"{word}.vocab_size", U32, int(config["vocab_size"])),
    ]
    if word in _COUNTS_ROTATED:
        pairs.append((f"{word}.rope.dimension_count", U32, rotary_size(config)))
    return [*pairs, *_gemma_pairs(word, config), *_scaling_pairs(word, config)]


def _gemma_pairs(word: str, config: Mapping[str, Any]) -> list[Pair]:
    pairs: list[Pair] = []
    if word in ("gemma2", "gemma3"):
        pairs.append((f"{word}.attention.sliding_window", U32, int(config.get("sliding_window") or 4096)))
    if word == "gemma3":
        pairs.append((f"{word}.rope.freq_base_swa", F32, float(config.get("rope_local_base_freq") or 10_000.0)))
    if word == "gemma2":
        pairs.append((f"{word}.attn_logit_softcapping", F32, float(config.get("attn_logit_softcapping") or 50.0)))
        pairs.append((f"{word}.final_logit_softcapping", F32, float(config.get("final_logit_softcapping") or 30.0)))
    return pairs


def _scaling_pairs(word: str, config: Mapping[str, Any]) -> list[Pair]:
    check_rope(config)
    scaling = rope_scaling(config)
    kind = scaling.get("rope_type")
    if kind in (None, "llama3"):  # llama3's factors are a tensor
        return []
    if kind == "longrope":  # whose factors are tensors too
        return [
            (f"{word}.rope.scaling.original_context_length", U32, served_context(config)),
            (f"{word}.rope.scaling.attn_factor", F32, longrope_factor(config)),
        ]
    pairs: list[Pair] = [
        (f"{word}.rope.scaling.type", STRING, kind),
        (f"{word}.rope.scaling.factor", F32, float(scaling["factor"])),
    ]
    if kind == "yarn":
        original = int(scaling["original_max_position_embeddings"])
        pairs.append((f"{word}.rope.scaling.original_context_length", U32, original))
    return pairs
