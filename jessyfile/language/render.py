"""Diagnostics for a terminal, in the shape of rustc's: code, sentence, place, source line with carets, help, note."""

from __future__ import annotations

import os
import sys
import unicodedata
from typing import TYPE_CHECKING

from jessyfile.text.fit import cells, folded, terminal_width
from jessyfile.text.printable import printable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from jessyfile.language.diagnostics import Diagnostic, Place

_TAB = 4
_WINDOW = 110
_NARROWEST = 24  # columns of a recipe's line, whatever the terminal
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
    """Return all diagnostics as text, with a blank line between two, as wide as the terminal of standard error; colour by
    the terminal and NO_COLOR when not said."""
    paint = _Paint(_coloured() if color is None else color, terminal_width(err=True))
    return "\n\n".join("\n".join(_lines(diagnostic, paint)) for diagnostic in diagnostics)


def _coloured() -> bool:
    return sys.stderr.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


class _Paint:
    """Puts colours around text, or does not, and knows how wide the terminal is (None: as wide as anything)."""

    def __init__(self, on: bool, columns: int | None) -> None:
        self.on, self.columns = on, columns

    def __call__(self, text: str, colour: str) -> str:
        return f"{_COLOURS[colour]}{text}{_PLAIN}" if self.on and text else text


def _lines(diagnostic: Diagnostic, paint: _Paint) -> list[str]:
    place, second = diagnostic.place, diagnostic.second
    gutter = max((len(str(p.line)) for p in (place, second) if p), default=0)
    code = f"{diagnostic.severity}[{diagnostic.code}]"
    first, *more = folded(f"{code}: {safe(diagnostic.message)}", paint.columns)
    lines = [paint(code, diagnostic.severity) + paint(first.removeprefix(code), "bold")]
    lines += [paint(line, "bold") for line in more]
    empty = f"{' ' * gutter} {paint('|', 'blue')}"
    if place:
        arrow = f"{' ' * gutter}{paint('-->', 'blue')}"
        lines += [f"{arrow} {safe(place.file)}:{place.line}:{place.column}", empty]
        lines += _snippet(place, "^", diagnostic.severity, gutter, paint)
    if place and second:
        lines += _second(place, second, gutter, paint)
    if place and (diagnostic.helps or diagnostic.notes):
        lines.append(empty)
    said = [
        *(f"help: {safe(text)}" for text in diagnostic.helps),
        *(f"note: {safe(text)}" for text in diagnostic.notes),
    ]
    for text in said:
        first, *more = folded(f"{' ' * gutter} = {text}", paint.columns, gutter + len(" = help: "))
        lines += [first.replace("=", paint("=", "blue"), 1), *more]
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
    room = None if paint.columns is None else max(_NARROWEST, paint.columns - gutter - len(" | ") - len("……"))
    first, last = _window(place.text, start, room)
    drawn = [(shown(c), sum(map(width, shown(c)))) for c in place.text[first:last]]
    before = sum(w for _, w in drawn[: start - first]) + (1 if first else 0)
    marks = mark * max(sum(w for _, w in drawn[start - first : max(end, start) - first]), 1)
    text = ("…" if first else "") + "".join(c for c, _ in drawn) + ("…" if last < len(place.text) else "")
    bar = f"{' ' * gutter} {paint('|', 'blue')}"
    under = [" " * at + paint(said, colour) for at, said in _marked(before, marks, safe(place.label), room)]
    return [f"{paint(f'{place.line:>{gutter}} |', 'blue')} {text}".rstrip(), *(f"{bar} {line}" for line in under)]


def _marked(before: int, marks: str, label: str, room: int | None) -> list[tuple[int, str]]:
    """Return the carets with the label behind them, or below where there is no room; each line with its indent."""
    one = f"{marks} {label}".rstrip()
    if room is None or before + cells(one) <= room + 1:
        return [(before, one)]
    indent = max(0, min(before, room - cells(label)))
    return [(before, marks), *((indent, line.strip()) for line in folded(" " * indent + label, room, indent))]


def _window(text: str, start: int, room: int | None) -> tuple[int, int]:
    """Return which part of a very long line is shown: as many characters as `room` columns hold."""
    most = _WINDOW
    if room is not None:
        near = text[max(0, start - _WINDOW) : start + _WINDOW]  # a line may be a megabyte, and hold a thousand mistakes
        wide = sum(width(c) for character in near for c in shown(character))
        most = min(_WINDOW, room * len(near) // max(wide, 1))
    if len(text) <= most:
        return 0, len(text)
    first = max(0, min(start - most // 3, len(text) - most))
    return first, min(len(text), first + most)
