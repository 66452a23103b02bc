"""A folder's tokenizer.json as llama.cpp reads the same vocabulary.

llama.cpp knows no truncation, no padding and no blanks that a special token takes with it, normalizes no text, and finds
no token that the embeddings have no row for. It splits words by its own spelling of a rule, puts a blank before every part of
a text where one is put before a text, and takes some tokens for control tokens by their text. What is trained on must be what
an engine will see.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from jessyfile.models.control_tokens import control_tokens
from jessyfile.models.pre_tokenizers import PRE_TOKENIZERS, splitting_name
from jessyfile.models.tokenizer_build import byte_level_stages, prepends, sentencepiece_stages

if TYPE_CHECKING:
    from jessyfile.models.chat_format import ChatFormat

_PLAIN = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
_COMPOSING = ("NFC", "NFD", "NFKC", "NFKD")


def engine_tokenizer(document: Mapping[str, Any], rows: int, form: ChatFormat) -> dict[str, Any]:
    """Return a checked tokenizer.json's content as llama.cpp reads the vocabulary, cut to the rows of the embeddings.

    Raises ModelError for a way to split words that llama.cpp has no name for.
    """
    plain = plain_tokenizer(document, rows)
    model = plain["model"]
    plain["added_tokens"] = _marked(plain["added_tokens"], model, control_tokens(form))
    if model.get("byte_fallback"):
        return {**plain, **sentencepiece_stages(prefix=prepends(document))}
    return {**plain, **byte_level_stages(PRE_TOKENIZERS[splitting_name(document)], model["vocab"])}


def _marked(
    added: Iterable[Mapping[str, Any]], model: Mapping[str, Any], control: frozenset[str]
) -> list[Mapping[str, Any]]:
    """Return the added tokens with those that llama.cpp finds in a text although the file does not say so."""
    found: dict[str, Mapping[str, Any]] = {}
    for token in added:
        special = bool(token.get("special")) or token["content"] in control
        found[token["content"]] = {**token, "special": special}
    for token in {*control, model.get("unk_token")} & model["vocab"].keys() - found.keys():
        found[token] = {"id": model["vocab"][token], "content": token, **_PLAIN, "special": True}
    return sorted(found.values(), key=lambda token: int(token["id"]))


def plain_tokenizer(document: Mapping[str, Any], rows: int) -> dict[str, Any]:
    """Return the content of a tokenizer.json without what llama.cpp does not do, cut to the rows of the embeddings."""
    added = [{**token, **_PLAIN} for token in document.get("added_tokens") or () if token["id"] < rows]
    plain = {**document, "truncation": None, "padding": None, "added_tokens": added}
    plain["normalizer"] = _composed(document.get("normalizer"))
    model = document.get("model")
    if isinstance(model, dict) and isinstance(model.get("vocab"), dict):
        plain["model"] = _cut(model, rows)
    return plain


def _composed(normalizer: object) -> object:
    """Return a normalizer without its compositions of Unicode."""
    if not isinstance(normalizer, dict) or normalizer.get("type") in _COMPOSING:
        return None
    if normalizer.get("type") != "Sequence":
        return normalizer
    kept = [stage for stage in map(_composed, normalizer.get("normalizers") or ()) if stage is not None]
    return {**normalizer, "normalizers": kept} if kept else None


def _cut(model: Mapping[str, Any], rows: int) -> Mapping[str, Any]:
    """Return a BPE model whose tokens all have a row."""
    vocabulary = {token: number for token, number in model["vocab"].items() if number < rows}
    if len(vocabulary) == len(model["vocab"]):
        return model
    return {**model, "vocab": vocabulary, "merges": list(_joinable(model.get("merges") or (), vocabulary))}


def _joinable(merges: Iterable[Any], vocabulary: Mapping[str, int]) -> Iterator[Any]:
    for merge in merges:
        left, right = merge.split(" ", 1) if isinstance(merge, str) else merge
        if left in vocabulary and right in vocabulary and left + right in vocabulary:
            yield merge
