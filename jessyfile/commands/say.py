"""What commands print: no control characters, and no line wider than the terminal."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

import click

from jessyfile.text.fit import folded, terminal_width
from jessyfile.text.printable import printable


def near(path: Path) -> str:
    """Return a path as it is typed here: relative where it lies below the current folder."""
    with contextlib.suppress(ValueError, OSError):
        return str(path.resolve().relative_to(Path.cwd()))
    return str(path)


def say(text: str, tint: Callable[[str], str] = str, *, err: bool = False, hang: int | None = None) -> None:
    """Print a text, to standard error with `err`.

    Args:
        text: one line or several; those that are too long are folded.
        tint: gives a line its colour.
        err: print it to standard error.
        hang: how far what is folded is indented; two more than its line unless given.
    """
    width = terminal_width(err=err)
    for line in printable(text).split("\n"):
        coloured = tint(line)
        before, _, after = coloured.partition(line) if line else (coloured, "", "")
        for piece in folded(line, width, hang):
            click.echo(f"{before}{piece}{after}", err=err)
