"""Offsets of a text -> positions of the protocol and back: lines from 0, columns in the units that the editor chose."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lsprotocol import types

if TYPE_CHECKING:
    from jessyfile.language.diagnostics import Place
    from jessyfile.language.source import SourceFile, Span

_UNITS: dict[str, Callable[[str], int]] = {
    "utf-8": lambda text: len(text.encode("utf-8", "surrogatepass")),
    "utf-16": lambda text: len(text) + sum(c > "\uffff" for c in text),
    "utf-32": len,
}


@dataclass(frozen=True, slots=True)
class Positions:
    """One text's places in one encoding (utf-8, utf-16 or utf-32)."""

    file: SourceFile
    encoding: str = "utf-16"

    def position(self, offset: int) -> types.Position:
        """Return an offset as a position."""
        line, column = self.file.position(offset)
        return self._at(line, column)

    def _at(self, line: int, column: int) -> types.Position:
        """Return a line and column that count from 1, as diagnostics do."""
        before = self.file.line(line)[: column - 1]
        return types.Position(line - 1, _UNITS[self.encoding](before))

    def range(self, span: Span) -> types.Range:
        """Return a span as a range."""
        return types.Range(self.position(span.start), self.position(span.end))

    def place(self, place: Place | None) -> types.Range:
        """Return a diagnostic's place as a range; the start of the text for one without a place."""
        if place is None:
            return types.Range(types.Position(0, 0), types.Position(0, 0))
        return types.Range(self._at(place.line, place.column), self._at(place.end_line, place.end_column))

    def everything(self) -> types.Range:
        """Return the whole text's range."""
        return types.Range(types.Position(0, 0), self.position(len(self.file.text)))

    def offset(self, position: types.Position) -> int:
        """Return a position as an offset; one beyond its line or the text is its end."""
        lines = self.file.text.split("\n")
        if position.line >= len(lines):
            return len(self.file.text)
        start = sum(len(line) + 1 for line in lines[: position.line])
        line, units = lines[position.line], 0
        for at, character in enumerate(line):
            if units >= position.character:
                return start + at
            units += _UNITS[self.encoding](character)
        return start + len(line)
