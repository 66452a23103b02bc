"""Collect an answer that arrives in pieces, with its times; the same for every engine."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from jessyfile.engines.engine import Reply
from jessyfile.text.printable import whole

if TYPE_CHECKING:
    from jessyfile.engines.engine import Watch


@dataclass(slots=True)
class Gathered:
    """An answer under way. `add` returns True when whoever watches wants it to end."""

    watch: Watch | None = None
    pieces: list[str] = field(default_factory=list)
    cut: bool = False
    first: float | None = None
    started: float = field(default_factory=time.perf_counter)

    @property
    def text(self) -> str:
        """Return the answer so far."""
        return whole("".join(self.pieces))

    def add(self, piece: str) -> bool:
        """Take one piece; the first one that is not empty sets the time to the first token."""
        if not piece:
            return False
        if self.first is None:
            self.first = time.perf_counter() - self.started
        self.pieces.append(piece)
        self.cut = self.watch is not None and self.watch(self.text)
        return self.cut

    def reply(self, prompt_tokens: int, tokens: int | None, stopped: Literal["stop", "length"]) -> Reply:
        """Return the whole answer; `tokens` None counts the pieces, which are single tokens in every engine here."""
        return Reply(
            text=self.text,
            prompt_tokens=prompt_tokens,
            tokens=len(self.pieces) if tokens is None else tokens,
            seconds=time.perf_counter() - self.started,
            first_token_seconds=self.first,
            stopped="cut" if self.cut else stopped,
        )


def pieces_of(produce: Callable[[Callable[[str], bool]], object]) -> Iterator[str]:
    """Turn a call that pushes pieces into an iterator that gives them; closing the iterator ends the call.

    `produce` runs in a thread of its own and is given the function to push with, which returns True once nobody
    listens any more. What it raises is raised here.
    """
    import queue
    import threading

    channel: queue.SimpleQueue[str | BaseException | None] = queue.SimpleQueue()
    closed = threading.Event()

    def push(piece: str) -> bool:
        channel.put(piece)
        return closed.is_set()

    def work() -> None:
        try:
            produce(push)
        except Exception as error:  # noqa: BLE001 (handed over to the thread that reads)
            channel.put(error)
        channel.put(None)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        yield from _received(channel.get)
    finally:
        closed.set()
        thread.join()


def _received(get: Callable[[], str | BaseException | None]) -> Iterator[str]:
    while (item := get()) is not None:
        if isinstance(item, BaseException):
            raise item
        if item:
            yield item
