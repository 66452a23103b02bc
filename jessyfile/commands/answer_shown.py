"""How an answer looks while it is made: its drafts dim and passing, the answer itself as it is written."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import FrameType
from typing import TYPE_CHECKING

import click

from jessyfile.commands.terminal import live_terminal
from jessyfile.text.fit import cells, folded, terminal_width
from jessyfile.text.printable import printable

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.live import Live

    from jessyfile.thinking.thought import Event, OnEvent, Thought

_PARTS = re.compile(r"(\n|[ \t]+)")
_LINES = 4  # of a draft, those written last
_A_SECOND = 4  # how often the passing lines are drawn


@dataclass(slots=True)
class StreamedAnswer:
    """Shows an answer while it is written, and before that, where the terminal can, the draft under way; `finish` shows what is left."""

    write: Callable[[str], None]
    drafts: Drafts | None = None
    shown: str = ""

    def show(self, event: Event) -> bool:
        """Take what happens; never cuts it."""
        from jessyfile.thinking.thought import Piece

        if isinstance(event, Piece) and event.final:
            self._extend(event.text)
        elif self.drafts is not None and not self.shown:
            self.drafts.show(event)
        return False

    def finish(self, text: str) -> None:
        """Show the rest of the whole answer."""
        self._extend(text)

    def close(self) -> None:
        """Take the passing lines off the terminal."""
        if self.drafts is not None:
            self.drafts.stop()

    def _extend(self, text: str) -> None:
        self.close()
        # white space at the end is stripped from every state of the answer, so what was shown stays a beginning of it
        if text.startswith(self.shown):
            self.write(text[len(self.shown) :])
            self.shown = text


@dataclass(slots=True)
class Drafts:
    """Lines that pass: the end of the draft under way, and `draft 3 of 9 · 4 s` with the seconds of the whole question."""

    console: Console
    clock: Callable[[], float] = time.monotonic
    text: str = ""
    name: str = "thinking"
    started: float = field(init=False)
    live: Live | None = None

    def __post_init__(self) -> None:
        self.started = self.clock()

    def show(self, event: Event) -> None:
        """Take a draft's beginning, its next piece or its end."""
        from jessyfile.thinking.thought import DraftBegan, DraftEnded, Piece

        if isinstance(event, DraftEnded):
            self.text = event.draft.text  # a row's own answer comes in no pieces
        elif isinstance(event, DraftBegan):
            self.name = "thinking" if event.of is None else f"draft {event.number} of {event.of}"
            self._begin()
        elif isinstance(event, Piece):
            self.text = event.text

    def stop(self) -> None:
        """Take the lines off the terminal."""
        if self.live is not None:
            self.live.stop()
            self.live = None

    def __rich__(self) -> RenderableType:
        """Return the lines as they are now."""
        from rich.text import Text

        width, style = self.console.width, "" if os.environ.get("NO_COLOR") else "dim"
        said = [line for part in printable(self.text).splitlines() for line in folded(part, width, 0)]
        return Text("\n".join([*said[-_LINES:], f"{self.name} · {self.clock() - self.started:.0f} s"]), style=style)

    def _begin(self) -> None:
        from rich.live import Live

        if self.live is None:
            self.live = Live(self, console=self.console, transient=True, refresh_per_second=_A_SECOND)
            self.live.start()


@dataclass(slots=True)
class WrittenWords:
    """Writes a text that comes in pieces, and breaks lines between words where the terminal would break them anywhere; the last word
    waits for its end. `width` None leaves lines as they are."""

    write: Callable[[str], None]
    width: int | None
    column: int = 0
    waiting: str = ""

    def add(self, piece: str) -> None:
        """Take the next piece."""
        if self.width is None:
            self.write(piece)
            return
        *whole, self.waiting = _PARTS.split(self.waiting + piece)
        for part in whole:
            self._put(part, self.width)

    def end(self) -> None:
        """Write the last word."""
        if self.width is not None:
            self._put(self.waiting, self.width)
            self.waiting = ""

    def _put(self, part: str, width: int) -> None:
        if part == "\n":
            self.column = 0
        elif self.column + (size := cells(part)) <= width:
            self.column += size
        elif part.isspace():
            return
        else:
            part = f"\n{part}" if self.column else part
            self.column = size % width
        if part:
            self.write(part)


def show_answer(ask: Callable[[OnEvent | None], Thought]) -> Thought:
    """Ask, and show the answer: at a terminal while it is made, where Ctrl-C cuts it; elsewhere when it is there."""
    words = WrittenWords(lambda text: click.echo(text, nl=False), terminal_width() if live_terminal() else None)
    live = StreamedAnswer(lambda text: words.add(printable(text)), drafts_of_terminal())
    try:
        if sys.stdout.isatty():
            with cutting() as cut:
                thought = ask(lambda event: live.show(event) or cut.asked)
        else:
            thought = ask(None)
        live.finish(thought.text)
        words.end()
    finally:
        live.close()
    return thought


def drafts_of_terminal() -> Drafts | None:
    """Return the passing lines, None where a line can't be taken back."""
    if not live_terminal():
        return None
    from rich.console import Console

    return Drafts(Console(highlight=False))


def dimmed(text: str) -> str:
    """Return a text that steps back behind the answer, where the terminal can."""
    plain = os.environ.get("NO_COLOR") or not live_terminal()
    return printable(text) if plain else click.style(printable(text), dim=True)


class Cut:
    """Ctrl-C while an answer is written: the first cuts the answer, the second ends the command."""

    def __init__(self) -> None:
        self.asked = False

    def heard(self, number: int, frame: FrameType | None) -> None:
        """Be the handler."""
        del number, frame
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True


@contextlib.contextmanager
def cutting() -> Iterator[Cut]:
    """Let Ctrl-C cut the answer of the block."""
    cut = Cut()
    before = signal.signal(signal.SIGINT, cut.heard)
    try:
        yield cut
    finally:
        signal.signal(signal.SIGINT, before)
