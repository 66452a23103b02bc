"""A GGUF's header as its model means it, whoever converted it.

Ollama's store and the first converters hold metadata that their own loaders mend while they load. What is mended here
holds for configuration, tokenizer and the keys that an exported GGUF gets, so that training and every engine read the
same model. Source of the rules: llama.cpp's loaders and Ollama's compatibility layer for them.
"""

from __future__ import annotations

import re
import struct
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from jessyfile.errors import ModelError
from jessyfile.models.chat_format import format_of
from jessyfile.models.control_tokens import control_tokens
from jessyfile.models.gguf_container import ARRAY, BOOL, F32, STRING, U32, Pair, pair_bytes
from jessyfile.models.pre_tokenizers import PRE_TOKENIZERS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jessyfile.models.gguf_reader import GgufFile

_TOKENS, _SCORES, _TYPES = (f"tokenizer.ggml.{name}" for name in ("tokens", "scores", "token_type"))
_NORMAL, _CONTROL = 1, 3
_LONG_GEMMA3 = 131_072
_OTHER_TENSORS = ("v.", "mm.")  # a vision tower and its projector
_LLAMA3_TURN = {"<|start_header_id|>", "<|eot_id|>"}


def normalised(file: GgufFile) -> GgufFile:
    """Return the header with what its converter left out, misnamed or had too much of put right.

    Raises ModelError when it cannot be put right.
    """
    word = file.text("general.architecture")
    file = _changed(_text_only(file, word), _name(file))
    if word == "gemma3":
        file = _changed(_without(file, "gemma3.final_logit_softcapping"), _gemma3(file))
    if word == "phi3":
        file = _changed(file, _phi3(file))
    if _TOKENS not in file.metadata:
        return file  # its kind of vocabulary is refused by name
    file = _changed(file, _cut(file))
    file = _changed(file, _types(file, word))
    file = _changed(file, _pre(file))
    return _changed(file, _flags(file, word))


def _text_only(file: GgufFile, word: str) -> GgufFile:
    """Drop what belongs to images, and the base's chat template: an exported GGUF gets the one of the format trained."""
    drop = [key for key in file.raw if key.startswith((f"{word}.vision.", f"{word}.mm.", "tokenizer.chat_template"))]
    tensors = {name: tensor for name, tensor in file.tensors.items() if not name.startswith(_OTHER_TENSORS)}
    return replace(_without(file, *drop), tensors=tensors)


def _gemma3(file: GgufFile) -> Iterator[Pair]:
    def absent(name: str, default: float) -> Iterator[Pair]:
        if f"gemma3.{name}" not in file.metadata:
            yield f"gemma3.{name}", F32, default

    yield from absent("attention.layer_norm_rms_epsilon", 1e-6)
    yield from absent("rope.freq_base", file.number("gemma3.rope.global.freq_base", 1e6))
    yield from absent("rope.freq_base_swa", file.number("gemma3.rope.local.freq_base", 1e4))
    if file.count("gemma3.context_length") >= _LONG_GEMMA3 and "gemma3.rope.scaling.type" not in file.metadata:
        yield "gemma3.rope.scaling.type", STRING, "linear"
        yield from absent("rope.scaling.factor", 8.0)


def _phi3(file: GgufFile) -> Iterator[Pair]:
    """A stretched context is served as it is trained up to its original length."""
    if "rope_factors_short.weight" in file.tensors:
        yield "phi3.context_length", U32, file.count("phi3.rope.scaling.original_context_length")


def _name(file: GgufFile) -> Iterator[Pair]:
    name = file.metadata.get("general.name")
    if isinstance(name, str) and (other := unnamed(name)) != name:
        yield "general.name", STRING, other


def unnamed(name: str) -> str:
    """Return a model's name without the spellings of Phi-3 by which llama.cpp lets special tokens take the blanks behind
    them, which no other reader of the file does.
    """
    return re.sub(r"(?i)(phi)-?(3)", r"\1 \2", name)


def _cut(file: GgufFile) -> Iterator[Pair]:
    """Converters append tokens of the image model that the embeddings have no row for."""
    embeddings = file.tensors.get("token_embd.weight")
    tokens = file.strings(_TOKENS)
    rows = embeddings.shape[0] if embeddings is not None and embeddings.shape else 0
    if rows in (0, len(tokens)):
        return
    if rows > len(tokens):
        raise ModelError(
            f"`{file.path.name}` contradicts itself: {len(tokens)} tokens, and embeddings for {rows}",
            hint="fetch the file again, or take the model's hub folder",
        )
    yield _TOKENS, ARRAY, tokens[:rows]
    for key in (_SCORES, _TYPES):
        numbers = file.numbers(key)
        if numbers is not None and len(numbers) == len(tokens):
            yield key, ARRAY, numbers[:rows].tolist()


def _types(file: GgufFile, word: str) -> Iterator[Pair]:
    """Some converters wrote turn tokens as ordinary ones, which no engine finds in a text, or those that every engine finds."""
    tokens = file.strings(_TOKENS)
    stored = file.numbers(_TYPES)
    types = [_NORMAL] * len(tokens) if stored is None else stored.tolist()
    if len(types) != len(tokens):
        return  # refused when the tokenizer is built
    control = control_tokens(format_of(tokens, word))
    wrong = [number for number, token in enumerate(tokens) if token in control and types[number] != _CONTROL]
    if wrong:
        for number in wrong:
            types[number] = _CONTROL
        yield _TYPES, ARRAY, types


def _pre(file: GgufFile) -> Iterator[Pair]:
    """The first GGUFs of Llama 3 do not say how words are split, and llama.cpp's default is not theirs."""
    named = file.text("tokenizer.ggml.pre") not in ("", "default")
    if file.text("tokenizer.ggml.model") == "gpt2" and not named and set(file.strings(_TOKENS)) >= _LLAMA3_TURN:
        yield "tokenizer.ggml.pre", STRING, "llama-bpe"


def _flags(file: GgufFile, word: str) -> Iterator[Pair]:
    """Write out what engines do when the file does not say."""
    sentencepiece = file.text("tokenizer.ggml.model") == "llama"
    rule = PRE_TOKENIZERS.get(file.text("tokenizer.ggml.pre", "default"))
    usual = sentencepiece or (rule is not None and rule.add_bos)
    begins = bool(file.flag("tokenizer.ggml.add_bos_token", usual)) and _has_bos(file)
    if file.flag("tokenizer.ggml.add_bos_token") is not begins:
        yield "tokenizer.ggml.add_bos_token", BOOL, begins
    if file.flag("tokenizer.ggml.add_eos_token"):
        yield "tokenizer.ggml.add_eos_token", BOOL, False  # behind a prompt it would end the answer before it began
    if sentencepiece and word.startswith("gemma") and "tokenizer.ggml.add_space_prefix" not in file.metadata:
        yield "tokenizer.ggml.add_space_prefix", BOOL, False


def _has_bos(file: GgufFile) -> bool:
    number = file.token_id("tokenizer.ggml.bos_token_id")
    return number is not None and 0 <= number < len(file.strings(_TOKENS))


def _without(file: GgufFile, *keys: str) -> GgufFile:
    metadata = {key: value for key, value in file.metadata.items() if key not in keys}
    return replace(file, metadata=metadata, raw={key: data for key, data in file.raw.items() if key not in keys})


def _changed(file: GgufFile, pairs: Iterator[Pair]) -> GgufFile:
    import numpy as np

    metadata: dict[str, Any] = dict(file.metadata)
    raw = dict(file.raw)
    for key, kind, value in pairs:
        try:
            raw[key] = pair_bytes(key, kind, value)
        except (OverflowError, struct.error) as error:
            raise ModelError(
                f"`{file.path.name}` holds a number that is too large under {key!r}", hint="fetch the file again"
            ) from error
        numbers = kind == ARRAY and not isinstance(value[0], str)
        metadata[key] = np.asarray(value) if numbers else value
    return replace(file, metadata=metadata, raw=raw)
