"""Llama 3's rope scaling as llama.cpp stores it: one factor a frequency.

Source: Meta's `apply_scaling` of Llama 3.1, in the form of llama.cpp's conversion script.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np

LLAMA3_DEFAULTS: Mapping[str, Any] = {
    "rope_type": "llama3",
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 8192,
}


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
