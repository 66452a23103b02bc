"""A GGUF's tokenizer keys from tokenizer.json: SentencePiece-like BPE with byte fallback, or byte-level BPE.

For the first kind, llama.cpp joins by scores where tokenizer.json has a list of merges: a token's score is minus the
rank of the first merge that makes it, which gives the same order.

Not covered: Unigram and WordPiece vocabularies.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from jessyfile.models.gguf_container import ARRAY, BOOL, STRING, U32, Pair
from jessyfile.models.model_json import read_json
from jessyfile.models.pre_tokenizers import splitting_name
from jessyfile.models.tokenizer import Tokenizer, load_tokenizer
from jessyfile.models.tokenizer_build import check_tokenizer, prepends

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

_NORMAL, _UNKNOWN, _CONTROL, _USER, _UNUSED, _BYTE = 1, 2, 3, 4, 5, 6
_BYTE_TOKEN = re.compile(r"<0x[0-9A-F]{2}>")
_NO_MERGE = -1e6


def tokenizer_pairs(folder: Path, vocab_size: int, tokenizer: Tokenizer | None = None) -> list[Pair]:
    """Return the tokenizer's keys for `vocab_size` rows of embeddings; missing tokens are filled up as unused. A tokenizer
    that is loaded already need not be loaded again.

    Raises ModelError for a tokenizer that llama.cpp could not follow.
    """
    document = read_json(folder / "tokenizer.json")
    check_tokenizer(document)
    model = document["model"]
    tokens, types = _vocabulary(document, model, vocab_size)
    merges = [merge.split(" ", 1) if isinstance(merge, str) else merge for merge in model.get("merges", [])]
    if model.get("byte_fallback"):
        kind = _scored(document, tokens, merges)
    else:
        kind = _byte_level(document, merges)
    lists = [("tokenizer.ggml.tokens", ARRAY, tokens), ("tokenizer.ggml.token_type", ARRAY, types)]
    return [kind[0], *lists, *kind[1:], *_special_pairs(folder, tokenizer or load_tokenizer(folder))]


def _vocabulary(document: Mapping[str, Any], model: Mapping[str, Any], size: int) -> tuple[list[str], list[int]]:
    tokens: list[str] = [f"[PAD{number}]" for number in range(size)]
    types = [_UNUSED] * size
    for token, number in model["vocab"].items():
        if number < size:
            tokens[number], types[number] = token, _BYTE if _is_byte(model, token) else _NORMAL
    if model.get("unk_token") in model["vocab"]:
        types[model["vocab"][model["unk_token"]]] = _UNKNOWN
    for added in document.get("added_tokens", []):
        if added["id"] < size:
            tokens[added["id"]], types[added["id"]] = added["content"], _CONTROL if added["special"] else _USER
    return tokens, types


def _is_byte(model: Mapping[str, Any], token: str) -> bool:
    return bool(model.get("byte_fallback")) and _BYTE_TOKEN.fullmatch(token) is not None


def _scored(document: Mapping[str, Any], tokens: Sequence[str], merges: Sequence[Sequence[str]]) -> list[Pair]:
    ranks: dict[str, float] = {}
    for rank, (left, right) in enumerate(merges):
        ranks.setdefault(left + right, -float(rank))
    scores = [ranks.get(token, _NO_MERGE) for token in tokens]
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


def _special_pairs(folder: Path, tokenizer: Tokenizer) -> list[Pair]:
    config = read_json(folder / "tokenizer_config.json")
    pairs: list[Pair] = []
    for key, name in {"bos": "bos_token", "eos": "eos_token", "unknown": "unk_token", "padding": "pad_token"}.items():
        token = config.get(name)
        number = tokenizer.id_of(str(token.get("content") if isinstance(token, dict) else token))
        if token is not None and number is not None:
            pairs.append((f"tokenizer.ggml.{key}_token_id", U32, number))
    return [*pairs, ("tokenizer.ggml.add_bos_token", BOOL, tokenizer.bos is not None)]
