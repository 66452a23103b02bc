"""A GGUF's tokenizer keys from tokenizer.json: SentencePiece-like BPE with byte fallback, or byte-level BPE.

For the first kind, llama.cpp joins by scores where tokenizer.json has a list of merges: a token's score is minus the
rank of the first merge that makes it, which gives the same order.

Not covered: Unigram and WordPiece vocabularies.
"""

from __future__ import annotations

from itertools import repeat
from operator import neg
from typing import TYPE_CHECKING, Any

from jessyfile.models.gguf_container import ARRAY, BOOL, STRING, U32, Pair
from jessyfile.models.pre_tokenizers import splitting_name
from jessyfile.models.tokenizer_build import prepends
from jessyfile.models.tokenizer_facts import TokenizerFacts, document_ids, tokenizer_document, tokenizer_facts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

_NORMAL, _UNKNOWN, _CONTROL, _USER, _UNUSED, _BYTE = 1, 2, 3, 4, 5, 6
_BYTES = tuple(f"<0x{byte:02X}>" for byte in range(256))
_NO_MERGE = -1e6


def tokenizer_pairs(folder: Path, vocab_size: int) -> list[Pair]:
    """Return the tokenizer's keys for `vocab_size` rows of embeddings; missing tokens are filled up as unused.

    Raises ModelError for a tokenizer that llama.cpp could not follow.
    """
    document = tokenizer_document(folder)
    return document_pairs(document, vocab_size, tokenizer_facts(folder, document_ids(document)))


def document_pairs(document: Mapping[str, Any], vocab_size: int, facts: TokenizerFacts) -> list[Pair]:
    """Return the tokenizer's keys from the content of a checked tokenizer.json."""
    model = document["model"]
    tokens, types = _vocabulary(document, model, vocab_size)
    merges = [merge.split(" ", 1) if isinstance(merge, str) else merge for merge in model.get("merges", [])]
    if model.get("byte_fallback"):
        kind = _scored(document, tokens, merges)
    else:
        kind = _byte_level(document, merges)
    lists = [("tokenizer.ggml.tokens", ARRAY, tokens), ("tokenizer.ggml.token_type", ARRAY, types)]
    return [kind[0], *lists, *kind[1:], *_special_pairs(facts)]


def _vocabulary(document: Mapping[str, Any], model: Mapping[str, Any], size: int) -> tuple[list[str], list[int]]:
    tokens, types, vocab = [""] * size, [_UNUSED] * size, model["vocab"]
    for token, number in vocab.items():
        if number < size:
            tokens[number], types[number] = token, _NORMAL
    for token in _BYTES if model.get("byte_fallback") else ():
        if vocab.get(token, size) < size:
            types[vocab[token]] = _BYTE
    if model.get("unk_token") in vocab:
        types[vocab[model["unk_token"]]] = _UNKNOWN
    for added in document.get("added_tokens", []):
        if added["id"] < size:
            tokens[added["id"]], types[added["id"]] = added["content"], _CONTROL if added["special"] else _USER
    for number, kind in enumerate(types):
        if kind == _UNUSED:
            tokens[number] = f"[PAD{number}]"
    return tokens, types


def _scored(document: Mapping[str, Any], tokens: Sequence[str], merges: Sequence[Sequence[str]]) -> list[Pair]:
    made, last = map("".join, reversed(merges)), len(merges) - 1
    ranks = dict(
        zip(made, map(neg, map(float, range(last, -1, -1))), strict=True)
    )  # of two, the first one's rank stays
    scores = list(map(ranks.get, tokens, repeat(_NO_MERGE)))
    return [
        ("tokenizer.ggml.model", STRING, "llama"),
        ("tokenizer.ggml.pre", STRING, "default"),
        ("tokenizer.ggml.scores", ARRAY, scores),
        ("tokenizer.ggml.add_space_prefix", BOOL, prepends(document)),
    ]


def _byte_level(document: Mapping[str, Any], merges: Sequence[Sequence[str]]) -> list[Pair]:
    return [
        ("tokenizer.ggml.model", STRING, "gpt2"),
        ("tokenizer.ggml.pre", STRING, splitting_name(document)),
        ("tokenizer.ggml.merges", ARRAY, [" ".join(merge) for merge in merges]),
    ]


def _special_pairs(facts: TokenizerFacts) -> list[Pair]:
    pairs: list[Pair] = []
    for key, name in {"bos": "bos_token", "eos": "eos_token", "unknown": "unk_token", "padding": "pad_token"}.items():
        if (number := facts.special(name)) is not None:
            pairs.append((f"tokenizer.ggml.{key}_token_id", U32, number))
    return [*pairs, ("tokenizer.ggml.add_bos_token", BOOL, facts.begins)]
