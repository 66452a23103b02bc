"""One bounded request over HTTP: the only place of jessy's own code that opens a connection.

A request ends within its time limit, headers, handshake and waits included, and within its size limit, whatever the
server does. When the user asks to stop, it ends within a quarter of a second. Redirects are not followed, so what was
sent to one host never reaches another. Nothing is decompressed. A proxy from the environment is used for `https`
alone; it sees the host's name and nothing else.

Not covered: the resolver's own time limits, and SOCKS proxies.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import SplitResult, quote
from urllib.request import getproxies, proxy_bypass

import httpcore

from jessyfile.addresses import address_of, host_of, is_loopback
from jessyfile.errors import Stop as Stop

if TYPE_CHECKING:
    import ssl

MAX_ANSWER = 1 << 20
MAX_LINE = 1 << 16
_CONNECT_SECONDS = 5.0
_SLICE = 0.25
_CHUNK = 1 << 14

Trouble = Literal["address", "unreachable", "timeout", "broken", "too long", "encoded", "stopped"]


class HttpError(Exception):
    """Why a request brought no whole answer: `kind` for programs, the message for people."""

    def __init__(self, kind: Trouble, message: str) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message


@dataclass(slots=True)
class _Limits:
    """When a request must have ended, and whether the user asked it to."""

    deadline: float
    stop: Stop | None

    def left(self) -> float:
        """Return the seconds that the next wait may take at most. Raises HttpError when there are none."""
        if self.stop is not None and self.stop.requested():
            raise HttpError("stopped", "stopped")
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise HttpError("timeout", "the time limit was reached")
        return left


@dataclass(frozen=True, slots=True)
class Response:
    """An answer whose body is still to be read."""

    status: int
    headers: Mapping[str, str]
    _body: Iterable[bytes]

    def pieces(self) -> Iterator[bytes]:
        """Yield the body as it comes. Raises HttpError."""
        if self.headers.get("content-encoding", "identity") != "identity":
            raise HttpError("encoded", "the server compressed its answer unasked")
        yield from self._body

    def read(self, most: int = MAX_ANSWER) -> bytes:
        """Return the whole body. Raises HttpError when it is longer than `most` bytes."""
        found = bytearray()
        for data in self.pieces():
            found += data
            if len(found) > most:
                raise HttpError("too long", f"the answer is longer than {most >> 20} MiB")
        return bytes(found)

    def lines(self, most: int = MAX_LINE) -> Iterator[bytes]:
        """Yield the body's lines as they come, blank ones left out. Raises HttpError for one longer than `most` bytes."""
        rest = b""
        for data in self.pieces():
            *lines, rest = (rest + data).split(b"\n")
            yield from (line for line in lines if line.strip())
            if len(rest) > most:
                raise HttpError("too long", f"the answer has a line of more than {most} bytes")
        if rest.strip():
            yield rest


@contextmanager
def exchange(
    method: str,
    url: str,
    *,
    seconds: float,
    body: bytes | Iterator[bytes] | None = None,
    headers: Mapping[str, str] | None = None,
    stop: Stop | None = None,
) -> Iterator[Response]:
    """Send one request and yield its answer; the connection is closed with the block.

    Args:
        method: GET, POST, HEAD or DELETE.
        url: an `http` or `https` address.
        seconds: how long everything may take, reading the answer in the block included.
        body: what to send; pieces of it need a Content-Length among the headers.
        headers: sent beside Host and Accept-Encoding.
        stop: asked four times a second whether to stop.

    Yields:
        The answer, its body still to be read.

    Raises:
        HttpError: for every way in which the request or the reading of its answer can fail.
    """
    limits = _Limits(time.monotonic() + seconds, stop)
    try:
        parts = address_of(url)
    except ValueError as error:
        raise HttpError("address", str(error)) from error
    sent = _encoded({"Host": host_of(url), "Accept-Encoding": "identity", **(headers or {})})
    try:
        with (
            _pool(parts, limits) as pool,
            pool.stream(method, _target(parts), headers=sent, content=body) as response,
        ):
            found = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in response.headers}
            yield Response(response.status, found, response.iter_stream())
    except (httpcore.ConnectError, httpcore.ConnectTimeout, httpcore.ProxyError, UnicodeError) as error:
        raise HttpError("unreachable", f"the connection failed ({_short(error)})") from error
    except httpcore.TimeoutException as error:
        raise HttpError("timeout", "the time limit was reached") from error
    except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.UnsupportedProtocol) as error:
        # the text of a protocol error quotes headers, and a key with them
        raise HttpError("broken", f"the connection broke ({type(error).__name__})") from error


@contextmanager
def posted(
    url: str, value: object, *, seconds: float, headers: Mapping[str, str] | None = None, stop: Stop | None = None
) -> Iterator[Response]:
    """Send a JSON value with POST and yield the answer; the connection is closed with the block.

    Args:
        url: an `http` or `https` address.
        value: any JSON value.
        seconds: how long everything may take, reading the answer in the block included.
        headers: sent beside Content-Type.
        stop: asked four times a second whether to stop.

    Yields:
        The answer, its body still to be read.

    Raises:
        HttpError: for every way in which the request or the reading of its answer can fail.
    """
    # letters beyond ASCII are escaped: half a surrogate pair has no UTF-8
    data, kind = json.dumps(value, separators=(",", ":")).encode("ascii"), {"Content-Type": "application/json"}
    with exchange("POST", url, seconds=seconds, body=data, headers={**kind, **(headers or {})}, stop=stop) as response:
        yield response


def _encoded(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    try:
        return [(name.encode("ascii"), value.encode("ascii")) for name, value in headers.items()]
    except UnicodeError:
        # not chained: the error quotes the header, which may be a key
        raise HttpError("broken", "a header holds characters that HTTP does not allow") from None


def _target(parts: SplitResult) -> httpcore.URL:
    path = quote(parts.path or "/", safe="/%:@!$&'()*+,;=~") + (
        f"?{quote(parts.query, safe='=&%+')}" if parts.query else ""
    )
    host = str(parts.hostname).encode("idna")
    return httpcore.URL(scheme=parts.scheme.encode(), host=host, port=parts.port, target=path.encode("ascii"))


def _pool(parts: SplitResult, limits: _Limits) -> httpcore.ConnectionPool:
    """Return what opens the connection: directly, or through the proxy that the environment names for `https`."""
    backend, context = _Backend(limits), _tls() if parts.scheme == "https" else None
    proxy = getproxies().get("https") if parts.scheme == "https" else None
    if not proxy or is_loopback(parts.geturl()) or proxy_bypass(str(parts.hostname)):
        return httpcore.ConnectionPool(ssl_context=context, network_backend=backend)
    try:
        return httpcore.HTTPProxy(proxy, ssl_context=context, network_backend=backend)
    except ValueError as error:
        raise HttpError("unreachable", "jessy cannot use the proxy that the environment names") from error


def _tls() -> ssl.SSLContext:
    """Return the usual authorities, and those that the system or SSL_CERT_FILE add."""
    context = httpcore.default_ssl_context()
    context.load_default_certs()
    return context


class _Backend(httpcore.NetworkBackend):
    """httpcore's own sockets, each wait of which is cut to what is left of the request's time."""

    def __init__(self, limits: _Limits) -> None:
        self._limits = limits

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ARG002 (httpcore's signature; the limits are the request's)
        *rest: Any,  # noqa: ANN401 (whatever httpcore passes)
        **more: Any,  # noqa: ANN401 (likewise)
    ) -> _Stream:
        least = min(_CONNECT_SECONDS, self._limits.left())
        return _Stream(httpcore.SyncBackend().connect_tcp(host, port, least, *rest, **more), self._limits)


class _Stream(httpcore.NetworkStream):
    def __init__(self, inner: httpcore.NetworkStream, limits: _Limits) -> None:
        self._inner, self._limits = inner, limits

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ARG002 (httpcore's signature)
        while True:
            try:
                return self._inner.read(max_bytes, min(_SLICE, self._limits.left()))
            except httpcore.ReadTimeout:
                continue

    def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ARG002 (httpcore's signature)
        for start in range(0, len(buffer), _CHUNK):
            self._inner.write(buffer[start : start + _CHUNK], self._limits.left())

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ARG002 (httpcore's signature)
    ) -> _Stream:
        return _Stream(self._inner.start_tls(ssl_context, server_hostname, self._limits.left()), self._limits)

    def get_extra_info(self, info: str) -> Any:  # noqa: ANN401 (httpcore's signature)
        return self._inner.get_extra_info(info)


def _short(error: BaseException) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
