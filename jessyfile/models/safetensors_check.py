"""Check a safetensors file in pure Python before a C++ loader sees it.

The rules are those of the format's own reader: a header of bounded size, a JSON object without repeated names, known
types, shapes that fit their byte ranges, ranges that follow each other without hole or overlap and end where the file
ends. `mx.load` takes several kinds of files that break them.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jessyfile.errors import ModelError
from jessyfile.models.foreign_files import HEAD, what_it_is
from jessyfile.models.model_json import strict_json
from jessyfile.models.plain_file import plain_file
from jessyfile.text.printable import brief

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

MAX_HEADER = 1 << 24  # a tensor takes about a hundred bytes
SIZES: Mapping[str, int] = {
    "BOOL": 1, "U8": 1, "I8": 1, "F8_E4M3": 1, "F8_E5M2": 1, "F8_E8M0": 1, "I16": 2, "U16": 2, "F16": 2, "BF16": 2,
    "I32": 4, "U32": 4, "F32": 4, "I64": 8, "U64": 8, "F64": 8,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class StoredTensor:
    """One tensor: its type as the file says it, shape, first byte from the file's start, and size in bytes."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    offset: int
    nbytes: int


def check_safetensors(path: Path) -> dict[str, StoredTensor]:
    """Return the tensors by name, in the order of their bytes. Raises ModelError with the tensor that is wrong."""
    with plain_file(path) as handle:
        size = handle.seek(0, 2)
        handle.seek(0)
        head = handle.read(HEAD)
        if head[8:9] != b"{" and (found := what_it_is(head)) is not None:
            raise ModelError(f"`{path.name}` is {found[0]}, not a safetensors file", hint=found[1])
        handle.seek(8)
        length = _header_length(path, head[:8], size)
        header = _header(path, handle.read(length))
    notes = header.pop("__metadata__", None) or {}
    if not isinstance(notes, dict) or not all(isinstance(note, str) for note in notes.values()):
        raise _bad(path, "its __metadata__ are no texts by name")
    tensors = sorted(
        (_tensor(path, name, entry, 8 + length) for name, entry in header.items()),
        key=lambda one: (one.offset, one.nbytes),
    )
    _check_layout(path, tensors, 8 + length, size)
    return {tensor.name: tensor for tensor in tensors}


def _bad(path: Path, what: str) -> ModelError:
    return ModelError(
        f"`{path.name}` is not a usable safetensors file: {what}",
        hint="the file is damaged or was cut off; fetch it again",
    )


def _header_length(path: Path, first: bytes, size: int) -> int:
    if len(first) < 8:
        raise _bad(path, f"it has only {size} bytes")
    length: int = struct.unpack("<Q", first)[0]
    if length > MAX_HEADER or length > size - 8:
        raise _bad(path, f"its header claims {length} bytes of {size}")
    return length


def _header(path: Path, text: bytes) -> dict[str, Any]:
    try:
        header = strict_json(text)
    except (ValueError, RecursionError) as error:
        raise _bad(path, f"its header is no JSON ({str(error)[:80]})") from error
    if not isinstance(header, dict) or not text.startswith(b"{"):
        raise _bad(path, "its header is no JSON object")
    return header


def _tensor(path: Path, name: str, entry: object, base: int) -> StoredTensor:
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        raise _bad(path, f"the tensor {brief(name)} is not described by dtype, shape and data_offsets")
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if dtype not in SIZES if isinstance(dtype, str) else True:
        raise _bad(path, f"the tensor {brief(name)} has the unknown type {brief(dtype)}")
    if not _counts(shape) or not _counts(offsets) or len(offsets) != 2 or len(shape) > 32:
        raise _bad(path, f"the tensor {brief(name)} has no proper shape or offsets")
    expected = SIZES[dtype]
    for dimension in shape:
        expected *= dimension
    if offsets[1] - offsets[0] != expected:
        raise _bad(path, f"the tensor {brief(name)} needs {expected} bytes and has {offsets[1] - offsets[0]}")
    return StoredTensor(name, dtype, tuple(shape), base + offsets[0], expected)


def _counts(values: object) -> bool:
    return isinstance(values, list) and all(type(value) is int and 0 <= value < 1 << 63 for value in values)


def _check_layout(path: Path, tensors: Sequence[StoredTensor], base: int, size: int) -> None:
    end = base
    for tensor in tensors:
        if tensor.offset != end:
            raise _bad(path, f"the tensor {brief(tensor.name)} does not begin where the one before it ends")
        end += tensor.nbytes
    if end != size:
        raise _bad(path, f"its tensors end at byte {end} and the file at {size}")
