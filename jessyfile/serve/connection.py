"""uvicorn's connection with the time limits that it lacks: a request whose head does not end, and a client that reads nothing."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol


class BoundedConnection(H11Protocol):
    """A connection that is dropped when its request's head is not whole in `head_seconds`, or when it reads nothing of its answer for
    `stalled_seconds`. uvicorn makes one a connection.
    """

    head_seconds = 10.0
    stalled_seconds = 30.0

    def __init__(self, *given: Any, **named: Any) -> None:  # noqa: ANN401 (whatever uvicorn hands over)
        super().__init__(*given, **named)
        self._waiting: asyncio.TimerHandle | None = None
        self._stalled: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for the first request."""
        super().connection_made(transport)
        self._expect_head()

    def data_received(self, data: bytes) -> None:
        """Read; a head that has begun must end in time, however slowly its bytes come."""
        idle = self.cycle is None or self.cycle.response_complete
        super().data_received(data)
        begun = self.cycle is not None and not self.cycle.response_complete
        if begun:
            self._heard()
        elif idle and self._waiting is None:
            self._expect_head()

    def on_response_complete(self) -> None:
        """Answer done: uvicorn's own limit for an idle connection holds until the next byte."""
        self._heard()
        super().on_response_complete()

    def pause_writing(self) -> None:
        """Begin to count how long the client reads nothing."""
        super().pause_writing()
        if self._stalled is None:
            self._stalled = self.loop.call_later(self.stalled_seconds, self.transport.abort)

    def resume_writing(self) -> None:
        """The client reads again."""
        self._read()
        super().resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the timers."""
        self._heard()
        self._read()
        super().connection_lost(exc)

    def _expect_head(self) -> None:
        self._waiting = self.loop.call_later(self.head_seconds, self._no_head)

    def _heard(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None

    def _read(self) -> None:
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None

    def _no_head(self) -> None:
        self._waiting = None
        if not self.transport.is_closing():
            self.transport.abort()


def bounded_connection(head_seconds: float, stalled_seconds: float) -> type[BoundedConnection]:
    """Return the connection's class with these limits, in seconds."""
    limits = {"head_seconds": head_seconds, "stalled_seconds": stalled_seconds}
    return type("BoundedConnection", (BoundedConnection,), limits)
