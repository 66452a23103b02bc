"""In which numbers a base is held while it is trained, and in which it computes.

`auto` follows the chip. An M1 or M2 computes bfloat16 by emulation and float16 natively; from M3 on, and on NVIDIA
GPUs, bfloat16 is native, and it has float32's range. A CPU computes float32 alone: whatever is held there in fewer
bits is widened for each product (`training.widened`). The adapter, the optimizer and the loss are float32 everywhere.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from jessyfile.models.shape import Shape

Wanted = Literal["auto", "float32", "float16", "bfloat16", "q8", "q4"]
Held = Literal["float32", "float16", "bfloat16", "q8", "q4", "stored"]
Computed = Literal["float32", "float16", "bfloat16"]

BITS = {"q8": 8, "q4": 4}
GROUP = 64  # numbers that share a scale and an offset
HEAD_BITS = 8  # of the embeddings and the head under q8 and q4: every logit is a product with them
BYTES = {"float32": 4, "float16": 2, "bfloat16": 2}

# Their hidden states pass 65,504, float16's largest number (105,244 in Gemma 3 270M): mlx-lm cuts them off there, or
# they become infinite.
BEYOND_FLOAT16 = frozenset({"gemma2", "gemma3_text"})
_NATIVE_BFLOAT16 = {"M": 3, "A": 17}  # Apple's first chips of either series that compute it


@dataclass(frozen=True, slots=True)
class Precision:
    """The type in which the base's matrices are held, the type of its activations, and why, in words.

    `stored` is the quantization that the base's own folder has.
    """

    held: Held
    computed: Computed
    why: str

    def __str__(self) -> str:
        held = "its own quantization" if self.held == "stored" else self.held
        return held if held == self.computed else f"{held} computed in {self.computed}"

    @property
    def quantized(self) -> bool:
        """Whether the adapter is trained on rounded weights, and merged into others."""
        return self.held in ("q8", "q4", "stored")


def resolve(wanted: Wanted, chip: str, shape: Shape | None = None) -> Precision:
    """Return what BASE's `precision` means on a chip (`machine.chip`), for a base of this shape where one is known.

    What a folder holds quantized stays so, whatever is wanted.
    """
    native, why = _native(chip, shape)
    computed = native if chip == "CPU" or wanted == "auto" or wanted == "q8" or wanted == "q4" else wanted
    held = "stored" if shape is not None and shape.quantized else native if wanted == "auto" else wanted
    return Precision(held, computed, why if wanted == "auto" else "BASE says so")


def _native(chip: str, shape: Shape | None) -> tuple[Computed, str]:
    """Return the type that a chip computes best, and why."""
    if chip == "CPU":
        return "float32", "a CPU"
    apple = re.match(r"Apple ([MA])(\d+)\b", chip)
    if apple is None or int(apple[2]) >= _NATIVE_BFLOAT16[apple[1]]:
        return "bfloat16", chip
    if shape is not None and shape.model_type in BEYOND_FLOAT16:
        return "bfloat16", f"{chip}; {shape.model_type} passes the largest float16"
    return "float16", chip
