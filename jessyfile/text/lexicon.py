"""Word tables for templates: one item a line, its forms and what fits it in columns.

Turkish suffixes follow vowel harmony and consonant changes (`karnıyarık`, `karnıyarığı`), so every form that a
template needs is written out. The first column is the item itself; the first line names the columns.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from jessyfile.errors import DatasetError
from jessyfile.fsops import storage_error
from jessyfile.resources import resource
from jessyfile.text.lines import lines
from jessyfile.text.turkish import nfc

FOLDER = "data/lexicon"
MAX_TABLE = 1 << 20
_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")

Item = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Table:
    """One word table; `columns[0]` is the item's own name."""

    name: str
    columns: tuple[str, ...]
    items: tuple[Item, ...]


def table_path(root: Path, name: str) -> Path:
    """Return where a table lies: the project's own, else the shipped one. Raises DatasetError when neither exists."""
    if not _NAME.fullmatch(name):
        raise DatasetError(f"`{name[:40]}` is no name for a word table", hint="lower-case letters, digits and _")
    for folder in (root / FOLDER, resource("data", "lexicon")):
        path = folder / f"{name}.tsv"
        if path.is_file():
            return path
    raise DatasetError(f"there is no word table `{name}`", hint=f"write {FOLDER}/{name}.tsv")


def load_table(root: Path, name: str) -> Table:
    """Read a table. Raises DatasetError with file and line when a line has other columns than the first."""
    path = table_path(root, name)
    try:
        raw = path.read_bytes()[: MAX_TABLE + 1]
        rows = list(_rows(raw.decode("utf-8")))
    except OSError as error:
        raise storage_error(error, path, "read") from error
    except UnicodeDecodeError as error:
        raise DatasetError(f"{path.name} is not UTF-8") from error
    if len(raw) > MAX_TABLE or not rows:
        raise DatasetError(f"{path.name} is {'longer than 1 MiB' if rows else 'empty'}")
    columns = tuple(rows[0][1])
    return Table(name, columns, tuple(_item(path, number, columns, cells) for number, cells in rows[1:]))


def _rows(text: str) -> Iterator[tuple[int, list[str]]]:
    for number, line in enumerate(lines(text), start=1):
        if line.strip() and not line.startswith("#"):
            yield number, [nfc(cell.strip()) for cell in line.split("\t")]


def _item(path: Path, number: int, columns: tuple[str, ...], cells: list[str]) -> Item:
    if len(cells) != len(columns):
        raise DatasetError(
            f"{path.name}:{number}: {len(cells)} columns, not {len(columns)}", hint=f"columns: {', '.join(columns)}"
        )
    return dict(zip(columns, cells, strict=True))
