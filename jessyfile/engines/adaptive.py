"""Read the complexity marker of an answer, its first line (`[low 1]` by default), and take it off."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from jessyfile.dataset.marker import pattern
from jessyfile.engines.engine import Reply
from jessyfile.language.recipe import Message

if TYPE_CHECKING:
    from jessyfile.engines.engine import Engine, OnPiece
    from jessyfile.language.recipe import Complexity


@dataclass(frozen=True, slots=True)
class Marked:
    """An answer without its marker line. `level` and `iterations` are None when it does not begin with a marker."""

    text: str
    level: str | None
    iterations: int | None


@dataclass(frozen=True, slots=True)
class MarkedReply:
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


def ends_in_marker(text: str, complexity: Complexity) -> bool:
    """Return whether a text is the beginning of a marker line and no more, as that of an answer that was cut there."""
    if complexity.marker is None:
        return False
    import regex

    whole = marker_pattern(complexity.marker, tuple(level.name for level in complexity.levels)).pattern
    found = regex.match(whole, text, partial=True)
    return found is not None and found.partial


def ask(
    engine: Engine, messages: Sequence[Message], complexity: Complexity, on_piece: OnPiece | None = None
) -> MarkedReply:
    """Ask a loaded model and read the complexity marker of its answer.

    Args:
        engine: the engine, with its model loaded.
        messages: the conversation so far, the question last.
        complexity: the recipe's levels and marker.
        on_piece: called with the answer so far; it returns True to end it.

    Returns:
        The answer without its marker, and the level and iterations that the marker stated.
    """
    reply = engine.chat(messages, None, on_piece)
    marked = read_marker(reply.text, complexity)
    return MarkedReply(marked.text, marked.level, marked.iterations, reply)
