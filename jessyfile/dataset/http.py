"""One bounded request to an OpenAI-compatible address: the only place of the data steps that opens a connection.

Whatever the server does, a call ends within its time and its bytes: it may hang, drip, answer 429 for ever, send a
stream without an end, compress a bomb, redirect elsewhere. Each becomes a `Failure` with a reason, worth another try
or not.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jessyfile.text.json_lines import parse_object

if TYPE_CHECKING:
    import httpx

MAX_ANSWER = 1 << 20
MAX_WAIT = 30.0
TRIES = 4


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a request brought no answer; `fatal` when asking again or asking something else cannot help."""

    reason: str
    fatal: bool = False


@dataclass(slots=True)
class Address:
    """An OpenAI-compatible address. `transport`, `sleep` and `clock` are there for tests."""

    url: str
    key: str | None
    timeout: float
    transport: httpx.BaseTransport | None = None
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic

    def complete(self, body: Mapping[str, Any]) -> str | Failure:
        """Ask for one chat completion, up to four times; return the assistant's text."""
        failure = Failure("no answer")
        for attempt in range(TRIES):
            answer, wait = self._once(body)
            if isinstance(answer, str) or answer.fatal:
                return answer
            failure = answer
            if attempt + 1 < TRIES:
                self.sleep(min(wait if wait is not None else 2.0**attempt, MAX_WAIT))
        return failure

    def _once(self, body: Mapping[str, Any]) -> tuple[str | Failure, float | None]:
        import httpx

        deadline = self.clock() + self.timeout
        try:
            with (
                httpx.Client(
                    transport=self.transport, timeout=self.timeout, follow_redirects=False, trust_env=False
                ) as client,
                client.stream("POST", self._path(), json=dict(body), headers=self._headers()) as response,
            ):
                return self._read(response, deadline)
        except httpx.TimeoutException:
            return Failure(f"no answer within {self.timeout:g} s"), None
        except httpx.InvalidURL:
            return Failure("the address is no URL", fatal=True), None
        except httpx.HTTPError as error:
            return Failure(f"the connection failed ({type(error).__name__})"), None

    def _path(self) -> str:
        return self.url.rstrip("/") + "/chat/completions"

    def _headers(self) -> dict[str, str]:
        headers = {"Accept-Encoding": "identity"}
        return headers | ({"Authorization": f"Bearer {self.key}"} if self.key else {})

    def _read(self, response: httpx.Response, deadline: float) -> tuple[str | Failure, float | None]:
        if response.status_code == 429 or response.status_code >= 500:
            return Failure(f"the server answered {response.status_code}"), _retry_after(response)
        if response.status_code != 200:
            return Failure(f"the server answered {response.status_code}", fatal=True), None
        if response.headers.get("content-encoding", "identity") != "identity":
            return Failure("the server compressed its answer unasked", fatal=True), None
        data = bytearray()
        for chunk in response.iter_raw():
            data += chunk
            if len(data) > MAX_ANSWER:
                return Failure("the answer is longer than 1 MiB"), None
            if self.clock() > deadline:
                return Failure(f"the answer was not complete within {self.timeout:g} s"), None
        return _content(bytes(data)), None


def _retry_after(response: httpx.Response) -> float | None:
    with contextlib.suppress(ValueError):
        seconds = float(response.headers.get("retry-after", ""))
        return seconds if 0 <= seconds < 1e6 else MAX_WAIT
    return None


def _content(data: bytes) -> str | Failure:
    try:
        answer = parse_object(data)
    except ValueError as error:
        return Failure(f"the answer {error}")
    try:
        message = answer["choices"][0]["message"]
        text = message["content"]
    except (KeyError, IndexError, TypeError):
        return Failure("the answer has no choices[0].message.content")
    if not isinstance(text, str):
        return Failure("the model refused" if message.get("refusal") else "the answer's content is no text")
    return text


def canonical(value: object) -> bytes:
    """Return JSON bytes that are the same for the same value, to hash a request by."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode("utf-8")
