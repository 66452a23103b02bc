"""Diagnostics for a terminal, in the shape of rustc's: code, sentence, place, source line with carets, help, note."""

from __future__ import annotations

import os
import sys
import unicodedata
from typing import TYPE_CHECKING

from jessyfile.text.printable import printable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from jessyfile.language.diagnostics import Diagnostic, Place

_TAB = 4
_WINDOW = 110
_COLOURS = {
    "error": "\x1b[1;31m",
    "warning": "\x1b[1;33m",
    "blue": "\x1b[1;34m",
    "bold": "\x1b[1m",
    "second": "\x1b[1;34m",
}
_PLAIN = "\x1b[0m"


def width(character: str) -> int:
    """Return how many terminal cells a character takes."""
    if unicodedata.category(character) in ("Mn", "Me") or character in "\u200c\u200d\ufe0f\ufe0e":
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def shown(character: str) -> str:
    """Return a character as it may reach a terminal: a tab as spaces, a control or direction mark as its number."""
    if character == "\t":
        return " " * _TAB
    return "\\u000a" if character == "\n" else printable(character)


def safe(text: str) -> str:
    """Return one line of text without anything that a terminal would obey."""
    return "".join(shown(c) for c in text)


def render_diagnostics(diagnostics: Iterable[Diagnostic], *, color: bool | None = None) -> str:
    """Return all diagnostics as text, with a blank line between two; colour by the terminal and NO_COLOR when not
    said."""
    paint = _Paint(_coloured() if color is None else color)
    return "\n\n".join("\n".join(_lines(diagnostic, paint)) for diagnostic in diagnostics)


def _coloured() -> bool:
    return sys.stderr.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


class _Paint:
    """Puts colours around text, or does not."""

    def __init__(self, on: bool) -> None:
        self.on = on

    def __call__(self, text: str, colour: str) -> str:
        return f"{_COLOURS[colour]}{text}{_PLAIN}" if self.on and text else text


def _lines(diagnostic: Diagnostic, paint: _Paint) -> list[str]:
    place, second = diagnostic.place, diagnostic.second
    gutter = max((len(str(p.line)) for p in (place, second) if p), default=0)
    code = paint(f"{diagnostic.severity}[{diagnostic.code}]", diagnostic.severity)
    lines = [code + paint(": " + safe(diagnostic.message), "bold")]
    empty = f"{' ' * gutter} {paint('|', 'blue')}"
    if place:
        arrow = f"{' ' * gutter}{paint('-->', 'blue')}"
        lines += [f"{arrow} {safe(place.file)}:{place.line}:{place.column}", empty]
        lines += _snippet(place, "^", diagnostic.severity, gutter, paint)
    if place and second:
        lines += _second(place, second, gutter, paint)
    if place and (diagnostic.helps or diagnostic.notes):
        lines.append(empty)
    equals = f"{' ' * gutter} {paint('=', 'blue')}"
    lines += [f"{equals} help: {safe(text)}" for text in diagnostic.helps]
    lines += [f"{equals} note: {safe(text)}" for text in diagnostic.notes]
    return lines


def _second(place: Place, second: Place, gutter: int, paint: _Paint) -> list[str]:
    if second.file == place.file:
        between = (
            f"{' ' * gutter} {paint('|', 'blue')}"
            if second.line - place.line == 1
            else paint("." * min(gutter + 2, 3), "blue")
        )
        lines = [between] if second.line != place.line else []
    else:
        lines = [
            f"{' ' * gutter} {paint('|', 'blue')}",
            f"{' ' * gutter}{paint(':::', 'blue')} {safe(second.file)}:{second.line}:{second.column}",
        ]
    return lines + _snippet(second, "-", "second", gutter, paint)


def _snippet(place: Place, mark: str, colour: str, gutter: int, paint: _Paint) -> list[str]:
    start = place.column - 1
    end = place.end_column - 1 if place.end_line == place.line else len(place.text)
    first, last = _window(place.text, start)
    cells = [(shown(c), sum(map(width, shown(c)))) for c in place.text[first:last]]
    before = sum(w for _, w in cells[: start - first])
    marked = sum(w for _, w in cells[start - first : max(end, start) - first])
    text = ("…" if first else "") + "".join(c for c, _ in cells) + ("…" if last < len(place.text) else "")
    carets = " " * (before + (1 if first else 0)) + paint(
        (mark * max(marked, 1) + " " + safe(place.label)).rstrip(), colour
    )
    number = paint(f"{place.line:>{gutter}} |", "blue")
    return [f"{number} {text}".rstrip(), f"{' ' * gutter} {paint('|', 'blue')} {carets}"]


def _window(text: str, start: int) -> tuple[int, int]:
    """Return which part of a very long line is shown."""
    if len(text) <= _WINDOW:
        return 0, len(text)
    first = max(0, min(start - _WINDOW // 3, len(text) - _WINDOW))
    return first, min(len(text), first + _WINDOW)
