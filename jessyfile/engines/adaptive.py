"""Read the complexity marker of an answer, take it off, and spend the iterations that it asks for.

The marker is the first line of an answer (`[low 1]` by default). `low` is answered at once. For more, `Deepen` is the
seam: whoever has a second pass to spend on a question gives one; without it the first answer stands.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from jessyfile.dataset.marker import pattern
from jessyfile.engines.engine import ChatMessage, Reply

if TYPE_CHECKING:
    from jessyfile.engines.engine import Engine, GenerationSettings, Watch
    from jessyfile.language.recipe import Complexity

Deepen = Callable[["Answer", Sequence[ChatMessage]], "Answer"]


@dataclass(frozen=True, slots=True)
class Marked:
    """An answer without its marker line. `level` and `iterations` are None when it does not begin with a marker."""

    text: str
    level: str | None
    iterations: int | None


@dataclass(frozen=True, slots=True)
class Answer:
    """A reply whose marker was read: `text` is what the person sees, `reply` what the engine gave."""

    text: str
    level: str | None
    iterations: int | None
    reply: Reply


@cache
def marker_pattern(marker: str, levels: tuple[str, ...]) -> re.Pattern[str]:
    """Return what a reply with a well-formed marker begins with: the marker on a line of its own."""
    return re.compile(rf"\s*{pattern(marker, levels)}[ \t]*(?:\r?\n|$)")


def read_marker(text: str, complexity: Complexity) -> Marked:
    """Split a reply into level, iterations and the rest; a marker that names no known level is no marker."""
    if complexity.marker is None:
        return Marked(text.strip(), None, None)
    found = marker_pattern(complexity.marker, tuple(level.name for level in complexity.levels)).match(text)
    if found is None:
        return Marked(text.strip(), None, None)
    groups = found.groupdict()
    iterations = groups.get("iterations")
    return Marked(text[found.end() :].strip(), groups.get("level"), None if iterations is None else int(iterations))


def ask(
    engine: Engine,
    messages: Sequence[ChatMessage],
    complexity: Complexity,
    settings: GenerationSettings | None = None,
    deepen: Deepen | None = None,
    watch: Watch | None = None,
) -> Answer:
    """Ask a loaded model, read the marker, and hand anything above the lowest level to `deepen`."""
    reply = engine.chat(messages, settings, watch)
    marked = read_marker(reply.text, complexity)
    answer = Answer(marked.text, marked.level, marked.iterations, reply)
    lowest = complexity.levels[0].name if complexity.levels else None
    if deepen is None or answer.level in (None, lowest):
        return answer
    return deepen(answer, messages)
