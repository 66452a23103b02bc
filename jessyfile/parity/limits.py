"""What a faithful file of each type may differ by: the one table of limits.

Set from one tuned Gemma 3 270M, f16 to q4_0, and from tiny doubles of every architecture; docs/export.md holds what was
measured. Those of q3_k, q2_k and iq4 are estimates between their neighbours. Another base or a gentler tune may lie nearer to
a limit than these did.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limit:
    """For one type: the highest mean divergence in nats, the least share of next tokens that agree, the least survival of
    the tune, the highest squared error of a tensor relative to its squared norm, and the highest share of its numbers that
    may be no rounding of the right ones (`grid`).
    """

    divergence: float
    agreement: float
    survival: float
    error: float
    grid: float


LIMITS: Mapping[str, Limit] = {
    "f32": Limit(1e-3, 0.95, 0.98, 1e-5, 0.02),
    "f16": Limit(1e-3, 0.95, 0.98, 1e-5, 0.02),
    "bf16": Limit(2e-2, 0.9, 0.95, 1e-4, 0.02),
    "q8_0": Limit(0.06, 0.75, 0.9, 2e-4, 0.05),
    "q6_k": Limit(0.25, 0.6, 0.85, 1e-3, 0.005),
    "q5_k": Limit(0.5, 0.45, 0.75, 5e-3, 0.006),
    "q5_1": Limit(0.5, 0.45, 0.75, 5e-3, 0.008),
    "q5_0": Limit(0.5, 0.45, 0.75, 5e-3, 0.008),
    "iq4": Limit(1.5, 0.15, 0.55, 2e-2, 0.006),
    "q4_k": Limit(1.5, 0.15, 0.55, 2e-2, 0.003),
    "q4_1": Limit(1.5, 0.15, 0.55, 2e-2, 0.006),
    "q4_0": Limit(1.5, 0.15, 0.55, 2e-2, 0.006),
    "q3_k": Limit(3.0, 0.1, 0.3, 6e-2, 0.002),
    "q2_k": Limit(5.0, 0.0, 0.1, 0.25, 0.002),
}
_UNKNOWN = Limit(5.0, 0.0, 0.1, 0.25, 1.0)
SUSPICIOUS = 0.1  # of its divergence's limit: a quantized file above it is looked at once more, unquantized


def limit_of(kind: str) -> Limit:
    """Return the limit of a type, of a recipe's `quantize` or a tensor's, such as `q4_k_m` or `Q4_K`."""
    word = kind.lower()
    return next((limit for name, limit in LIMITS.items() if word.startswith(name)), _UNKNOWN)
