"""JSON lines. A line ends at LF alone: U+2028, U+2029 and U+0085, at which `str.splitlines` breaks, are part of a text.

`read_jsonl` reads what people write, strictly and in bounded memory. A line is at most 1 MiB of UTF-8 and one object:
no byte order mark, no repeated key, no NaN or infinity, no lone surrogate, no U+0000, no number longer than 18 digits,
nothing nested deeper than 16. What breaks a rule becomes a `Fault` with its line; reading goes on.

`read_result` and `read_log` read what jessy itself wrote: no rule but JSON's own holds, so that whatever was written is
read again. A result must be whole; a log may end in a line that a crash has torn.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from io import BufferedReader, FileIO
from pathlib import Path
from typing import IO, Any

from jessyfile.errors import DatasetError, StorageError
from jessyfile.fsops import atomic_file, open_finite, opened, storage_error
from jessyfile.text.printable import json_text
from jessyfile.text.row_forms import RowForm, form_of
from jessyfile.text.strict_json import RejectedError, finite, no_constant, unique

MAX_LINE = 1 << 20
MAX_DEPTH = 16
MAX_DIGITS = 18
MAX_FAULTS = 100
_BOM = b"\xef\xbb\xbf"
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
_BINARY = {b"\x1f\x8b": "compressed with gzip", b"PK\x03\x04": "a ZIP archive", b"PAR1": "a Parquet file"}
_STRUCTURE = re.compile(rb'"(?:[^"\\]|\\.)*+"?|[\[{]|[\]}]')
_NO_TEXT = re.compile("[\x00\ud800-\udfff]")
_HEAD = 1 << 16


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


def read_jsonl(path: Path, name: str | None = None) -> Iterator[Line | Fault]:
    """Yield every line of a file as an object or as a fault; blank lines are skipped.

    `name` stands for the file in faults. Stops after 100 faults. Raises StorageError when the file cannot be read.
    """
    shown = name or str(path)
    try:
        with BufferedReader(FileIO(path, opener=open_finite), _HEAD) as handle:
            yield from _lines(handle, shown)
    except OSError as error:
        raise storage_error(error, path, "read") from error


def _lines(handle: BufferedReader[FileIO], name: str) -> Iterator[Line | Fault]:
    other = _other_document(handle.peek(_HEAD))
    if other is not None:
        yield Fault(name, 1, other)
        return
    number = faults = 0
    while raw := handle.readline(MAX_LINE + 1):
        _pass_over_rest(handle, raw)
        number += 1
        item = _one(raw, name, number)
        if item is not None:
            yield item
        faults += isinstance(item, Fault)
        if faults >= MAX_FAULTS:
            yield Fault(name, number, f"stopped reading after {MAX_FAULTS} faults")
            return


def _other_document(head: bytes) -> str | None:
    """Return what a file is that begins as one JSON document, or in another encoding; None for lines."""
    if head.startswith(_UTF16):
        return "is UTF-16; save the file as UTF-8"
    if kind := next((kind for sign, kind in _BINARY.items() if head.startswith(sign)), None):
        return f"is {kind}; jessy takes one JSON object a line"
    text = head.decode("utf-8", "replace").lstrip()
    first, _, rest = text.partition("\n")
    if text.startswith("["):
        form = _first_form(text[1:].lstrip())
        return (
            f"is one JSON array{f' of rows in the {form.name} form' if form else ''}; jessy takes one object a line, "
            "as `jq -c '.[]' FILE` writes it"
        )
    if first.strip() == "{" and rest.strip():
        return "is one JSON object over several lines; jessy takes one object a line, as `jq -c . FILE` writes it"
    return None


def _first_form(text: str) -> RowForm | None:
    try:
        first, _ = json.JSONDecoder().raw_decode(text)
    except (ValueError, RecursionError):
        return None
    return form_of(first) if isinstance(first, dict) else None


def _pass_over_rest(handle: IO[bytes], tail: bytes) -> None:
    """Read past what follows the first MAX_LINE + 1 bytes of a longer line, without holding it."""
    while len(tail) > MAX_LINE and not tail.endswith(b"\n"):
        tail = handle.readline(MAX_LINE + 1)


def _one(raw: bytes, name: str, number: int) -> Line | Fault | None:
    if number == 1 and raw.startswith(_BOM):
        return Fault(name, number, "begins with a byte order mark; save the file as UTF-8 without one")
    if not raw.strip():
        return None
    try:
        return Line(number, parse_object(raw))
    except RejectedError as error:
        return Fault(name, number, str(error))


def parse_object(raw: bytes) -> dict[str, Any]:
    """Parse one strict JSON object; raises ValueError with one sentence that says which rule is broken."""
    if len(raw) > MAX_LINE:
        raise RejectedError(f"the line is longer than {MAX_LINE} bytes")
    _check_depth(raw)
    try:
        value = json.loads(
            raw.decode("utf-8"),
            object_pairs_hook=unique,
            parse_int=_integer,
            parse_float=_number,
            parse_constant=no_constant,
        )
    except UnicodeDecodeError as error:
        raise RejectedError(f"is not UTF-8 at byte {error.start + 1}") from error
    except json.JSONDecodeError as error:
        if b"\r" in raw.strip():
            raise RejectedError("holds a carriage return: save the file with LF or CRLF line ends") from error
        raise RejectedError(f"is not JSON at column {error.colno}: {error.msg.lower()}") from error
    if not isinstance(value, dict):
        raise RejectedError("is not a JSON object")
    if b"\\u" in raw:
        check_text(value)
    return value


def parse_value(text: str) -> tuple[object, int]:
    """Parse the JSON value that a text begins with, by the rules of a line; return it and its length, which is 0 when there is none."""
    try:
        value, length = _strict_decoder().raw_decode(text)
        check_text(value)
    except (ValueError, RecursionError):
        return None, 0
    return value, length


@cache
def _strict_decoder() -> json.JSONDecoder:
    return json.JSONDecoder(
        object_pairs_hook=unique, parse_int=_integer, parse_float=_number, parse_constant=no_constant
    )


def _check_depth(raw: bytes) -> None:
    if raw.count(b"[") + raw.count(b"{") <= MAX_DEPTH:
        return
    depth = 0
    for match in _STRUCTURE.finditer(raw):
        depth += {b"[": 1, b"{": 1, b"]": -1, b"}": -1}.get(match.group(), 0)
        if depth > MAX_DEPTH:
            raise RejectedError(f"is nested deeper than {MAX_DEPTH} levels")


def _integer(text: str) -> int:
    if len(text.lstrip("-")) > MAX_DIGITS:
        raise RejectedError(f"holds a number of {len(text.lstrip('-'))} digits")
    return int(text)


def _number(text: str) -> float:
    return finite(text if len(text) <= 2 * MAX_DIGITS else "inf")


def check_text(value: object) -> None:
    """Raise ValueError, with the end of a sentence, for text in a JSON value that could not be read back."""
    if isinstance(value, str):
        found = _NO_TEXT.search(value)
        if found:
            half = "half of a surrogate pair (\\ud800 to \\udfff)"
            raise RejectedError(
                f"holds {half if found.group() != chr(0) else 'U+0000'}, which is no character of a text"
            )
    elif isinstance(value, dict):
        for key, inner in value.items():
            check_text(key)
            check_text(inner)
    elif isinstance(value, list):
        for inner in value:
            check_text(inner)


def read_log(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the objects of a log that jessy adds to; an absent file has none, a line torn by a crash is passed over."""
    with contextlib.suppress(FileNotFoundError):
        yield from (value for _, value in _own(path) if value is not None)


def read_shipped(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the objects of a file that comes with jessy, of which nothing is checked: tests hold that it is right."""
    yield from (value for _, value in _own(path) if value is not None)


def read_result(path: Path) -> list[dict[str, Any]]:
    """Return the objects of a file that a step wrote. Raises StorageError for an absent file or a damaged line."""
    try:
        found = list(_own(path))
    except FileNotFoundError as error:
        raise StorageError(f"`{path}` is gone", hint="run `jessy apply` again") from error
    damaged = next((number for number, value in found if value is None), None)
    if damaged is not None:
        raise StorageError(f"line {damaged} of `{path}` is damaged", hint="`jessy fsck` finds what is damaged")
    return [value for _, value in found if value is not None]


def _own(path: Path) -> Iterator[tuple[int, dict[str, Any] | None]]:
    """Yield every line's number and object, None where it is none."""
    with opened(path) as handle:
        for number, raw in enumerate(handle, start=1):
            if not raw.strip():
                continue
            try:
                value = json.loads(raw.decode("utf-8"))
            except (ValueError, RecursionError):
                value = None
            yield number, value if isinstance(value, dict) else None


def write_jsonl(path: Path, values: Iterable[object]) -> int:
    """Replace a file by JSON lines, in one step; return how many were written."""
    count = 0
    with atomic_file(path) as handle:
        for value in values:
            handle.write(json_text(value).encode("utf-8") + b"\n")
            count += 1
    return count


def raise_faults(faults: list[Fault], what: str, hint: str = "`jessy data lint PATH` lists all") -> None:
    """Raise one DatasetError that names the first faults, when there are any."""
    if not faults:
        return
    shown = "".join(f"\n  {fault}" for fault in faults[:10])
    more = f"\n  and {len(faults) - 10} more" if len(faults) > 10 else ""
    raise DatasetError(
        f"{what}: {len(faults)} fault{'s' if len(faults) > 1 else ''}{shown}{more}",
        hint=hint,
    )
