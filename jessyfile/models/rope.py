"""A config's rope: its base, its scaling, and Llama 3's scaling as llama.cpp stores it, one factor a frequency.

Source of the factors: Meta's `apply_scaling` of Llama 3.1, in the form of llama.cpp's conversion script.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from jessyfile.errors import ModelError
from jessyfile.models.architectures import head_size

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np

LLAMA3_DEFAULTS: Mapping[str, Any] = {
    "rope_type": "llama3",
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 8192,
}


# what each kind of scaling needs, for the kinds that mlx-lm trains and llama.cpp serves alike
_NEEDED: Mapping[str, tuple[str, ...]] = {
    "linear": ("factor",),
    "yarn": ("factor", "original_max_position_embeddings"),
    "llama3": ("factor", "low_freq_factor", "high_freq_factor", "original_max_position_embeddings"),
    "longrope": ("original_max_position_embeddings",),
}
# which models train with a scaling and are served with it: mlx-lm reads none for Gemma 1 and 2, llama.cpp Llama 3's for Llama alone
_SCALED: Mapping[str, tuple[str, ...]] = {
    "linear": ("llama", "mistral", "qwen2", "qwen3", "gemma3_text", "smollm3"),
    "yarn": ("llama", "mistral", "qwen2", "qwen3", "gemma3_text", "smollm3"),
    "llama3": ("llama", "mistral"),
    "longrope": ("phi3",),
}
_LONG_NAMES = ("su", "yarn", "longrope")  # what Phi's configs have called it
_YARN: Mapping[str, float] = {"beta_fast": 32, "beta_slow": 1, "mscale": 1, "mscale_all_dim": 0}
_THETAS: Mapping[str, float] = {"gemma3": 1_000_000.0, "gemma3_text": 1_000_000.0, "smollm3": 2_000_000.0}


def rope_theta(config: Mapping[str, Any]) -> float:
    """Return the rope base; transformers 5 nests it under `rope_parameters`."""
    default = _THETAS.get(str(config.get("model_type")), 10_000.0)
    return float(config.get("rope_theta") or _nested(config).get("rope_theta") or default)


def rope_scaling(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the rope scaling, an empty mapping when there is none."""
    found = config.get("rope_scaling") or _nested(config)
    found = found.get("full_attention", found)
    kind = found.get("rope_type") or found.get("type") or "default"
    kind = "longrope" if kind in _LONG_NAMES and "short_factor" in found else kind
    return {} if kind == "default" else {**found, "rope_type": kind}


def rotary_size(config: Mapping[str, Any]) -> int:
    """Return how many numbers of a head are turned; the rest of it stands still."""
    return int(head_size(config) * float(_partial(config)))


def served_context(config: Mapping[str, Any]) -> int:
    """Return the longest context that is served as it is trained, in tokens."""
    scaling = rope_scaling(config)
    long = scaling.get("rope_type") == "longrope"
    return int((scaling["original_max_position_embeddings"] if long else config.get("max_position_embeddings")) or 8192)


def longrope_factor(config: Mapping[str, Any]) -> float:
    """Return what longrope multiplies the turned numbers by, which follows from how far the context was stretched."""
    original = int(rope_scaling(config)["original_max_position_embeddings"])
    stretched = int(config["max_position_embeddings"]) / original
    return 1.0 if stretched <= 1 else math.sqrt(1 + math.log(stretched) / math.log(original))


def check_rope(config: Mapping[str, Any]) -> None:
    """Raise ModelError for a rope that is not trained and served alike."""
    scaling, model_type = rope_scaling(config), str(config.get("model_type"))
    kind = scaling.get("rope_type")
    if _partial(config) != 1 and model_type != "phi3":
        raise ModelError(
            f"the base turns {_partial(config):g} of each head (partial_rotary_factor), "
            f"which is not known for {model_type}",
            hint="take another base; of the known ones phi3 alone has it",
        )
    if kind is None:
        return
    if model_type not in _SCALED.get(kind, ()):
        known = ", ".join(name for name, types in _SCALED.items() if model_type in types) or "none"
        raise ModelError(
            f"the base scales its rope by {kind!r} (rope_scaling), which is not trained and served alike",
            hint=f"known for {model_type} are: {known}; take a base without it, or remove rope_scaling from its "
            "config.json and do without the longer context",
        )
    missing = [key for key in _NEEDED[kind] if not isinstance(scaling.get(key), int | float)]
    if kind == "longrope" and not missing:
        missing += _unusable_longrope(scaling, rotary_size(config) // 2)
    if missing:
        raise ModelError(
            f"the base scales its rope by {kind!r} and its config.json lacks {', '.join(missing)}",
            hint="fetch the folder again, or add what the model's page says",
        )
    other = [key for key, usual in _YARN.items() if kind == "yarn" and scaling.get(key, usual) != usual]
    if other:
        raise ModelError(
            f"the base scales its rope by 'yarn' with a {other[0]} of its own, which is not trained and served alike",
            hint=f"take another base, or remove {other[0]} from rope_scaling in its config.json",
        )


def _unusable_longrope(scaling: Mapping[str, Any], turned: int) -> list[str]:
    factors = scaling.get("short_factor") or ()
    whole = len(factors) == turned and all(isinstance(one, int | float) and 0 < one < math.inf for one in factors)
    known = scaling["original_max_position_embeddings"] > 1
    return ([] if whole else [f"a short_factor of {turned} numbers"]) + ([] if known else ["an original context"])


def plain_rope(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the config with the rope where and as mlx-lm reads it: not all of its models read `rope_parameters`, and Phi's
    turns by the long factors at every length, which are meant for contexts beyond the original one.
    """
    nested, scaling = _nested(config), rope_scaling(config)
    if not nested and scaling.get("rope_type") != "longrope":
        return dict(config)
    kept = {key: value for key, value in scaling.items() if key not in ("rope_theta", "partial_rotary_factor")}
    plain = {**config, "rope_theta": rope_theta(config), "rope_scaling": kept or None}
    if _partial(config) != 1:
        plain["partial_rotary_factor"] = _partial(config)
    local = nested.get("sliding_attention")
    if isinstance(local, dict) and "rope_theta" in local:
        plain.setdefault("rope_local_base_freq", local["rope_theta"])
    if kept.get("rope_type") == "longrope":
        original = config.get("original_max_position_embeddings", kept.get("original_max_position_embeddings"))
        long = {
            "type": "longrope",
            "long_factor": kept.get("short_factor"),
            "original_max_position_embeddings": original,
        }
        plain |= {"rope_scaling": {**kept, **long}, "original_max_position_embeddings": original}
    return plain


def _partial(config: Mapping[str, Any]) -> float:
    found = config.get("partial_rotary_factor")
    return float(_nested(config).get("partial_rotary_factor") or 1.0) if found is None else float(found)


def _nested(config: Mapping[str, Any]) -> Mapping[str, Any]:
    found = config.get("rope_parameters")
    found = found if isinstance(found, dict) else {}
    full = found.get("full_attention")
    return {**found, **full} if isinstance(full, dict) else found


def llama3_factors(scaling: Mapping[str, Any], theta: float, head_dim: int) -> np.ndarray[Any, Any]:
    """Return `head_dim / 2` float32 divisors of the rope frequencies for a `rope_scaling` of the type llama3."""
    import numpy as np

    factor, low, high = (float(scaling[key]) for key in ("factor", "low_freq_factor", "high_freq_factor"))
    context = float(scaling["original_max_position_embeddings"])
    wavelengths = 2 * math.pi * theta ** (np.arange(0, head_dim, 2, dtype=np.float32) / head_dim)
    smooth = (context / wavelengths - low) / (high - low)
    between = 1 / ((1 - smooth) / factor + smooth)
    factors = np.where(wavelengths < context / high, 1.0, np.where(wavelengths > context / low, factor, between))
    return factors.astype(np.float32)
