"""Give a model to Ollama over HTTP: blobs, create, copy, delete, version.

Ollama reports errors of a create inside a 200 answer, line by line; one without a final `success` has failed. Whatever
goes wrong on the wire ends in `EngineError`. An answer is read without decompression and only up to a limit, redirects
are not followed, and proxies of the environment are ignored, for the address in the recipe is the one that is meant.

Not covered: a server that drips its response *headers* is stopped by the time limit of each read, not by the overall
one.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from jessyfile.errors import EngineError
from jessyfile.fsops import hash_file, storage_error

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType
    from typing import Self

    import httpx

PROBE_SECONDS = 0.3
_CALL_SECONDS = 30.0
_CREATE_SECONDS = 1800.0
_MAX_ANSWER = 1 << 20
_MAX_LINE = 1 << 16
_CHUNK = 1 << 20
_FIRST_SAFE = (0, 17, 1)
Report = Callable[[int, int, str], None]


class OllamaClient:
    """One Ollama server. Use it as a context manager; every method raises EngineError in one clear line."""

    def __init__(self, url: str) -> None:
        import httpx

        self.url = url.rstrip("/")
        limits = httpx.Timeout(_CALL_SECONDS, connect=5.0)
        headers = {"Accept-Encoding": "identity"}
        try:
            self._client = httpx.Client(base_url=self.url, timeout=limits, headers=headers, trust_env=False)
        except (httpx.InvalidURL, ValueError) as error:
            raise EngineError(
                f"`{url}` is no address of an Ollama server", hint="write it as http://127.0.0.1:11434"
            ) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    def version(self, timeout: float = _CALL_SECONDS) -> str:
        """Return the server's version."""
        found = self._json("GET", "/api/version", timeout=timeout).get("version")
        if not isinstance(found, str):
            raise EngineError(f"`{self.url}` answers, but not as Ollama does")
        return found

    def push_blob(self, path: Path, report: Report) -> str:
        """Bring a file to the server unless it is there; return its digest, `sha256:…`, computed from the bytes on
        disk.
        """
        digest = f"sha256:{hash_file(path)}"
        place = f"/api/blobs/{digest}"
        if self._status("HEAD", place) == 200:
            return digest
        size = path.stat().st_size
        timeout = max(_CREATE_SECONDS, size / (1 << 20))
        status = self._status(
            "POST", place, content=_chunks(path, size, report), headers={"Content-Length": str(size)}, timeout=timeout
        )
        if status not in (200, 201):
            raise EngineError(
                f"Ollama refused the model's file (HTTP {status})", hint="see Ollama's log; is its disk full?"
            )
        return digest

    def create(self, body: Mapping[str, Any], report: Report) -> None:
        """Create a model; return when Ollama has said `success`."""
        last = ""
        with self._exchange("POST", "/api/create", json=dict(body), timeout=_CREATE_SECONDS) as response:
            for line in _lines(response, self.url, time.monotonic() + _CREATE_SECONDS):
                last = self._event(line)
                report(0, 0, last)
        if last != "success":
            raise EngineError(
                f"Ollama stopped creating `{body.get('model')}` without saying success", hint="see Ollama's log"
            )

    def lines(self, path: str, body: Mapping[str, Any], seconds: float) -> Iterator[bytes]:
        """Yield the lines of a streamed answer to a POST; the whole may take `seconds`."""
        with self._exchange("POST", path, json=dict(body), timeout=seconds) as response:
            yield from _lines(response, self.url, time.monotonic() + seconds)

    def _event(self, line: bytes) -> str:
        try:
            event = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise EngineError(f"`{self.url}` answered with something that is not JSON") from error
        if not isinstance(event, dict) or event.get("error"):
            reason = event.get("error") if isinstance(event, dict) else event
            raise EngineError(f"Ollama could not create the model: {_short(reason)}")
        return str(event.get("status", ""))[:200]

    def copy(self, source: str, destination: str) -> None:
        """Give a model a second name; an older model of that name is replaced."""
        self._expect("POST", "/api/copy", {"source": source, "destination": destination}, f"copy `{source}`")

    def delete(self, name: str) -> None:
        """Remove a name; one that is not there is no error."""
        status = self._status("DELETE", "/api/delete", json={"model": name})
        if status not in (200, 404):
            raise EngineError(f"Ollama could not delete `{name}` (HTTP {status})")

    def has(self, name: str) -> bool:
        """Return whether a model of this name exists."""
        return self._status("POST", "/api/show", json={"model": name}) == 200

    def swap(self, first: str, second: str) -> None:
        """Exchange two names."""
        spare = f"{first.rpartition(':')[0]}:jessy-swap"
        self.copy(first, spare)
        self.copy(second, first)
        self.copy(spare, second)
        self.delete(spare)

    def _expect(self, method: str, path: str, body: Mapping[str, Any], doing: str) -> None:
        status = self._status(method, path, json=dict(body))
        if status == 404:
            raise EngineError(f"Ollama could not {doing}: it is not there", hint="run `jessy apply` again")
        if status != 200:
            raise EngineError(f"Ollama could not {doing} (HTTP {status})")

    def _status(self, method: str, path: str, **request: Any) -> int:  # noqa: ANN401 (httpx's own arguments)
        with self._exchange(method, path, checked=False, **request) as response:
            return int(response.status_code)

    def _json(self, method: str, path: str, **request: Any) -> dict[str, Any]:  # noqa: ANN401 (httpx's own arguments)
        with self._exchange(method, path, **request) as response:
            deadline = time.monotonic() + float(request.get("timeout", _CALL_SECONDS))
            data = _limited(response, self.url, deadline)
        try:
            found = json.loads(data)
        except (ValueError, RecursionError) as error:
            raise EngineError(f"`{self.url}` answered with something that is not JSON") from error
        return found if isinstance(found, dict) else {}

    @contextmanager
    def _exchange(self, method: str, path: str, *, checked: bool = True, **request: Any) -> Iterator[httpx.Response]:  # noqa: ANN401
        import httpx

        try:
            with self._client.stream(method, path, **request) as response:
                if checked and response.status_code != 200:
                    raise self._refused(response)
                yield response
        except httpx.ConnectError as error:
            raise unreachable(self.url) from error
        except httpx.TimeoutException as error:
            raise EngineError(
                f"Ollama at {self.url} took too long to answer", hint="is the server busy or stuck?"
            ) from error
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as error:
            raise EngineError(f"the connection to Ollama at {self.url} broke: {_short(error)}") from error

    def _refused(self, response: httpx.Response) -> EngineError:
        data = _limited(response, self.url, time.monotonic() + _CALL_SECONDS)
        try:
            reason = json.loads(data).get("error")
        except (ValueError, AttributeError, RecursionError):
            reason = None
        return EngineError(f"Ollama refused (HTTP {response.status_code}): {_short(reason or 'no reason given')}")


def unreachable(url: str) -> EngineError:
    """Return the one line for a server that does not answer."""
    hint = "start it with `ollama serve`, or write `engine embedded` in the DEPLOY block"
    return EngineError(f"Ollama does not answer at {url}", hint=hint)


def answers(url: str) -> str | None:
    """Return the version of the Ollama at `url`, None when nothing that speaks its language answers within a third of
    a second.
    """
    try:
        with OllamaClient(url) as client:
            return client.version(PROBE_SECONDS)
    except EngineError:
        return None


def is_vulnerable(version: str) -> bool:
    """Return whether a version is below 0.17.1, which has CVE-2026-7482."""
    parts = version.split("-")[0].split(".")
    numbers = tuple(int(part) for part in parts if part.isascii() and part.isdigit())
    return len(numbers) == 3 and numbers < _FIRST_SAFE


def _chunks(path: Path, size: int, report: Report) -> Iterator[bytes]:
    done = 0
    try:
        with open(path, "rb") as handle:
            while data := handle.read(_CHUNK):
                yield data
                done += len(data)
                report(done, size, "upload")
    except OSError as error:
        raise storage_error(error, path, "read") from error


def _raw(response: httpx.Response, url: str, deadline: float) -> Iterator[bytes]:
    if response.headers.get("content-encoding", "identity") != "identity":
        raise EngineError(f"`{url}` compresses its answer although it was asked not to")
    for data in response.iter_raw():
        if time.monotonic() > deadline:
            raise EngineError(f"Ollama at {url} took too long to answer")
        yield data


def _limited(response: httpx.Response, url: str, deadline: float) -> bytes:
    found = bytearray()
    for data in _raw(response, url, deadline):
        found += data
        if len(found) > _MAX_ANSWER:
            raise EngineError(f"`{url}` answers with more than {_MAX_ANSWER} bytes")
    return bytes(found)


def _lines(response: httpx.Response, url: str, deadline: float) -> Iterator[bytes]:
    rest = b""
    for data in _raw(response, url, deadline):
        *lines, rest = (rest + data).split(b"\n")
        yield from (line for line in lines if line.strip())
        if len(rest) > _MAX_LINE:
            raise EngineError(f"`{url}` sends a line of more than {_MAX_LINE} bytes")
    if rest.strip():
        yield rest


def _short(reason: object) -> str:
    return " ".join(str(reason).split())[:300]
