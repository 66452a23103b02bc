"""What was found to differ, named: which stage lost it, what kind of fault it is, and what to do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Stage = Literal["trained", "merged", "gguf", "quantized", "served"]


@dataclass(frozen=True, slots=True)
class Mismatch:
    """One difference that makes it another model. `kind` is a word for programs, `message` a sentence without a full stop."""

    kind: str
    stage: Stage
    message: str
    hint: str = ""
