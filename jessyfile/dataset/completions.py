"""Chat completions from an OpenAI-compatible address, with retries and a cache.

A busy server, an unreadable answer or no answer becomes a `Failure` with its reason. Every answer is cached under the
hash of its request, so a rerun replays it even when the server is gone.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jessyfile.errors import Interrupted, JessyError
from jessyfile.fsops import write_bytes
from jessyfile.text.json_lines import parse_object, read_log
from jessyfile.text.printable import json_text

if TYPE_CHECKING:
    from jessyfile.http import HttpError, Response
    from jessyfile.planning.steps import Stop

MAX_WAIT = 30.0
TRIES = 4
_SLICE = 0.2
_THOUGHTS = re.compile(r"\A\s*<(think|thinking|thought|reasoning)>.*?</\1>", re.DOTALL | re.IGNORECASE)
_THOUGHTS_END = re.compile(
    r"\A[^{[`].*?</think(?:ing)?>", re.DOTALL | re.IGNORECASE
)  # the opening tag is often the prompt's


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a request brought no answer; `fatal` when asking again or asking something else cannot help, `status` when the
    server gave one."""

    reason: str
    fatal: bool = False
    status: int | None = None


@dataclass(slots=True)
class Address:
    """An OpenAI-compatible address. A call raises Interrupted when `stop` is requested; `sleep` is there for tests."""

    url: str
    key: str | None
    timeout: float
    stop: Stop | None = None
    sleep: Callable[[float], None] = time.sleep

    def complete(self, body: Mapping[str, Any]) -> str | Failure:
        """Ask for one chat completion, up to four times; return the assistant's text."""
        failure = Failure("no answer")
        for attempt in range(TRIES):
            answer, wait = self._once(body)
            if isinstance(answer, str) or answer.fatal:
                return answer
            failure = answer
            if attempt + 1 < TRIES:
                self._pause(min(wait if wait is not None else 2.0**attempt, MAX_WAIT))
        return failure

    def _pause(self, seconds: float) -> None:
        if self.stop is None:
            self.sleep(seconds)
            return
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            if self.stop.requested():
                raise Interrupted(f"stopped while waiting for {self.url}")
            self.sleep(min(left, _SLICE))

    def _once(self, body: Mapping[str, Any]) -> tuple[str | Failure, float | None]:
        from jessyfile.http import HttpError, posted

        headers = {"Authorization": f"Bearer {self.key}"} if self.key else {}
        path = self.url.rstrip("/") + "/chat/completions"
        try:
            with posted(path, dict(body), seconds=self.timeout, headers=headers, stop=self.stop) as response:
                return _answer(response)
        except HttpError as error:
            return self._failure(error), None

    def _failure(self, error: HttpError) -> Failure:
        if error.kind == "stopped":
            raise Interrupted(f"stopped while waiting for {self.url}") from error
        if error.kind == "timeout":
            return Failure(f"no whole answer within {self.timeout:g} s")
        return Failure(error.message, fatal=error.kind in ("address", "encoded"))


@dataclass(frozen=True, slots=True)
class KeptAnswers:
    """Answers kept in a folder, each under the hash of its request."""

    folder: Path

    def get(self, body: Mapping[str, Any]) -> str | None:
        """Return the kept answer of a request; None when there is none or it is damaged."""
        text = next(read_log(self._place(body)), {}).get("content")
        return text if isinstance(text, str) else None

    def keep(self, body: Mapping[str, Any], text: str) -> None:
        """Keep a request's answer."""
        write_bytes(self._place(body), json_text({"content": text}).encode("utf-8") + b"\n")

    def _place(self, body: Mapping[str, Any]) -> Path:
        return self.folder / f"{hashlib.sha256(canonical(body)).hexdigest()}.json"


def without_thoughts(answer: str) -> str:
    """Return an answer without what a reasoning model thought before it, between tags or up to the closing one."""
    return _THOUGHTS_END.sub("", _THOUGHTS.sub("", answer, count=1).strip(), count=1).strip()


def read_key(variable: str | None, error: type[JessyError]) -> str | None:
    """Return the key in an environment variable. Raises `error` when it is not set or is nothing that a header can carry."""
    if variable is None:
        return None
    key = os.environ.get(variable, "").strip()
    if not key:
        raise error(f"the environment variable {variable} is not set", hint="the recipe's key_env names it")
    if not key.isascii() or not key.isprintable():
        raise error(f"the environment variable {variable} holds characters that no key has", hint="set it again")
    return key


def _answer(response: Response) -> tuple[str | Failure, float | None]:
    status = response.status
    if status == 429 or status >= 500:
        return Failure(f"the server answered {status}", status=status), _retry_after(response)
    if status != 200:
        where = ": it redirects elsewhere; name the address that answers" if 300 <= status < 400 else ""
        return Failure(f"the server answered {status}{where}", fatal=True, status=status), None
    return _content(response.read()), None


def _retry_after(response: Response) -> float | None:
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
