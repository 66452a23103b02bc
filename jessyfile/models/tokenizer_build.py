"""Write tokenizer.json from a GGUF's tokenizer metadata, so that token ids equal llama.cpp's.

Two kinds are known: `llama` (SentencePiece BPE: the merges follow from the scores) and `gpt2` (byte-level BPE: the
merges are stored, the way to split words follows from `tokenizer.ggml.pre`).

Not covered: `bert` and `t5` vocabularies.
"""

from __future__ import annotations

import json
import re
from itertools import chain
from typing import TYPE_CHECKING, Any

from jessyfile.errors import ModelError
from jessyfile.models.pre_tokenizers import PreTokenizer, pre_tokenizer, splitting_name
from jessyfile.text.printable import brief

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from jessyfile.models.chat_format import ChatFormat
    from jessyfile.models.gguf_reader import GgufFile

_NORMAL, _UNKNOWN, _CONTROL, _USER = 1, 2, 3, 4
_IDS = {"bos_token": "bos", "eos_token": "eos", "unk_token": "unknown", "pad_token": "padding"}
_FLAGS = tuple(f"tokenizer.ggml.add_{name}" for name in ("bos_token", "eos_token", "space_prefix"))
_LONGEST_ENTRY = 1024  # characters; the longest of a real vocabulary are runs of some hundred blanks


def check_tokenizer(document: Mapping[str, Any]) -> None:
    """Raise ModelError for the content of a tokenizer.json that llama.cpp could not follow."""
    model = document.get("model")
    if not isinstance(model, dict) or model.get("type") != "BPE" or not isinstance(model.get("vocab"), dict):
        kind = model.get("type") if isinstance(model, dict) else None
        raise ModelError(
            f"the base's tokenizer.json is no BPE tokenizer but {brief(kind)}",
            hint="start from a GGUF of the same base instead",
        )
    for wrong in _contradictions(document):
        raise ModelError(f"the base's tokenizer.json is damaged: {wrong}", hint="fetch the folder again")
    if not model.get("byte_fallback"):
        splitting_name(document)


def _contradictions(document: Mapping[str, Any]) -> Iterator[str]:
    """Yield what the tokenizers library would stop at, or take for something else than was written."""
    vocab = document["model"]["vocab"]
    if len(set(vocab.values())) != len(vocab):
        yield "two tokens have the same number"
    stored = document["model"].get("merges") or ()
    merges = [merge for merge in stored if not (isinstance(merge, str) and merge.startswith("#version"))]
    if len({type(merge) for merge in merges}) > 1:
        yield "merges are written in two ways"
    for parts in _wrong_merges([merge.split(" ") if isinstance(merge, str) else merge for merge in merges], vocab):
        yield f"it joins {' and '.join(map(brief, parts[:3]))}, which makes no token of two"
    given: dict[str, int] = {}
    following = len(vocab)
    for token in document.get("added_tokens") or ():
        text = token["content"]
        given[text] = given.get(text, vocab.get(text, following))
        following = max(following, given[text] + 1)
        if text and given[text] != token["id"]:
            yield f"the added token {brief(text)} has the number {token['id']}, and is read as {given[text]}"


def _wrong_merges(merges: Sequence[Sequence[str]], vocab: Collection[str]) -> Iterator[Sequence[str]]:
    """Yield the merges that make no token of two; half a million right ones are passed without a line of Python each."""
    made = chain(chain.from_iterable(merges), map("".join, merges))
    if set(map(len, merges)) <= {2} and all(map(vocab.__contains__, made)):
        return
    for parts in merges:
        if len(parts) != 2 or any(part not in vocab for part in (*parts, "".join(parts))):
            yield parts


def check_gguf_tokenizer(file: GgufFile) -> None:
    """Raise ModelError for a GGUF whose vocabulary is damaged, of a kind, or splits words in a way, that jessy does not know."""
    kind, pre = file.text("tokenizer.ggml.model"), file.text("tokenizer.ggml.pre", "default")
    if kind not in ("llama", "gpt2"):
        raise file.bad(f"has a vocabulary of the kind {brief(kind)}, which jessy does not know", "take another base")
    tokens = _tokens(file)
    _types(file, len(tokens))
    _unknown(file, tokens)
    for key in _FLAGS:
        file.flag(key)
    for name in _IDS.values():
        file.token_id(f"tokenizer.ggml.{name}_token_id")
    if kind == "llama":
        _scores(file, len(tokens))
    else:
        pre_tokenizer(pre, file.path.name)
        _stored_merges(file, set(tokens))


def _tokens(file: GgufFile) -> list[str]:
    tokens = file.strings("tokenizer.ggml.tokens")
    if len(set(tokens)) != len(tokens):
        raise file.bad("has a vocabulary with the same token twice")
    longest = max(map(len, tokens), default=0)
    if longest > _LONGEST_ENTRY:
        raise file.bad(f"has a vocabulary entry of {longest} characters; the limit is {_LONGEST_ENTRY}")
    return tokens


def _scores(file: GgufFile, count: int) -> Sequence[float]:
    import numpy as np

    stored = file.numbers("tokenizer.ggml.scores")
    if stored is None or stored.shape != (count,) or not np.isfinite(stored).all():
        raise file.bad(f"has scores that are no number each for its {count} tokens")
    scores: list[float] = stored.tolist()
    return scores


def _stored_merges(file: GgufFile, known: set[str]) -> Sequence[tuple[str, str]]:
    """Return the pairs that are joined, in their order; one that makes no token of two is an error."""
    pairs = [
        (left, right) for left, _, right in (merge.partition(" ") for merge in file.strings("tokenizer.ggml.merges"))
    ]
    for left, right in pairs:
        if left not in known or right not in known or left + right not in known:
            raise file.bad(f"has a merge of {brief(left)} and {brief(right)}, which makes no token of two")
    return pairs


def tokenizer_json(file: GgufFile) -> dict[str, Any]:
    """Return tokenizer.json's content.

    Raises ModelError for a kind of vocabulary that is not known, or a damaged one.
    """
    check_gguf_tokenizer(file)
    tokens = _tokens(file)
    types = _types(file, len(tokens))
    spm = file.text("tokenizer.ggml.model") == "llama"
    parts = _sentencepiece(file, tokens) if spm else _byte_level(file, tokens)
    return {"version": "1.0", "truncation": None, "padding": None, "added_tokens": _added(tokens, types), **parts}


def tokenizer_config(file: GgufFile, form: ChatFormat) -> dict[str, Any]:
    """Return tokenizer_config.json's content of a normalised file."""
    tokens = file.strings("tokenizer.ggml.tokens")
    found: dict[str, Any] = {"tokenizer_class": "PreTrainedTokenizerFast", "clean_up_tokenization_spaces": False}
    for name, key in _IDS.items():
        number = file.token_id(f"tokenizer.ggml.{key}_token_id")
        if number is not None and 0 <= number < len(tokens):
            found[name] = tokens[number]
    found["add_bos_token"] = bool(file.flag("tokenizer.ggml.add_bos_token")) and "bos_token" in found
    found["chat_template"] = form.jinja(bos=found["add_bos_token"])
    return found


def _types(file: GgufFile, count: int) -> Sequence[int]:
    stored = file.numbers("tokenizer.ggml.token_type")
    if stored is None:
        return [_NORMAL] * count
    if stored.shape != (count,):
        raise file.bad(f"has {len(stored)} token types for its {count} tokens")
    types: list[int] = stored.tolist()
    return types


def _added(tokens: Sequence[str], types: Sequence[int]) -> list[dict[str, Any]]:
    plain = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    return [
        {"id": number, "content": token, **plain, "special": kind != _USER}
        for number, (token, kind) in enumerate(zip(tokens, types, strict=True))
        if kind in (_UNKNOWN, _CONTROL, _USER) and token
    ]


def _sentencepiece(file: GgufFile, tokens: Sequence[str]) -> dict[str, Any]:
    prefix = bool(file.flag("tokenizer.ggml.add_space_prefix", True))
    merges = [[left, right] for left, right in _merges(tokens, _scores(file, len(tokens)))]
    model = _bpe(tokens, merges, byte_fallback=True, fuse_unk=True, unk_token=_unknown(file, tokens))
    return {**sentencepiece_stages(prefix=prefix), "post_processor": None, "model": model}


def sentencepiece_stages(*, prefix: bool) -> dict[str, Any]:
    """Return how llama.cpp prepares a text for a SentencePiece vocabulary; with a prefix, a blank is put before every part
    of a text between special tokens.
    """
    spaces: list[dict[str, Any]] = [{"type": "Replace", "pattern": {"String": " "}, "content": "▁"}]
    decoders: list[dict[str, Any]] = [
        {"type": "Replace", "pattern": {"String": "▁"}, "content": " "},
        {"type": "ByteFallback"},
        {"type": "Fuse"},
    ]
    if prefix:
        spaces.insert(0, {"type": "Prepend", "prepend": "▁"})
        decoders.append({"type": "Strip", "content": " ", "start": 1, "stop": 0})
    return {
        "normalizer": {"type": "Sequence", "normalizers": spaces},
        "pre_tokenizer": None,
        "decoder": {"type": "Sequence", "decoders": decoders},
    }


def prepends(document: Mapping[str, Any]) -> bool:
    """Return whether a tokenizer.json puts a blank before texts, as a normalizer or as SentencePiece's own stage."""
    stages = [document.get("normalizer"), document.get("pre_tokenizer")]
    while stages:
        stage = stages.pop()
        if isinstance(stage, dict):
            if stage.get("type") == "Prepend" or (
                stage.get("type") == "Metaspace" and stage.get("prepend_scheme", "always") != "never"
            ):
                return True
            stages.extend([*stage.get("normalizers", []), *stage.get("pretokenizers", [])])
    return False


def _unknown(file: GgufFile, tokens: Sequence[str]) -> str | None:
    number = file.token_id("tokenizer.ggml.unknown_token_id")
    if number is None:
        return None
    if not 0 <= number < len(tokens):
        raise file.bad(f"names token {number} for the unknown, and has {len(tokens)} tokens")
    return tokens[number]


def _merges(tokens: Sequence[str], scores: Sequence[float]) -> Iterator[tuple[str, str]]:
    """Yield every pair that joins to a token of any kind, best score first; SentencePiece has no list, it joins whatever the
    vocabulary holds. Of the same score, as runs of blanks have, the longest first: what has begun to grow goes on growing.
    """
    known = set(tokens)
    for number in sorted(range(len(tokens)), key=lambda number: (-scores[number], -len(tokens[number]))):
        token = tokens[number]
        for cut in range(1, len(token)):
            if token[:cut] in known and token[cut:] in known:
                yield token[:cut], token[cut:]


def _byte_level(file: GgufFile, tokens: Sequence[str]) -> dict[str, Any]:
    merges = _stored_merges(file, set(tokens))
    rule = pre_tokenizer(file.text("tokenizer.ggml.pre", "default"), file.path.name)
    model = _bpe(tokens, merges, ignore_merges=rule.ignore_merges)
    return {**byte_level_stages(rule, tokens), "post_processor": None, "model": model}


def byte_level_stages(rule: PreTokenizer, tokens: Collection[str]) -> dict[str, Any]:
    """Return how llama.cpp prepares a text for a byte-level vocabulary that is split by this rule."""
    splits = [_split(expression) for expression in rule.expressions]
    bytes_ = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False, "use_regex": False}
    return {
        "normalizer": None,
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [*splits, bytes_, *_without_token(tokens)]},
        "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
    }


def _without_token(tokens: Collection[str]) -> Iterator[dict[str, Any]]:
    """Yield the stage that drops the bytes that have no token: joined around them, their neighbours would be other tokens."""
    from tokenizers.pre_tokenizers import ByteLevel

    absent = sorted(set(ByteLevel.alphabet()).difference(tokens))
    if absent:
        yield _split("[" + "".join(map(re.escape, absent)) + "]", "Removed")


def _split(expression: str, behavior: str = "Isolated") -> dict[str, Any]:
    return {"type": "Split", "pattern": {"Regex": expression}, "behavior": behavior, "invert": False}


def _bpe(tokens: Sequence[str], merges: Sequence[Sequence[str]], **settings: object) -> dict[str, Any]:
    plain: dict[str, Any] = {
        "type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
        "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False, "ignore_merges": False,
    }  # fmt: skip
    return {**plain, **settings, "vocab": {token: number for number, token in enumerate(tokens)}, "merges": merges}


def dumps(value: object) -> bytes:
    """Return compact, stable UTF-8 JSON."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8")
