"""Where the lines of a conversation come from when no terminal edits them: a pipe, a file, a terminal that can do nothing."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import BinaryIO

import click

LONGEST = 8 << 20  # bytes of one line; a context window holds far less


def plain_lines(source: BinaryIO, prompt: str = "") -> Iterator[str]:
    """Yield what is written, line by line, to the end; blank lines are passed over, and so is, with a word, what is no text.

    Behind a `prompt` a person types: Ctrl-C gives the line up. Raises KeyboardInterrupt elsewhere.
    """
    number = 0
    while True:
        try:
            if prompt:
                click.echo(prompt, nl=False)
                sys.stdout.flush()
            raw = source.readline(LONGEST)
        except KeyboardInterrupt:
            if not prompt:
                raise
            click.echo("\n(Ctrl-D or /bye ends)")
            continue
        if not raw:
            if prompt:
                click.echo()
            return
        number += 1
        if len(raw) == LONGEST and not raw.endswith(b"\n"):
            _pass_over(source)
            click.echo(f"line {number} is longer than {LONGEST >> 20} MB, and not asked", err=True)
            continue
        if (text := _decoded(raw, number)) is not None and text.strip():
            yield text


def _decoded(raw: bytes, number: int) -> str | None:
    try:
        return raw.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n")
    except UnicodeDecodeError as error:
        click.echo(f"line {number} is not in UTF-8 (byte {error.start + 1}), and not asked", err=True)
        return None


def _pass_over(source: BinaryIO) -> None:
    while (raw := source.readline(LONGEST)) and not raw.endswith(b"\n"):
        pass
