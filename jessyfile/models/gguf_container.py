"""The container of a GGUF: keys, tensor table, aligned data. The same input gives the same bytes.

Layout: the GGUF specification of ggml, version 3, little-endian.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any

from jessyfile.fsops import atomic_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    import numpy as np

U32, I32, F32, BOOL, STRING, ARRAY = 4, 5, 6, 7, 8, 9
ALIGNMENT = 32
_LENGTH = struct.Struct("<Q")
Pair = tuple[str, int, Any]


@dataclass(frozen=True, slots=True)
class OutTensor:
    """A tensor to write: `shape` row-major, `kind` the ggml_type, `chunks` its bytes by runs of rows when its turn
    comes.
    """

    name: str
    shape: tuple[int, ...]
    kind: int
    nbytes: int
    chunks: Callable[[], Iterator[np.ndarray[Any, Any]]]


def write_container(path: Path, keys: Sequence[bytes], tensors: Sequence[OutTensor]) -> None:
    """Write a GGUF in one step; of the tensors one chunk is in memory at a time. Raises StorageError."""
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(keys)) + b"".join(keys) + _table(tensors)
    with atomic_file(path) as handle:
        handle.write(head + bytes(-len(head) % ALIGNMENT))
        for tensor in tensors:
            written = 0
            for chunk in tensor.chunks():
                handle.write(chunk.reshape(-1).view("u1").data)
                written += chunk.nbytes
            if written != tensor.nbytes:
                raise ValueError(f"{tensor.name} was planned with {tensor.nbytes} bytes and has {written}")
            handle.write(bytes(-written % ALIGNMENT))


def _table(tensors: Sequence[OutTensor]) -> bytes:
    parts, offset = [], 0
    for tensor in tensors:
        sizes = tuple(reversed(tensor.shape))
        parts.append(_text(tensor.name) + struct.pack(f"<I{len(sizes)}QIQ", len(sizes), *sizes, tensor.kind, offset))
        offset += tensor.nbytes + -tensor.nbytes % ALIGNMENT
    return b"".join(parts)


def pair_bytes(key: str, kind: int, value: Any) -> bytes:  # noqa: ANN401 (by kind)
    """Return one key with its value: a scalar, a text, or a list of texts, int32 or float32 numbers."""
    if kind == ARRAY:
        return _text(key) + struct.pack("<I", ARRAY) + _list(value)
    return _text(key) + struct.pack("<I", kind) + _scalar(kind, value)


def _scalar(kind: int, value: Any) -> bytes:  # noqa: ANN401 (by kind)
    if kind == STRING:
        return _text(value)
    return struct.pack({U32: "<I", I32: "<i", F32: "<f", BOOL: "<?"}[kind], value)


def _list(values: Sequence[Any]) -> bytes:
    import numpy as np

    kind = STRING if isinstance(values[0], str) else F32 if isinstance(values[0], float) else I32
    head = struct.pack("<IQ", kind, len(values))
    if kind == STRING:
        data = list(map(str.encode, values))
        return head + b"".join(chain.from_iterable(zip(map(_LENGTH.pack, map(len, data)), data, strict=True)))
    return head + np.asarray(values, dtype="<f4" if kind == F32 else "<i4").tobytes()


def _text(text: str) -> bytes:
    data = text.encode("utf-8")
    return _LENGTH.pack(len(data)) + data
