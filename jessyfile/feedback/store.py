"""Where signals lie: `.jessy/feedback/signals.jsonl`, one JSON object a line, readable by its owner alone.

A line is either a signal or what became of one (`{"id": ..., "status": "accepted"}`); the last word counts, and lines are only ever
added. Every writer holds a lock, and a line is on the disk before its id is returned. A line that a crash has torn, or that a newer
jessy wrote, is passed over, named, and kept. One thing rewrites the file: forgetting, after which the words are in it no more.

Retention: a signal stays until somebody forgets it. Nothing here opens a connection.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from jessyfile import fsops
from jessyfile.errors import FeedbackError, LockedError, StateError
from jessyfile.feedback.signal import Signal, as_signal
from jessyfile.project import jessy_folder, refuse_links
from jessyfile.text.printable import json_text

Status = Literal["open", "accepted", "rejected", "forgotten"]
VERSION = 1
_PATIENCE = 20.0  # seconds to wait for another writer, each of which takes milliseconds
_PAUSE = 0.005


@dataclass(frozen=True, slots=True)
class StoredSignal:
    """A signal as it was recorded, and what became of it: `changed` is when, empty for an open one."""

    id: str
    time: str
    signal: Signal
    status: Status = "open"
    changed: str = ""


@dataclass(frozen=True, slots=True)
class DamagedLine:
    """A line that is no signal of this version: its number, counted from 1, and what is wrong."""

    line: int
    message: str

    def __str__(self) -> str:
        return f"line {self.line} {self.message}"


@dataclass(frozen=True, slots=True)
class SignalContents:
    """What the file holds: the signals that nobody forgot, in the order of their recording, the lines that could not be read, and the
    ids of what was forgotten."""

    signals: tuple[StoredSignal, ...] = ()
    damaged: tuple[DamagedLine, ...] = ()
    forgotten: frozenset[str] = frozenset()

    def find(self, beginning: str) -> StoredSignal:
        """Return the signal whose id begins so. Raises FeedbackError for none, or several."""
        found = [one for one in self.signals if one.id.startswith(beginning)] if beginning else []
        if len(found) == 1:
            return found[0]
        if not found and any(one.startswith(beginning) for one in self.forgotten if beginning):
            raise FeedbackError(f"`{beginning}` was forgotten")
        many = f"{len(found)} signals begin with `{beginning}`" if found else f"there is no signal `{beginning}`"
        raise FeedbackError(many, hint="`jessy feedback list` names them")


def record(project: Path, signal: Signal) -> str:
    """Keep a signal under a project's root, on the disk before this returns its id.

    Raises FeedbackError for one that cannot be kept, LockedError, StorageError, ProjectError for a link in the store's place.
    """
    return SignalStore(project).add([signal])[0]


class SignalStore:
    """The signals of the project under `root`."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @property
    def file(self) -> Path:
        """The file of signals."""
        return jessy_folder(self.root) / "feedback" / "signals.jsonl"

    def add(self, signals: Sequence[Signal], ids: Sequence[str] | None = None, times: Sequence[str] = ()) -> list[str]:
        """Keep signals, all or none, and return their ids.

        Args:
            signals: what was said.
            ids: their ids, where something else than chance gives them.
            times: when each was said, ISO 8601; now, when left out.

        Raises:
            FeedbackError: one of them cannot be kept; none is.
        """
        for one in signals:
            one.require_sound()
        given = list(ids) if ids is not None else [new_id() for _ in signals]
        said = list(times) or [now()] * len(signals)
        lines = (
            {"version": VERSION, "id": id_, "time": when, **one.to_json()}
            for id_, when, one in zip(given, said, signals, strict=True)
        )
        self._append(lines)
        return given

    def mark(self, ids: Iterable[str], status: Literal["open", "accepted", "rejected"]) -> None:
        """Write down what became of signals."""
        self._append({"version": VERSION, "id": id_, "time": now(), "status": status} for id_ in ids)

    def forget(self, ids: Iterable[str]) -> None:
        """Remove signals with every word of theirs; that they were forgotten stays known by their ids, so that no import brings them back.

        Lines that cannot be read stay as they are, but for those that hold a forgotten id. Raises LockedError, StorageError.
        """
        gone = set(ids)
        if not gone:
            return
        with self._locked():
            kept = [raw for raw in self._raw() if not _speaks_of(raw, gone)]
            ends = [
                json_text({"version": VERSION, "id": id_, "time": now(), "status": "forgotten"}).encode("utf-8")
                for id_ in sorted(gone)
            ]
            self._replace([*kept, *ends])

    def forget_damaged(self) -> int:
        """Remove the lines that are torn, not those of a newer jessy; return how many there were."""
        with self._locked():
            lines = self._raw()
            torn = [raw for raw in lines if _object(raw) is None]
            if torn:
                self._replace([raw for raw in lines if _object(raw) is not None])
            return len(torn)

    def read(self) -> SignalContents:
        """Return what is there; nothing where nothing was ever said. Raises LockedError, StorageError."""
        if not self.file.is_file():
            return SignalContents()
        with self._locked():
            lines = self._raw()
        return _contents(lines)

    def _raw(self) -> list[bytes]:
        try:
            data = fsops.read_bytes(self.file)
        except FileNotFoundError:
            return []
        return [raw for raw in data.split(b"\n") if raw.strip()]

    def _append(self, lines: Iterable[dict[str, Any]]) -> None:
        data = b"".join(json_text(line).encode("utf-8") + b"\n" for line in lines)
        if data:
            with self._locked():
                fsops.append_durably(self.file, data)

    def _replace(self, lines: Iterable[bytes]) -> None:
        with fsops.atomic_file(self.file, like=self.file.stat() if self.file.exists() else None) as handle:
            handle.write(b"".join(raw + b"\n" for raw in lines))
        fsops.sweep_temporaries(self.file.parent, ".*.tmp")  # a killed rewrite holds the same words

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        with lock_of(self.root, "lock"):
            yield


@contextlib.contextmanager
def lock_of(root: Path, name: str) -> Iterator[None]:
    """Hold one of feedback's own locks: an apply holds the project's for minutes, and people go on talking. Raises LockedError."""
    refuse_links(root)
    file = jessy_folder(root) / "feedback" / name
    until = time.monotonic() + _PATIENCE
    while (descriptor := fsops.lock_file(file)) is None:
        if time.monotonic() > until:
            raise LockedError(
                f"another process has held `{file}` for {_PATIENCE:g} seconds", hint="end it, and try again"
            )
        time.sleep(_PAUSE)
    try:
        yield
    finally:
        os.close(descriptor)


def new_id() -> str:
    """Return an id that no other signal has."""
    return "f" + secrets.token_hex(8)


def now() -> str:
    """Return the time as signals say it."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _object(raw: bytes) -> dict[str, Any] | None:
    import msgspec

    try:
        value = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _speaks_of(raw: bytes, ids: set[str]) -> bool:
    value = _object(raw)
    if value is None:
        return any(id_.encode("ascii") in raw for id_ in ids)
    return value.get("id") in ids


def _contents(lines: Sequence[bytes]) -> SignalContents:
    signals: dict[str, tuple[str, Signal]] = {}
    states: dict[str, tuple[Status, str]] = {}
    damaged: list[DamagedLine] = []
    for number, raw in enumerate(lines, start=1):
        value = _object(raw)
        wrong = _refusal(value)
        if value is None or wrong:
            damaged.append(DamagedLine(number, wrong))
        elif "status" in value:
            states[value["id"]] = value["status"], str(value.get("time", ""))
        else:
            try:
                signals[value["id"]] = str(value.get("time", "")), as_signal(value, f"line {number}")
            except StateError as error:
                damaged.append(DamagedLine(number, f"is no signal: {error.message}"))
    gone = frozenset(id_ for id_, (status, _) in states.items() if status == "forgotten")
    found = (StoredSignal(id_, when, one, *states.get(id_, ("open", ""))) for id_, (when, one) in signals.items())
    return SignalContents(tuple(one for one in found if one.id not in gone), tuple(damaged), gone)


def _refusal(value: dict[str, Any] | None) -> str:
    """Return why a line is passed over, empty where it is not."""
    if value is None:
        return "is torn or damaged: it holds no JSON object"
    version = value.get("version")
    if not isinstance(version, int) or isinstance(version, bool):
        return "names no version"
    if version != VERSION:
        return f"is of version {version}, and this jessy reads {VERSION}"
    known = ("open", "accepted", "rejected", "forgotten")
    if not isinstance(value.get("id"), str) or ("status" in value and value["status"] not in known):
        return "names no id, or a status that this jessy does not know"
    return ""
