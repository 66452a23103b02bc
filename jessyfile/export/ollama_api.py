"""Give a model to Ollama over HTTP: blobs, create, copy, delete, version.

Ollama reports errors of a create inside a 200 answer, line by line; one without a final `success` has failed. Whatever
goes wrong on the wire ends in `EngineError`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from jessyfile.addresses import host_of, is_loopback
from jessyfile.errors import EngineError, Interrupted, JessyError
from jessyfile.fsops import hash_file, storage_error

if TYPE_CHECKING:
    from pathlib import Path

    from jessyfile.http import HttpError, Response, Stop

_LOOPBACK_SECONDS = 0.3  # whether a server runs here is known at once
PATIENT_SECONDS = 5.0
_CALL_SECONDS = 30.0
_CREATE_SECONDS = 1800.0
_CHUNK = 1 << 20
_MOST_NAMES = 16 << 20
_BLOB = re.compile(r"^FROM .*sha256[-:]([0-9a-f]{64})\s*$", re.MULTILINE)
_FIRST_SAFE = (0, 17, 1)
Report = Callable[[int, int, str], None]


@dataclass(frozen=True, slots=True)
class OllamaClient:
    """One Ollama server; every method raises EngineError in one clear line, and Interrupted when `stop` is requested."""

    url: str
    stop: Stop | None = None

    def version(self, timeout: float = _CALL_SECONDS) -> str:
        """Return the server's version."""
        with self._exchange("GET", "/api/version", seconds=timeout) as response:
            if response.status != 200:
                raise self._refused(response)
            found = self._parsed(response.read())
        found = found.get("version") if isinstance(found, dict) else None
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
        seconds = max(_CREATE_SECONDS, size / (1 << 20))
        sent = [0]

        def noting(done: int, whole: int, text: str) -> None:
            sent[0] = done
            report(done, whole, text)

        try:
            with self._exchange("POST", place, _chunks(path, size, noting), seconds, size) as response:
                status = response.status
        except EngineError as error:
            if not 0 < sent[0] < size:
                raise
            raise EngineError(
                f"{error.message}, after {sent[0] >> 20} of {size >> 20} MiB of the model's file",
                hint="`jessy apply` again sends it again, from its beginning: Ollama keeps no part of a file",
            ) from error
        if status not in (200, 201):
            raise EngineError(
                f"Ollama refused the model's file (HTTP {status})", hint="see Ollama's log; is its disk full?"
            )
        return digest

    def create(self, body: Mapping[str, Any], report: Report) -> None:
        """Create a model; return when Ollama has said `success`."""
        last = ""
        for line in self.lines("/api/create", body, _CREATE_SECONDS):
            last = self._event(line)
            report(0, 0, last)
        if last != "success":
            raise EngineError(
                f"Ollama stopped creating `{body.get('model')}` without saying success", hint="see Ollama's log"
            )

    def lines(self, path: str, body: Mapping[str, Any], seconds: float) -> Iterator[bytes]:
        """Yield the lines of a streamed answer to a POST; the whole may take `seconds`."""
        with self._exchange("POST", path, body, seconds) as response:
            if response.status != 200:
                raise self._refused(response)
            yield from response.lines()

    def _event(self, line: bytes) -> str:
        event = self._parsed(line)
        if not isinstance(event, dict) or event.get("error"):
            reason = event.get("error") if isinstance(event, dict) else event
            raise EngineError(f"Ollama could not create the model: {_brief(reason)}")
        return str(event.get("status", ""))[:200]

    def ask(self, path: str, body: Mapping[str, Any]) -> Mapping[str, object]:
        """Return the object that answers a POST."""
        with self._exchange("POST", path, body, _CREATE_SECONDS) as response:
            if response.status != 200:
                raise self._refused(response)
            found = self._parsed(response.read())
        if not isinstance(found, dict):
            raise EngineError(f"`{self.url}` answered with something that is not an object")
        return found

    def copy(self, source: str, destination: str) -> None:
        """Give a model a second name; an older model of that name is replaced. That it was done is looked at: what stands between may
        answer with 200 for everything.
        """
        self._expect("POST", "/api/copy", {"source": source, "destination": destination}, f"copy `{source}`")
        if (made := self.manifest(destination)) is None or made != self.manifest(source):
            raise EngineError(
                f"Ollama said that it copied `{source}` to `{destination}`, and did not",
                hint="see Ollama's log, and what stands between",
            )

    def delete(self, name: str) -> None:
        """Remove a name; one that is not there is no error."""
        status = self._status("DELETE", "/api/delete", {"model": name})
        if status not in (200, 404):
            raise EngineError(f"Ollama could not delete `{name}` (HTTP {status})")

    def has(self, name: str) -> bool:
        """Return whether a model of this name exists."""
        status = self._status("POST", "/api/show", {"model": name})
        if status not in (200, 400, 404):  # a server in trouble is not one without the model
            raise EngineError(f"Ollama at {self.url} does not say whether it has `{name}` (HTTP {status})")
        return status == 200

    def file_digest(self, name: str) -> str | None:
        """Return the SHA-256 of the file that a name is served from; None when the server does not say."""
        return file_in(self.ask("/api/show", {"model": name}).get("modelfile"))

    def models(self) -> list[str]:
        """Return the names of the models that the server has, the newest first."""
        return [name for name, _ in self._listed()]

    def manifest(self, name: str) -> str | None:
        """Return the SHA-256 of a model's manifest, empty where the server does not say it; None when it has no such model. It stands for
        the whole model, with prompt and parameters, and a copy has the same.
        """
        return next((digest for one, digest in self._listed() if _short(one) == _short(name)), None)

    def _listed(self) -> list[tuple[str, str]]:
        with self._exchange("GET", "/api/tags") as response:
            if response.status != 200:
                raise self._refused(response)
            found = self._parsed(response.read(_MOST_NAMES))
        listed = found.get("models") if isinstance(found, dict) else None
        if not isinstance(listed, list):
            raise EngineError(f"`{self.url}` does not list its models as Ollama does")
        named = (one for one in listed if isinstance(one, dict) and isinstance(one.get("name"), str))
        return [(one["name"], str(one.get("digest") or "").removeprefix("sha256:")) for one in named]

    def swap(self, first: str, second: str, done: int = 0, moved: Callable[[int], object] = lambda _: None) -> None:
        """Exchange two names in three moves, each of which may be made twice.

        Args:
            first: one name.
            second: the other name.
            done: how many moves an earlier call made before it was killed.
            moved: called after each move with how many are made.
        """
        spare = f"{first.rpartition(':')[0]}:jessy-swap"
        moves = ((first, spare), (second, first), (spare, second))
        for number, (source, target) in enumerate(moves[done:], done + 1):
            self.copy(source, target)
            moved(number)
        self.delete(spare)

    def _expect(self, method: str, path: str, body: Mapping[str, Any], doing: str) -> None:
        status = self._status(method, path, body)
        if status == 404:
            raise EngineError(f"Ollama could not {doing}: it is not there", hint="run `jessy apply` again")
        if status != 200:
            raise EngineError(f"Ollama could not {doing} (HTTP {status})")

    def _status(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> int:
        with self._exchange(method, path, body) as response:
            return response.status

    @contextmanager
    def _exchange(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | Iterator[bytes] | None = None,
        seconds: float = _CALL_SECONDS,
        size: int | None = None,
    ) -> Iterator[Response]:
        from jessyfile.http import HttpError, exchange
        from jessyfile.planning.consent import key_for

        sent = json.dumps(body).encode("ascii") if isinstance(body, Mapping) else body
        key = key_for(self.url)
        headers = {
            **({} if size is None else {"Content-Length": str(size)}),
            **({"Authorization": f"Bearer {key}"} if key else {}),
        }
        address = self.url.rstrip("/") + path
        try:
            with exchange(method, address, seconds=seconds, body=sent, headers=headers, stop=self.stop) as response:
                if response.status in (401, 403):
                    raise self._locked(response.status, with_key=key is not None)
                yield response
        except HttpError as error:
            raise self._broken(error) from error

    def _broken(self, error: HttpError) -> JessyError:
        if error.kind == "stopped":
            return Interrupted(f"stopped while waiting for Ollama at {self.url}")
        if error.kind == "address":
            hint = "write it as http://127.0.0.1:11434"
            return EngineError(f"`{self.url}` is no address of an Ollama server", hint=hint)
        if error.kind == "unreachable":
            return unreachable(self.url)
        if error.kind == "timeout":
            return EngineError(f"Ollama at {self.url} took too long to answer", hint="is the server busy or stuck?")
        return EngineError(f"what Ollama at {self.url} answers cannot be used: {error.message}")

    def _locked(self, status: int, *, with_key: bool) -> EngineError:
        """Return why nobody is let in: the key is missing or wrong, or the server answers to no such name."""
        host = host_of(self.url)
        if with_key:
            return EngineError(
                f"Ollama at {self.url} refuses the key (HTTP {status})", hint=f"see which key {host} takes"
            )
        entry = f"{host}=VARIABLE"
        hint = f"name the variable that holds the key: `--allow-host {entry}`, or JESSY_ALLOW_HOSTS={entry}"
        if status == 403:
            hint += "; an Ollama without one refuses host names that it does not know (OLLAMA_ORIGINS)"
        return EngineError(f"Ollama at {self.url} lets nobody in without a key (HTTP {status})", hint=hint)

    def _parsed(self, data: bytes) -> object:
        try:
            return cast("object", json.loads(data))
        except (ValueError, RecursionError) as error:
            raise EngineError(f"`{self.url}` answered with something that is not JSON") from error

    def _refused(self, response: Response) -> EngineError:
        try:
            reason = json.loads(response.read()).get("error")
        except (ValueError, AttributeError, RecursionError):
            reason = None
        return EngineError(f"Ollama refused (HTTP {response.status}): {_brief(reason or 'no reason given')}")


def _short(name: str) -> str:
    """Return a model's name as a list of models has it: without Ollama's own registry; its case does not count."""
    return name.lower().removeprefix("registry.ollama.ai/").removeprefix("library/")


def file_in(modelfile: object) -> str | None:
    """Return the SHA-256 of the file that the Modelfile of `/api/show` names; None when it names none."""
    found = _BLOB.search(modelfile) if isinstance(modelfile, str) else None
    return found[1] if found is not None else None


def unreachable(url: str) -> EngineError:
    """Return the one line for a server that does not answer."""
    hint = "start it with `ollama serve`, or write `engine embedded` in the DEPLOY block"
    return EngineError(f"Ollama does not answer at {url}", hint=hint)


def answers(url: str) -> str | None:
    """Return the version of the Ollama at `url`, None when nothing that speaks its language answers: within a third of a second on
    this machine, within five elsewhere.
    """
    try:
        return probed(url)
    except EngineError:
        return None


def probed(url: str) -> str:
    """Return the version of the Ollama at `url`. Raises EngineError that says why there is none, after as long as `answers` waits."""
    try:
        seconds = _LOOPBACK_SECONDS if is_loopback(url) else PATIENT_SECONDS
    except ValueError:
        seconds = _LOOPBACK_SECONDS
    return OllamaClient(url).version(seconds)


def is_vulnerable(version: str) -> bool:
    """Return whether a version is below 0.17.1, which has CVE-2026-7482."""
    parts = version.split("-")[0].split(".")
    numbers = tuple(int(part) for part in parts if part.isascii() and part.isdigit() and len(part) < 9)
    return len(numbers) == 3 and (0, 0, 0) < numbers < _FIRST_SAFE  # what was built from the source says 0.0.0


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


def _brief(reason: object) -> str:
    return " ".join(str(reason).split())[:300]
