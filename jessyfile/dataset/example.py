"""One training row, as `grammar/example.schema.json` describes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from jessyfile.dataset.marker import marked

LanguageTag = Literal["tr", "en", "mixed"]
Bands = Mapping[str, tuple[int, int]]

LANGUAGES: tuple[LanguageTag, ...] = ("tr", "en", "mixed")
DEFAULT_BANDS: Bands = {"low": (1, 2), "medium": (3, 5), "high": (6, 9)}
MINIMUM_RESPONSE = 10


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

    @property
    def is_marker(self) -> bool:
        """Whether the row teaches the complexity marker alone."""
        return self.response is None

    def to_mlx_format(self, marker: str | None = None) -> dict[str, list[dict[str, str]]]:
        """Return `{"messages": [...]}` as mlx-lm and TRL read it; user text is trimmed as Gemma's template does.

        With a marker (`"[{level} {iterations}]"`) every assistant turn begins with its own marker line.
        """
        messages = [_message(turn, marker) for turn in self.turns]
        messages.append({"role": "user", "content": self.query.strip()})
        answer = marked(marker, self.complexity, self.iterations, self.response or "")
        messages.append({"role": "assistant", "content": answer})
        return {"messages": messages}

    def validate(self, bands: Bands = DEFAULT_BANDS) -> list[str]:
        """Return what is wrong with the row, one sentence a fault; an empty list is a sound row."""
        return [*shape_faults(self), *level_faults(self, bands)]


def _message(turn: Turn, marker: str | None) -> dict[str, str]:
    if turn.role == "user":
        return {"role": "user", "content": turn.content.strip()}
    if turn.complexity is None or turn.iterations is None:
        return {"role": "assistant", "content": turn.content}
    return {"role": "assistant", "content": marked(marker, turn.complexity, turn.iterations, turn.content)}


def shape_faults(example: TrainingExample) -> list[str]:
    """Return what is wrong with a row's texts, language and order of turns."""
    return [*_text_faults(example), *_turn_faults(example.turns)]


def _text_faults(example: TrainingExample) -> list[str]:
    faults = []
    if not example.query.strip():
        faults.append("the query is empty")
    if example.response is not None and len(example.response.strip()) < MINIMUM_RESPONSE:
        faults.append(
            f"the response has {len(example.response.strip())} characters, at least {MINIMUM_RESPONSE} are needed"
        )
    if example.language not in LANGUAGES:
        faults.append(f"the language is `{example.language}`, not one of {', '.join(LANGUAGES)}")
    return faults


def _turn_faults(turns: tuple[Turn, ...]) -> list[str]:
    faults = []
    for position, turn in enumerate(turns):
        expected = "assistant" if position % 2 else "user"
        if turn.role != expected:
            faults.append(f"turn {position + 1} is the {turn.role}'s, but the {expected}'s was due")
        if not turn.content.strip():
            faults.append(f"turn {position + 1} is empty")
    if len(turns) % 2:
        faults.append("the earlier turns do not end with the assistant's")
    return faults


def level_faults(example: TrainingExample, bands: Bands) -> list[str]:
    """Return every number of iterations, of the row or of an earlier answer, that does not fit its level."""
    levels = [(turn.complexity, turn.iterations) for turn in example.turns if turn.role == "assistant"]
    levels.append((example.complexity, example.iterations))
    found = (_band_fault(level, count, bands) for level, count in levels if level is not None and count is not None)
    return [fault for fault in found if fault]


def _band_fault(level: str, iterations: int, bands: Bands) -> str | None:
    if level not in bands:
        return f"the level is `{level}`, not one of {', '.join(bands)}"
    low, high = bands[level]
    if low <= iterations <= high:
        return None
    return f"level {level} takes {low}-{high} iterations, not {iterations}"
