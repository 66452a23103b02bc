"""JSON lines, read strictly and in bounded memory, written the same way every time.

A line is at most 1 MiB of UTF-8 and one object: no byte order mark, no repeated key, no NaN or infinity, no lone
surrogate, no number longer than 18 digits, nothing nested deeper than 16. What breaks a rule becomes a `Fault` with
its line; reading goes on.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from jessyfile.errors import DatasetError
from jessyfile.fsops import atomic_file, storage_error

MAX_LINE = 1 << 20
MAX_DEPTH = 16
MAX_DIGITS = 18
MAX_FAULTS = 100
_BOM = b"\xef\xbb\xbf"
_STRUCTURE = re.compile(rb'"(?:[^"\\]|\\.)*+"?|[\[{]|[\]}]')
_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with one line of one file; lines count from 1."""

    file: str
    line: int
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.message}"


@dataclass(frozen=True, slots=True)
class Line:
    """One object of a file of JSON lines."""

    number: int
    value: dict[str, Any]


class _RejectedError(ValueError):
    """A rule that JSON itself does not have was broken."""


def read_jsonl(path: Path, name: str | None = None) -> Iterator[Line | Fault]:
    """Yield every line of a file as an object or as a fault; blank lines are skipped.

    `name` stands for the file in faults. Stops after 100 faults. Raises StorageError when the file cannot be read.
    """
    shown = name or str(path)
    try:
        with open(path, "rb") as handle:
            yield from _lines(handle, shown)
    except OSError as error:
        raise storage_error(error, path, "read") from error


def _lines(handle: IO[bytes], name: str) -> Iterator[Line | Fault]:
    faults = 0
    for number, raw in enumerate(_bounded(handle), start=1):
        item = _one(raw, name, number)
        if item is not None:
            yield item
        faults += isinstance(item, Fault)
        if faults >= MAX_FAULTS:
            yield Fault(name, number, f"stopped reading after {MAX_FAULTS} faults")
            return


def _bounded(handle: IO[bytes]) -> Iterator[bytes]:
    """Yield lines of at most MAX_LINE + 1 bytes; the rest of a longer one is read past, never held."""
    while raw := handle.readline(MAX_LINE + 1):
        tail = raw
        while len(tail) > MAX_LINE and not tail.endswith(b"\n"):
            tail = handle.readline(MAX_LINE + 1)
        yield raw


def _one(raw: bytes, name: str, number: int) -> Line | Fault | None:
    if number == 1 and raw.startswith(_BOM):
        return Fault(name, number, "begins with a byte order mark; save the file as UTF-8 without one")
    if not raw.strip():
        return None
    try:
        return Line(number, parse_object(raw))
    except _RejectedError as error:
        return Fault(name, number, str(error))


def parse_object(raw: bytes) -> dict[str, Any]:
    """Parse one strict JSON object; raises ValueError with one sentence that says which rule is broken."""
    if len(raw) > MAX_LINE:
        raise _RejectedError(f"the line is longer than {MAX_LINE} bytes")
    _check_depth(raw)
    try:
        value = json.loads(
            raw.decode("utf-8"),
            object_pairs_hook=_object,
            parse_int=_integer,
            parse_float=_number,
            parse_constant=_constant,
        )
    except UnicodeDecodeError as error:
        raise _RejectedError(f"is not UTF-8 at byte {error.start + 1}") from error
    except json.JSONDecodeError as error:
        raise _RejectedError(f"is not JSON at column {error.colno}: {error.msg.lower()}") from error
    if not isinstance(value, dict):
        raise _RejectedError("is not a JSON object")
    if b"\\u" in raw:
        _check_surrogates(value)
    return value


def _check_depth(raw: bytes) -> None:
    if raw.count(b"[") + raw.count(b"{") <= MAX_DEPTH:
        return
    depth = 0
    for match in _STRUCTURE.finditer(raw):
        depth += {b"[": 1, b"{": 1, b"]": -1, b"}": -1}.get(match.group(), 0)
        if depth > MAX_DEPTH:
            raise _RejectedError(f"is nested deeper than {MAX_DEPTH} levels")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise _RejectedError(f"has the key `{twice[:40]}` twice")
    return found


def _integer(text: str) -> int:
    if len(text.lstrip("-")) > MAX_DIGITS:
        raise _RejectedError(f"holds a number of {len(text.lstrip('-'))} digits")
    return int(text)


def _number(text: str) -> float:
    value = float(text) if len(text) <= 2 * MAX_DIGITS else math.inf
    if not math.isfinite(value):
        raise _RejectedError("holds a number out of range")
    return value


def _constant(text: str) -> float:
    raise _RejectedError(f"holds {text}, which JSON does not have")


def _check_surrogates(value: object) -> None:
    if isinstance(value, str):
        if _SURROGATE.search(value):
            raise _RejectedError("holds half of a surrogate pair (\\ud800 to \\udfff), which is no character")
    elif isinstance(value, dict):
        for key, inner in value.items():
            _check_surrogates(key)
            _check_surrogates(inner)
    elif isinstance(value, list):
        for inner in value:
            _check_surrogates(inner)


def dump_line(value: object) -> str:
    """Return one JSON line without a newline: real letters, fixed separators, keys in the order given."""
    return json.dumps(value, ensure_ascii=False, separators=(", ", ": "), allow_nan=False)


def write_jsonl(path: Path, values: Iterable[object]) -> int:
    """Replace a file by JSON lines, in one step; return how many were written."""
    count = 0
    with atomic_file(path) as handle:
        for value in values:
            handle.write(dump_line(value).encode("utf-8") + b"\n")
            count += 1
    return count


def raise_faults(faults: list[Fault], what: str) -> None:
    """Raise one DatasetError that names the first faults, when there are any."""
    if not faults:
        return
    shown = "".join(f"\n  {fault}" for fault in faults[:10])
    more = f"\n  and {len(faults) - 10} more" if len(faults) > 10 else ""
    raise DatasetError(
        f"{what}: {len(faults)} fault{'s' if len(faults) > 1 else ''}{shown}{more}",
        hint="`jessy data lint PATH` lists all",
    )
