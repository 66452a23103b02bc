"""Rows as Parquet, through pyarrow, an optional extra."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from jessyfile.errors import DatasetError
from jessyfile.fsops import atomic_file, storage_error
from jessyfile.text.json_lines import Line

PARQUET_LIMIT = 1 << 30


def _pyarrow() -> tuple[Any, Any]:
    try:
        return importlib.import_module("pyarrow"), importlib.import_module("pyarrow.parquet")
    except ImportError as error:
        raise DatasetError("Parquet needs pyarrow", hint="install it with `pip install 'jessy[parquet]'`") from error


def write_parquet(path: Path, values: Sequence[Mapping[str, Any]]) -> int:
    """Write one table; a nested value goes in as Arrow's own structure."""
    arrow, parquet = _pyarrow()
    # from_pylist takes the columns of the first row alone: every row is given every column
    columns = list(dict.fromkeys(key for value in values for key in value))
    table = arrow.Table.from_pylist([{column: value.get(column) for column in columns} for value in values])
    with atomic_file(path) as handle:
        parquet.write_table(table, handle, compression="zstd")
    return len(values)


def read_parquet(path: Path) -> Iterator[Line]:
    """Yield every row of a table, numbered from 1. Raises DatasetError for what is no Parquet or larger than 1 GiB."""
    arrow, parquet = _pyarrow()
    try:
        if path.stat().st_size > PARQUET_LIMIT:
            raise DatasetError(f"{path.name} is larger than 1 GiB")
        table = parquet.read_table(path)
    except OSError as error:
        raise storage_error(error, path, "read") from error
    except arrow.ArrowException as error:
        raise DatasetError(f"{path.name} is not Parquet: {str(error).splitlines()[0].lower()}") from error
    for number, value in enumerate(table.to_pylist(), start=1):
        yield Line(number, _without_nulls(value))


def _without_nulls(value: Any) -> Any:  # noqa: ANN401 (JSON)
    """Drop what Arrow filled in: a struct column has every field in every row."""
    if isinstance(value, dict):
        return {key: _without_nulls(inner) for key, inner in value.items() if inner is not None}
    if isinstance(value, list):
        return [_without_nulls(inner) for inner in value]
    return value
