"""One question from the route to its last byte: into the line, streamed or whole, and out of the line when its client leaves."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Protocol

import msgspec
from starlette.responses import Response

from jessyfile.serve.desk import Heard, QueuedQuestion
from jessyfile.serve.faults import RefusedError, fault_of

if TYPE_CHECKING:
    from starlette.types import Message as AsgiMessage
    from starlette.types import Receive, Scope, Send

    from jessyfile.serve.desk import Desk
    from jessyfile.serve.notes import Notes
    from jessyfile.serve.question import ServedQuestion

_JSON = "application/json"


class Style(Protocol):
    """How an interface writes an answer."""

    media_type: str

    def begin(self) -> bytes:
        """Return what comes before the first word of a streamed answer."""

    def piece(self, thought: str, text: str) -> bytes:
        """Return the next words, of the thoughts and of the answer."""

    def end(self, job: QueuedQuestion) -> bytes:
        """Return what comes after the last word."""

    def failed(self, fault: RefusedError) -> bytes:
        """Return how an answer that has begun says that it broke off."""

    def whole(self, job: QueuedQuestion) -> msgspec.Struct:
        """Return an answer that is not streamed."""


class _News:
    """Wakes the event loop once for however many pieces have come since it last looked."""

    def __init__(self) -> None:
        self._loop, self._event, self._told = asyncio.get_running_loop(), asyncio.Event(), False

    def tell(self) -> None:
        """Be called by the thread that answers."""
        if not self._told:
            self._told = True
            with contextlib.suppress(RuntimeError):  # the loop has ended, and nobody reads any more
                self._loop.call_soon_threadsafe(self._event.set)

    def wake(self) -> None:
        """Be called in the event loop for anything else that is waited for."""
        self._event.set()

    async def wait(self) -> None:
        """Return when there is news."""
        await self._event.wait()
        self._event.clear()
        self._told = False


class LeftError(Exception):
    """The client has closed its connection."""


class Answering:
    """A question in the line of a desk, on behalf of one request."""

    def __init__(
        self, desk: Desk, question: ServedQuestion, seconds: float, receive: Receive, *, streamed: bool = True
    ) -> None:
        """Put the question into the line.

        Args:
            desk: the model's desk.
            question: what is asked.
            seconds: the longest time of its answer, waiting left out.
            receive: says when the client has left.
            streamed: whether its words are wanted as they come; else it is news only that it is over.

        Raises:
            RefusedError: the line is full.
        """
        self._desk, self._news = desk, _News()
        self.job = QueuedQuestion(question, self._news.tell if streamed else self._tell_end, seconds)
        self._sent = Heard()
        desk.admit(self.job)
        self._gone = asyncio.ensure_future(gone_from(receive))
        self._gone.add_done_callback(lambda _: self._news.wake())

    async def next(self) -> Heard:
        """Wait for news, and return what has come since the last call: of the thoughts and of the answer.

        Raises LeftError when the client has left, and RefusedError when the answer broke off.
        """
        await self._news.wait()
        if self._gone.done() and not self.job.over:
            raise LeftError
        return self._fresh()

    async def pieces(self) -> AsyncIterator[Heard]:
        """Yield what comes until the end. Raises LeftError and RefusedError."""
        while not self.job.over:
            yield await self.next()
        yield self._fresh()  # what came between the last look and the end

    def close(self) -> None:
        """Leave the line, or cut the answer where it is not over."""
        self._gone.cancel()
        if not self.job.over:
            self._desk.leave(self.job)

    def _tell_end(self) -> None:
        if self.job.over:
            self._news.tell()

    def _fresh(self) -> Heard:
        if self.job.error is not None:
            raise fault_of(self.job.error, self.job.question.held)
        now, hidden = self.job.shown(), self.job.question.hidden
        fresh = Heard("" if hidden else _after(self._sent.thoughts, now.thoughts), _after(self._sent.text, now.text))
        self._sent = now
        return fresh


def _after(sent: str, now: str) -> str:
    return now[len(sent) :] if now.startswith(sent) else f"\n\n{now}"


async def gone_from(receive: Receive) -> None:
    """Return when the client has closed its connection."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def answered(answering: Answering, style: Style, notes: Notes, stream: bool) -> Response:
    """Return the answer to a question, streamed or whole.

    Args:
        answering: the question in its line.
        style: how the interface writes.
        notes: what the log and the metrics say of the request.
        stream: whether the words are sent as they come.

    Raises:
        RefusedError: the question was not answered.
    """
    kept = False
    try:
        if stream:
            first = await answering.next()  # what goes wrong before the first word has a status of its own
            kept = True
            return Streamed(answering, first, style, notes)
        async for _ in answering.pieces():
            pass
        notes.take(answering.job)
        return Response(msgspec.json.encode(style.whole(answering.job)), media_type=_JSON)
    except LeftError:
        notes.left = True
        return Response(status_code=499)
    except RefusedError:
        notes.take(answering.job)
        raise
    finally:
        if not kept:
            answering.close()


class Streamed(Response):
    """An answer that is sent as it comes."""

    def __init__(self, answering: Answering, first: Heard, style: Style, notes: Notes) -> None:
        """Take what is sent.

        Args:
            answering: the question, with its first words.
            first: those words.
            style: how the interface writes.
            notes: what the log and the metrics say of the request.
        """
        super().__init__(media_type=style.media_type, headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self._answering, self._first, self._style, self._notes = answering, first, style, notes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it. A client that leaves takes its question back."""
        del scope, receive
        try:
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            await self._words(send)
        except LeftError:
            self._notes.left = True
        finally:
            self._notes.take(self._answering.job)
            self._answering.close()

    async def _words(self, send: Send) -> None:
        style, job = self._style, self._answering.job
        try:
            await send(body(style.begin() + _written(style, self._first)))
            async for heard in self._answering.pieces():
                if written := _written(style, heard):
                    await send(body(written))
            last = style.end(job)
        except RefusedError as fault:
            self._notes.fault = fault
            last = style.failed(fault)
        await send(body(last, more=False))


def _written(style: Style, heard: Heard) -> bytes:
    return style.piece(heard.thoughts, heard.text) if heard.thoughts or heard.text else b""


def body(data: bytes, *, more: bool = True) -> AsgiMessage:
    """Return a piece of a response's body as ASGI sends it; `more` says that it is not the last."""
    return {"type": "http.response.body", "body": data, "more_body": more}
