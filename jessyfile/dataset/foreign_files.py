"""Files of rows as other programs write them: JSON lines, one JSON array, a table with a header, Parquet."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping
from itertools import zip_longest
from pathlib import Path

from jessyfile.dataset.parquet import read_parquet
from jessyfile.errors import DatasetError
from jessyfile.text.json_lines import MAX_LINE, Fault, Line, check_text, parse_object
from jessyfile.text.row_forms import pair_of
from jessyfile.user_files import read_plain

MAX_BYTES = 1 << 28
_TABLES = {".csv": ",", ".tsv": "\t", ".tab": "\t"}
_BINARY = {
    b"PK\x03\x04": "a spreadsheet or an archive: open it and save it as `CSV UTF-8`",
    b"\x1f\x8b": "compressed: unpack it first",
    b"\xd0\xcf\x11\xe0": "an old spreadsheet: open it and save it as `CSV UTF-8`",
}
_DELIMITERS = ",;\t|"
_HEAD = 1 << 16


def read_foreign(path: Path, encoding: str | None = None) -> Iterator[Line | Fault]:
    """Yield every row of a file as an object or as a fault; the rows of a table are counted as a spreadsheet does, its header being row 1.

    Raises DatasetError for a file that is no file of rows, or is in another encoding than was said (UTF-8 unless said otherwise).
    """
    if path.suffix.lower() == ".parquet":
        yield from (_checked(line, path.name) for line in read_parquet(path))
        return
    text = text_of(path, encoding)
    if path.suffix.lower() in _TABLES:
        yield from _table(text, path)
    elif _is_document(text):
        yield from _document(text, path)
    else:
        yield from _lines(text, path.name)


def text_of(path: Path, encoding: str | None = None) -> str:
    """Return a file's text, without a byte order mark. Raises DatasetError when its bytes are no text of that encoding."""
    try:
        data = read_plain(path, MAX_BYTES + 1)
    except FileNotFoundError as error:
        raise DatasetError(
            f"`{path}` is not there", hint="name a file of rows, as in `jessy init --from my.csv`"
        ) from error
    if len(data) > MAX_BYTES:
        raise DatasetError(f"`{path}` is larger than 256 MiB", hint="take a part of it: a small model needs no more")
    if kind := next((kind for sign, kind in _BINARY.items() if data.startswith(sign)), None):
        raise DatasetError(f"`{path}` is no file of rows", hint=f"it is {kind}")
    marked = "utf-16" if data.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8"
    try:
        return data.decode(encoding or marked).removeprefix("\ufeff")
    except LookupError as error:
        raise DatasetError(f"`{encoding}` is no encoding", hint="as in `--encoding cp1254`") from error
    except UnicodeDecodeError as error:
        row = data.count(b"\n", 0, error.start) + 1
        said = f"`{path}` is not {(encoding or marked).upper()}: byte {error.object[error.start]:#04x} in row {row}"
        hint = "in Excel save it as `CSV UTF-8`, or say `--encoding cp1254` (Turkish Windows) or whatever it is"
        raise DatasetError(said, hint=hint) from error


def _is_document(text: str) -> bool:
    """Return whether a text is one JSON value and not rows one a line."""
    first, _, rest = text.strip().partition("\n")
    if not first or first.startswith("["):
        return bool(first)
    try:
        value = json.loads(first)
    except (ValueError, RecursionError):
        return first.strip() == "{" or not rest
    return not rest and isinstance(value, dict) and not _is_row(value)


def _is_row(value: Mapping[str, object]) -> bool:
    return pair_of(value) is not None or not {"messages", "conversations"}.isdisjoint(value)


def _lines(text: str, name: str) -> Iterator[Line | Fault]:
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            yield Line(number, parse_object(line.encode("utf-8", "surrogatepass")))
        except ValueError as error:
            yield Fault(name, number, str(error))


def _document(text: str, path: Path) -> Iterator[Line | Fault]:
    """Yield the rows of one JSON array, which may stand under the only list of an object, as in `{"data": [...]}`."""
    try:
        whole = json.loads(text)
    except json.JSONDecodeError as error:
        hint = "rows are JSON lines (.jsonl), one JSON array (.json), a table (.csv, .tsv) or Parquet"
        raise DatasetError(f"`{path}` is not JSON at line {error.lineno}: {error.msg.lower()}", hint=hint) from error
    except RecursionError as error:
        raise DatasetError(f"`{path}` is nested too deep") from error
    lists = [value for value in whole.values() if isinstance(value, list)] if isinstance(whole, dict) else [whole]
    rows = [whole] if isinstance(whole, dict) and _is_row(whole) else lists[0] if len(lists) == 1 else []
    for number, row in enumerate(rows, start=1):
        read = _checked(Line(number, row), path.name) if isinstance(row, dict) else None
        yield read or Fault(path.name, number, "is no object")


def _checked(line: Line, name: str) -> Line | Fault:
    try:
        check_text(line.value)
    except ValueError as error:
        return Fault(name, line.number, str(error))
    return line


def _table(text: str, path: Path) -> Iterator[Line | Fault]:
    """Yield a table's rows by the names of its header; a row of more or fewer cells is a fault, an empty one is passed over."""
    csv.field_size_limit(MAX_LINE)
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter(text, path), strict=True)
    header: list[str] = []
    number = 0
    while True:
        number += 1
        try:
            cells = next(rows, None)
        except csv.Error as error:
            yield Fault(path.name, number, f"is no row of a table: {error}")
            if "end of data" in str(error):
                return
            continue
        if cells is None:
            return
        if not header:
            header = [cell.strip() for cell in cells]
        elif any(map(str.strip, cells)):
            yield _row(header, cells, path.name, number)


def _row(header: list[str], cells: list[str], name: str, number: int) -> Line | Fault:
    if len(cells) > len(header):
        return Fault(
            name, number, f"has {len(cells)} cells, the header {len(header)}: quote a cell that holds the delimiter"
        )
    values = dict(zip_longest(header, cells, fillvalue=""))
    return _checked(Line(number, {key: value for key, value in values.items() if key}), name)


def delimiter(text: str, path: Path) -> str:
    """Return what separates a table's cells: the sign that gives its first row a question and an answer, else the most cells."""
    found = {sign: next(csv.reader(io.StringIO(text[:_HEAD], newline=""), delimiter=sign), []) for sign in _DELIMITERS}
    named = next((sign for sign, cells in found.items() if pair_of(cells)), None)
    most = max(found, key=lambda sign: len(found[sign]))
    return named or (most if len(found[most]) > 1 else _TABLES[path.suffix.lower()])
