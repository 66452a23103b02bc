"""A recipe's text and places in it: offsets in characters, lines and columns counted from 1."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from jessyfile.language.recipe import Source

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class SourceFile:
    """One text with the name that diagnostics print; `path` is None for text that came from no file."""

    name: str
    text: str
    path: Path | None = None

    @cached_property
    def _starts(self) -> list[int]:
        starts, at = [0], self.text.find("\n")
        while at >= 0:
            starts.append(at + 1)
            at = self.text.find("\n", at + 1)
        return starts

    def position(self, offset: int) -> tuple[int, int]:
        """Return the line and column of a character offset."""
        line = bisect_right(self._starts, offset)
        return line, offset - self._starts[line - 1] + 1

    def line(self, number: int) -> str:
        """Return one line without its line end."""
        start = self._starts[number - 1]
        end = self._starts[number] - 1 if number < len(self._starts) else len(self.text)
        return self.text[start:end].removesuffix("\r")


class Span(NamedTuple):
    """A stretch of one text, from `start` up to but not including `end`."""

    file: SourceFile
    start: int
    end: int

    @property
    def line(self) -> int:
        """The line on which it starts."""
        return self.file.position(self.start)[0]

    @property
    def column(self) -> int:
        """The column at which it starts."""
        return self.file.position(self.start)[1]

    def to(self, other: Span) -> Span:
        """Return the stretch from here to the end of another one in the same text."""
        return Span(self.file, self.start, max(self.end, other.end))

    def source(self) -> Source:
        """Return where it starts, as the recipe keeps it."""
        line, column = self.file.position(self.start)
        return Source(self.file.name, line, column)
