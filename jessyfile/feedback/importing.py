"""Signals from a file: another chat page's export, or what another project of jessy's printed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from jessyfile.errors import FeedbackError
from jessyfile.feedback.open_webui import GivenSignal, PassedOver, is_export, read_export
from jessyfile.feedback.signal import as_signal, require_sound
from jessyfile.feedback.store import new_id, now
from jessyfile.text.json_lines import Fault, Line, read_jsonl
from jessyfile.user_files import read_plain

if TYPE_CHECKING:
    from pathlib import Path

_MOST = 1 << 30  # bytes of an export, each rating of which holds a whole chat


@dataclass(frozen=True, slots=True)
class FileSignals:
    """A file's signals, and what in it is none, each a sentence with its place."""

    signals: tuple[GivenSignal, ...]
    passed_over: tuple[str, ...]


def read_file(path: Path) -> FileSignals:
    """Return the signals of a file. Raises FeedbackError for one that is no form of feedback, FileNotFoundError, StorageError."""
    try:
        data = read_plain(path, _MOST + 1)
    except FileNotFoundError:
        raise FeedbackError(f"`{path}` is not there") from None
    if len(data) > _MOST:
        raise FeedbackError(f"`{path}` is larger than {_MOST >> 20} MiB", hint="export fewer ratings at a time")
    text = data.decode("utf-8", "replace").removeprefix("\ufeff")
    if is_export(text):
        read = read_export(text, str(path))
        return FileSignals(
            tuple(one for one in read if isinstance(one, GivenSignal)),
            tuple(str(one) for one in read if isinstance(one, PassedOver)),
        )
    return _own(path)


def _own(path: Path) -> FileSignals:
    """Return what `jessy feedback list --json` printed: a signal a line, whose ids and times stay."""
    signals: list[GivenSignal] = []
    passed_over: list[str] = []
    for item in read_jsonl(path):
        if isinstance(item, Line):
            try:
                signals.append(_signal(item))
            except FeedbackError as error:
                passed_over.append(f"line {item.number}: {error.message}")
        else:
            passed_over.append(_said(item))
    return FileSignals(tuple(signals), tuple(passed_over))


def _signal(line: Line) -> GivenSignal:
    value = {name: part for name, part in line.value.items() if name != "status"}
    require_sound(value)
    return GivenSignal(value.get("id", new_id()), value.get("time", now()), as_signal(value, f"line {line.number}"))


def _said(fault: Fault) -> str:
    return f"line {fault.line} {fault.message}"
