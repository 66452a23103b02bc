"""What a tokenizer's files say of it, read without building it: the library takes seconds for a large vocabulary."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jessyfile.models.model_json import read_json
from jessyfile.models.tokenizer import load_tokenizer, require_tokenizer
from jessyfile.models.tokenizer_build import check_tokenizer

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class TokenizerFacts:
    """The number of every token, the content of tokenizer_config.json, and whether texts begin with BOS."""

    ids: Mapping[str, int]
    config: Mapping[str, Any]
    begins: bool

    def special(self, name: str) -> int | None:
        """Return the number of a special token, such as `bos_token`; None when there is none."""
        return _special(self.ids, self.config, name)


def tokenizer_document(folder: Path) -> dict[str, Any]:
    """Return the content of a tokenizer.json. Raises ModelError for one that is absent or llama.cpp could not follow."""
    require_tokenizer(folder)
    document = read_json(folder / "tokenizer.json")
    check_tokenizer(document)
    return document


def document_ids(document: Mapping[str, Any]) -> dict[str, int]:
    """Return the number of every token of a checked tokenizer.json."""
    added = {token["content"]: token["id"] for token in document.get("added_tokens") or ()}
    return {**document["model"]["vocab"], **added}


def tokenizer_facts(folder: Path, ids: Mapping[str, int]) -> TokenizerFacts:
    """Return what is known of a folder's tokenizer whose tokens have these numbers. Raises ModelError."""
    config = read_json(folder / "tokenizer_config.json")
    wish, bos = config.get("add_bos_token"), _special(ids, config, "bos_token")
    begins = bos is not None and (wish if isinstance(wish, bool) else _puts_first(folder, bos))
    return TokenizerFacts(ids, config, begins)


def _special(ids: Mapping[str, int], config: Mapping[str, Any], name: str) -> int | None:
    token = config.get(name)
    text = token.get("content") if isinstance(token, dict) else token
    return ids.get(text) if isinstance(text, str) else None


def _puts_first(folder: Path, token: int) -> bool:
    """Return whether the last stage of the tokenizer puts a token before a text."""
    return load_tokenizer(folder).bos == token
