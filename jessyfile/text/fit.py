"""Lines that fit a terminal: folded at words, or shortened with an ellipsis. What is pasted into a shell, a command or a path, stays whole."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Iterator, Sequence
from itertools import zip_longest

_SPACE = "\ue000"  # stands for a space at which a line may not be folded
_WHOLE = re.compile(r"`[^`]*`|\S+ \[[^\]]*\] n=\d+|(?<![\w/.])jessy [a-z].*$")


def terminal_width(*, err: bool = False) -> int | None:
    """Return the columns of the terminal that is written to; None where it is none: lines of a log or a pipe stay whole."""
    return shutil.get_terminal_size().columns if (sys.stderr if err else sys.stdout).isatty() else None


def cells(text: str) -> int:
    """Return how many columns a text takes: two for a wide letter, none for an accent that stands apart."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


def padded(text: str, width: int) -> str:
    """Return a text with spaces after it, as wide as a column."""
    return text + " " * (width - cells(text))


def shortened(text: str, width: int) -> str:
    """Return a text that takes at most so many columns, with `…` for what is left out."""
    if cells(text) <= width:
        return text
    while text and cells(text) >= width:
        text = text[:-1]
    return f"{text.rstrip()}…"


def folded(line: str, width: int | None, hang: int | None = None) -> list[str]:
    """Return a line as several that fit, broken between words.

    Args:
        line: the line; a command to be pasted, a measurement and what stands in backticks are not broken.
        width: how many columns there are; None for any number.
        hang: how far later lines are indented; two more than the first unless given.

    Returns:
        At least one line. A word that is wider than the terminal stays whole: a path is still one when it is copied.
    """
    if width is None or cells(line) <= width:
        return [line]
    indent = len(line) - len(line.lstrip())
    later = " " * min(indent + 2 if hang is None else hang, width // 2)
    found, row = list[str](), line[:indent]
    for word in _words(line[indent:]):
        if row.strip() and cells(row + word.rstrip()) > width:
            found.append(row.rstrip())
            row = later
        row += word
    return [*found, row.rstrip()]


def _words(text: str) -> Iterator[str]:
    """Yield the words with the spaces behind them."""
    kept = _WHOLE.sub(lambda found: found.group().replace(" ", _SPACE), text)
    yield from (word.replace(_SPACE, " ") for word in re.findall(r"[^ ]+ *", kept))


def beside(text: str, right: str, width: int | None, room: int, hang: int) -> list[str]:
    """Return a text with a short one at the right of its first line, which is never cut.

    Args:
        text: what may be folded.
        right: what stands at the right.
        width: how many columns there are; None for any number.
        room: how many columns the text has where there is enough.
        hang: how far later lines are indented.

    Returns:
        The lines.
    """
    if not right:
        return folded(text, width, hang)
    room = room if width is None else min(room, width - cells(right) - 1)
    first, *rest = folded(text, room if width is not None else None, hang)
    return [f"{padded(first, room)} {right}", *rest]


def table(rows: Sequence[Sequence[str]], width: int | None, indent: str = "  ") -> list[str]:
    """Return rows as aligned columns. Where they are too wide, the last column is folded under itself.

    Args:
        rows: texts by row and column; a row may be short of its last columns.
        width: how many columns the terminal has; None for any number.
        indent: what stands before each line.

    Returns:
        The lines.
    """
    wide = [max(map(cells, column)) for column in zip_longest(*(row[:-1] for row in rows), fillvalue="")]
    lines: list[str] = []
    for row in rows:
        heads = "".join(padded(text, size) + "  " for text, size in zip(row[:-1], wide, strict=False) if size)
        lines += folded(f"{indent}{heads}{row[-1]}".rstrip(), width, len(indent) + cells(heads))
    return lines
