"""One training row, as `grammar/example.schema.json` describes it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

LanguageTag = Literal["tr", "en", "mixed"]


@dataclass(frozen=True, slots=True)
class Turn:
    """An earlier turn of a conversation; an assistant turn carries its own level and iterations."""

    role: Literal["user", "assistant"]
    content: str
    complexity: str | None = None
    iterations: int | None = None


@dataclass(frozen=True, slots=True)
class TrainingExample:
    """A question, its answer, and how much thought it deserves. `response` is None for a marker-only row."""

    query: str
    response: str | None
    complexity: str
    iterations: int
    category: str
    topic: str
    language: LanguageTag
    turns: tuple[Turn, ...] = ()
    tags: tuple[str, ...] = ()
    source: str = "hand"
