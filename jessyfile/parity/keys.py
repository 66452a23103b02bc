"""A GGUF's numbers by what llama.cpp makes of them, against those that the model folder amounts to.

Both sides are read in the same way: a key that is left out counts as llama.cpp's default, and two spellings of one thing are
one. Keys that change nothing (names, licences, how it was quantized) are not looked at.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, TypeAlias

from jessyfile.export.gguf_metadata import architecture_pairs
from jessyfile.export.gguf_writer import rope_factors
from jessyfile.models.from_gguf import dequantized
from jessyfile.parity.faults import Mismatch

if TYPE_CHECKING:
    from jessyfile.models.gguf_reader import GgufFile
    from jessyfile.parity.truth import Truth

Value: TypeAlias = "float | str"
_CLOSE = 1e-4
_HINT = "the GGUF was made from another config.json, or by a converter that does not know this model; convert it again"
# what is told apart by a word: the beginning of a key -> kind of fault
_KINDS = (
    ("rope", "rope"), ("attention.sliding", "sliding window"), ("attention.head", "heads"),
    ("attention.key", "heads"), ("attention.value", "heads"), ("attention.layer_norm", "epsilon"),
    ("attn_logit", "softcap"), ("final_logit", "softcap"),
)  # fmt: skip
_REQUIRED = (
    "context_length", "embedding_length", "block_count", "feed_forward_length", "attention.head_count",
    "attention.layer_norm_rms_epsilon",
)  # fmt: skip
# keys of one number that change what is computed, with llama.cpp's default
_OPTIONAL: Mapping[str, float] = {
    "rope.freq_base": 10_000.0, "rope.scaling.attn_factor": 1.0, "logit_scale": 0.0, "residual_scale": 0.0,
    "embedding_scale": 0.0, "attention.scale": 0.0, "attention.clamp_kqv": 0.0, "expert_count": 0,
    "use_parallel_residual": 1, "attention.causal": 1,
}  # fmt: skip
_OF_FAMILY: Mapping[str, Mapping[str, float]] = {
    "gemma2": {"attention.sliding_window": 4096, "attn_logit_softcapping": 50.0, "final_logit_softcapping": 30.0},
    "gemma3": {
        "attention.sliding_window": 0, "rope.freq_base_swa": 10_000.0, "final_logit_softcapping": 0.0,
        "attn_logit_softcapping": 0.0,
    },
}  # fmt: skip
_GEMMA3_PATTERN = 6


def key_faults(file: GgufFile, truth: Truth) -> Iterator[Mismatch]:
    """Yield every number that llama.cpp would compute with and that is not the folder's."""
    word, found = truth.architecture.gguf, file.metadata.get("general.architecture")
    if found != word:
        yield _other("architecture", "general.architecture", found, word)
        return
    pairs = architecture_pairs(truth.architecture, truth.config, "")
    right, own = meaning({key: value for key, _, value in pairs}, word), meaning(file.metadata, word)
    if _is_stretched(file):
        for side in (right, own):
            side.pop("context_length", None)  # one number for two contexts
    for key in dict.fromkeys([*right, *own]):
        expected, value = right.get(key), own.get(key)
        if not _same(expected, value):
            kind = next((kind for start, kind in _KINDS if key.startswith(start)), "metadata")
            yield _other(kind, f"{word}.{key}", value, expected)
    yield from _factor_faults(file, truth)


def meaning(metadata: Mapping[str, object], word: str) -> dict[str, Value]:
    """Return what llama.cpp reads from a GGUF's keys, without the architecture before their names."""

    def number(key: str, default: float | None = None) -> float | None:
        return _number(metadata.get(f"{word}.{key}"), default)

    found: dict[str, Value | None] = {key: number(key) for key in _REQUIRED}
    found |= {key: number(key, default) for key, default in {**_OPTIONAL, **_OF_FAMILY.get(word, {})}.items()}
    heads, hidden = found["attention.head_count"], found["embedding_length"]
    found["attention.head_count_kv"] = number("attention.head_count_kv", _plain(heads))
    share = hidden // heads if isinstance(heads, float) and isinstance(hidden, float) and heads else None
    for key in ("attention.key_length", "attention.value_length"):
        found[key] = number(key, share)
    found["rope.dimension_count"] = number("rope.dimension_count", _plain(found["attention.key_length"]))
    found |= _scaling(metadata, word)
    if word == "gemma3":
        found["attention.sliding_window_pattern"] = _pattern(metadata, int(_plain(found["block_count"]) or 0))
    return {key: value for key, value in found.items() if value is not None}


def _plain(value: Value | None) -> float | None:
    return value if isinstance(value, float | int) else None


def _number(value: object, default: float | None) -> float | None:
    """Return a number, the one number of a list whose numbers are all the same, or the default."""
    if isinstance(value, bool | int | float):
        return float(value)
    listed = getattr(value, "tolist", None)
    numbers = listed() if listed is not None else []
    if isinstance(numbers, list) and numbers and len(set(numbers)) == 1:
        return float(numbers[0])
    return default if value is None else math.nan


def _scaling(metadata: Mapping[str, object], word: str) -> dict[str, Value | None]:
    """Return the rope's scaling: llama.cpp takes it for linear unless it is said, and a factor of 1 for none."""
    factor = _number(metadata.get(f"{word}.rope.scaling.factor", metadata.get(f"{word}.rope.scale_linear")), 1.0) or 1.0
    kind = str(metadata.get(f"{word}.rope.scaling.type", "linear"))
    if kind in ("none", "longrope") or (kind == "linear" and factor == 1.0):
        return {"rope.scaling.type": "none"}
    found: dict[str, Value | None] = {"rope.scaling.type": kind, "rope.scaling.factor": factor}
    if kind == "yarn":
        context = _number(metadata.get(f"{word}.context_length"), None)
        original = metadata.get(f"{word}.rope.scaling.original_context_length")
        found["rope.scaling.original_context_length"] = _number(original, context)
        found |= {
            f"rope.scaling.{key}": _number(metadata.get(f"{word}.rope.scaling.{key}"), default)
            for key, default in {"yarn_beta_fast": 32.0, "yarn_beta_slow": 1.0, "yarn_log_multiplier": 0.0}.items()
        }
    return found


def _pattern(metadata: Mapping[str, object], layers: int) -> str:
    """Return which layers of a Gemma 3 see the whole context, as a text of 0 and 1."""
    stored = metadata.get("gemma3.attention.sliding_window_pattern", _GEMMA3_PATTERN)
    if isinstance(stored, int) and stored > 0:
        return "".join("0" if layer % stored == 0 else "1" for layer in range(1, layers + 1))
    each = stored if isinstance(stored, Iterable) else ()
    return "".join("1" if one else "0" for one in each)


def _is_stretched(file: GgufFile) -> bool:
    return "rope_factors_short.weight" in file.tensors


def _same(one: Value | None, other: Value | None) -> bool:
    if isinstance(one, str) or isinstance(other, str) or one is None or other is None:
        return one == other
    return math.isclose(one, other, rel_tol=_CLOSE, abs_tol=1e-12)


def _other(kind: str, key: str, value: object, expected: object) -> Mismatch:
    has = "is missing" if value is None else f"is {_shown(value)}"
    return Mismatch(kind, "gguf", f"{key!r} {has}, and the folder's model has {_shown(expected)}", _HINT)


def _shown(value: object) -> str:
    if value is None:
        return "none"
    return f"{value:g}" if isinstance(value, float) else repr(str(value)[:60])


def _factor_faults(file: GgufFile, truth: Truth) -> Iterator[Mismatch]:
    """Compare the factors of a scaled rope, which are tensors; one that is all ones scales nothing."""
    import numpy as np

    right = {one.name: next(one.chunks()) for one in rope_factors(truth.config)}
    for name in ("rope_freqs.weight", "rope_factors_short.weight"):
        stored = dequantized(file, file.tensors[name]) if name in file.tensors else None
        wanted = right.get(name)
        if wanted is None and (stored is None or np.allclose(stored, 1.0)):
            continue
        if wanted is None or stored is None:
            what = (
                "is missing, and the folder scales its rope"
                if stored is None
                else "scales a rope that the folder does not"
            )
            yield Mismatch("rope", "gguf", f"{name!r} {what}", _HINT)
        elif stored.shape != wanted.shape or not np.allclose(stored, wanted, rtol=1e-3):
            yield Mismatch("rope", "gguf", f"{name!r} holds other factors than follow from config.json", _HINT)
