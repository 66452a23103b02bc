"""The complexity marker: the line before an answer that says how hard the question is, `[low 1]` by default."""

from __future__ import annotations

import re
from functools import cache

_CONTROL = re.compile(r"<(?:start_of_turn|end_of_turn|bos|eos|pad|unk)>|<\|[^|<>\n]{1,40}\|>")
_CHAT_TOKENS = _CONTROL.pattern + r"|</?s>|\[/?INST\]|<<SYS>>"


def render(marker: str, level: str, iterations: int) -> str:
    """Return the marker line of a level and a number of iterations."""
    return marker.replace("{level}", level).replace("{iterations}", str(iterations))


def marked(marker: str | None, level: str, iterations: int, text: str) -> str:
    """Return an answer with its marker line before it.

    Args:
        marker: the recipe's marker; None leaves the line out.
        level: the level's name.
        iterations: the number of iterations.
        text: the answer.

    Returns:
        What the model is trained to say.
    """
    return text if marker is None else f"{render(marker, level, iterations)}\n{text}"


def pattern(marker: str, levels: tuple[str, ...] = ("low", "medium", "high")) -> str:
    """Return a regular expression with the groups `level` and `iterations` that matches the marker anywhere."""
    named = f"(?P<level>{'|'.join(map(re.escape, levels))})"
    escaped = re.escape(marker).replace(re.escape("{level}"), named, 1)
    return escaped.replace(re.escape("{iterations}"), r"(?P<iterations>[0-9]{1,3})", 1)


def level_span(marker: str, level: str, iterations: int) -> tuple[int, int]:
    """Return where the level's name stands in an answer that begins with its marker line; white space before it is gone by then."""
    start = len(render(marker.partition("{level}")[0], level, iterations).lstrip())
    return start, start + len(level)


def control_token(text: str) -> str | None:
    """Return the first control token of a chat template that stands in a text; `<s>` is left out, which HTML has too."""
    found = _CONTROL.search(text)
    return found.group() if found else None


@cache
def leak_pattern(marker: str | None, levels: tuple[str, ...]) -> re.Pattern[str]:
    """Return what must never stand inside a row's text: markers and chat templates' control tokens."""
    parts = [_CHAT_TOKENS, r"\[(?:low|medium|high) [0-9]{1,3}\]"]
    if marker is not None:
        parts.append(re.sub(r"\?P<\w+>", "?:", pattern(marker, levels)))
    return re.compile("|".join(parts), re.IGNORECASE)
