"""A config's rope: its base, its scaling, and Llama 3's scaling as llama.cpp stores it, one factor a frequency.

Source of the factors: Meta's `apply_scaling` of Llama 3.1, in the form of llama.cpp's conversion script.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from jessyfile.errors import ModelError

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
}
# which models train with a scaling and are served with it: mlx-lm reads none for Gemma 1 and 2, llama.cpp Llama 3's for Llama alone
_SCALED: Mapping[str, tuple[str, ...]] = {
    "linear": ("llama", "mistral", "qwen2", "qwen3", "gemma3_text"),
    "yarn": ("llama", "mistral", "qwen2", "qwen3", "gemma3_text"),
    "llama3": ("llama", "mistral"),
}


def rope_theta(config: Mapping[str, Any]) -> float:
    """Return the rope base; transformers 5 nests it under `rope_parameters`."""
    default = 1_000_000.0 if str(config.get("model_type", "")).startswith("gemma3") else 10_000.0
    return float(config.get("rope_theta") or _nested(config).get("rope_theta") or default)


def rope_scaling(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the rope scaling, an empty mapping when there is none."""
    found = config.get("rope_scaling") or _nested(config)
    found = found.get("full_attention", found)
    kind = found.get("rope_type") or found.get("type") or "default"
    return {} if kind == "default" else {**found, "rope_type": kind}


def check_rope(config: Mapping[str, Any]) -> None:
    """Raise ModelError for a rope that is not trained and served alike."""
    scaling, model_type = rope_scaling(config), str(config.get("model_type"))
    kind = scaling.get("rope_type")
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
    if missing:
        raise ModelError(
            f"the base scales its rope by {kind!r} and its config.json lacks {', '.join(missing)}",
            hint="fetch the folder again, or add what the model's page says",
        )


def plain_rope(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the config with the rope where mlx-lm reads it: not all of its models read `rope_parameters`."""
    nested = _nested(config)
    if not nested:
        return dict(config)
    scaling = {key: value for key, value in rope_scaling(config).items() if key != "rope_theta"}
    plain = {**config, "rope_theta": rope_theta(config), "rope_scaling": scaling or None}
    local = nested.get("sliding_attention")
    if isinstance(local, dict) and "rope_theta" in local:
        plain.setdefault("rope_local_base_freq", local["rope_theta"])
    return plain


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
