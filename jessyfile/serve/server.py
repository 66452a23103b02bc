"""The server itself: its socket, its signals, and how it stops.

The first SIGTERM or Ctrl-C stops it gently: nobody new is let in, what was asked is answered, for `grace` seconds at most; then, or at the
second signal, answers are cut. Both end with exit code 0.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING

import uvicorn

from jessyfile.errors import EngineError
from jessyfile.serve.app import application
from jessyfile.serve.connection import bounded_connection

if TYPE_CHECKING:
    from types import FrameType

    from jessyfile.serve.service import Service

_BACKLOG = 128
_AFTER_CUT = 5.0  # seconds for answers that were cut to be sent


def is_local(host: str) -> bool:
    """Return whether only this machine reaches an address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def listening(host: str, port: int) -> socket.socket:
    """Return a socket that listens. Raises EngineError where the address is taken, not this machine's, or not allowed."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, protocol, _, address = found[0]
        made = socket.socket(family, kind, protocol)
    except (OSError, UnicodeError) as error:
        raise EngineError(f"`{host}` is no address of this machine", hint="leave --host out, or name one") from error
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(address)
        made.listen(_BACKLOG)
    except OSError as error:
        made.close()
        raise EngineError(
            f"cannot listen on {host}, port {port}: {error.strerror}", hint="choose another one with --port"
        ) from error
    return made


def address_of(listener: socket.socket) -> str:
    """Return the URL under which a listening socket is reached from this machine."""
    host, port = listener.getsockname()[:2]
    name = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 (what is listened on, not what is called)
    return f"http://[{name}]:{port}" if ":" in name else f"http://{name}:{port}"


class Server(uvicorn.Server):
    """uvicorn with jessy's signals: it stops gently and does not raise the signal again."""

    def __init__(self, service: Service) -> None:
        limits = service.limits
        self.service = service
        super().__init__(
            uvicorn.Config(
                application(service),
                http=bounded_connection(limits.head_seconds, limits.stalled),
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                limit_concurrency=limits.connections,
                timeout_graceful_shutdown=int(limits.grace + _AFTER_CUT),
                h11_max_incomplete_event_size=limits.head,
            )
        )

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Listen for the signals during the block, where they can be listened for."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        numbers = [
            one for one in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP) if signal.getsignal(one) != signal.SIG_IGN
        ]
        before = {number: signal.signal(number, self.handle_exit) for number in numbers}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Be the handler: the first signal stops gently, the second cuts the answers."""
        del sig, frame
        if self.should_exit:
            self.force_exit = True
            self.service.cut()
        self.stop()

    def stop(self) -> None:
        """Stop gently."""
        self.service.stopping = True
        self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Let everybody who was let in be answered, then cut."""
        grace = asyncio.get_running_loop().call_later(self.service.limits.grace, self.service.cut)
        try:
            await super().shutdown(sockets)
        finally:
            grace.cancel()


def run(service: Service, listener: socket.socket, watch_seconds: float = 1.0) -> None:
    """Serve until a signal comes; the models are loaded already."""
    _quiet()
    service.house.watch(watch_seconds)
    try:
        Server(service).run([listener])
    finally:
        service.close()


def _quiet() -> None:
    """Let only warnings through, a line each."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(levelname)s: %(message)s"))
    for name in ("jessy.serve", "uvicorn.error"):
        logger = logging.getLogger(name)
        logger.setLevel(logging.WARNING if name == "jessy.serve" else logging.ERROR)
        logger.propagate = False
        logger.handlers = [handler]
