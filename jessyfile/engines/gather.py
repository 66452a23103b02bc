"""Collect an answer that arrives in pieces, and measure its times; every engine uses this."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from jessyfile.engines.engine import Reply
from jessyfile.text.printable import whole

if TYPE_CHECKING:
    from jessyfile.engines.engine import OnPiece


@dataclass(slots=True)
class Gathered:
    """An answer in progress. `add` returns True when the caller wants the answer to end."""

    on_piece: OnPiece | None = None
    pieces: list[str] = field(default_factory=list)
    cut: bool = False
    first: float | None = None
    cached_tokens: int = 0
    started: float = field(default_factory=time.perf_counter)

    @property
    def text(self) -> str:
        """Return the answer so far."""
        return whole("".join(self.pieces))

    def add(self, piece: str) -> bool:
        """Take one piece, empty ones while the prompt is read; the first one that is not sets the time to the first token."""
        if not piece:
            return self._awaited()
        if self.first is None:
            self.first = time.perf_counter() - self.started
        self.pieces.append(piece)
        self.cut = self.on_piece is not None and self.on_piece(self.text)
        return self.cut

    def _awaited(self) -> bool:
        """Ask before the first word whether it is still waited for."""
        if not self.pieces and self.on_piece is not None:
            self.cut = self.on_piece("")
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
            cached_tokens=self.cached_tokens,
        )
