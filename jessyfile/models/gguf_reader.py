"""Read a GGUF file's header in bounded time and memory, without trusting its content.

Every length, count, type and offset is compared with the file's size before it is used. A truncated or hostile file
therefore ends in `ModelError` with the byte where it went wrong, and never reaches a C++ loader. Layout: the GGUF
specification of ggml, versions 2 and 3, little-endian. `gguf.GGUFReader` builds Python objects for every array
element and takes 11 s for a vocabulary of 262,144 tokens; this reader takes a fraction of a second.

Not covered: big-endian files, split files (`split.count` above 1), and whether the numbers inside the tensors make
sense.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

from jessyfile.errors import ModelError
from jessyfile.models.foreign_files import HEAD, what_it_is
from jessyfile.models.model_json import LARGEST
from jessyfile.models.plain_file import plain_file, stored_numbers
from jessyfile.text.printable import brief

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import numpy as np

MAX_KEYS = 1 << 16
MAX_TENSORS = 1 << 16
MAX_STRINGS = 1 << 22
MAX_KEY_BYTES = 1 << 16
MAX_NAME_BYTES = 64
MAX_DIMENSIONS = 4
_STRING, _ARRAY = 8, 9
_CHUNK = 1 << 20
_AGAIN = "the file is damaged or was cut off; download it again"
_SCALARS: dict[int, str] = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_DTYPES: dict[int, str] = {
    0: "u1", 1: "i1", 2: "<u2", 3: "<i2", 4: "<u4", 5: "<i4", 6: "<f4", 7: "?", 10: "<u8", 11: "<i8", 12: "<f8",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class GgufTensor:
    """One entry of the tensor table.

    `shape` is in row-major order (slowest first), the reverse of GGML's `ne`. `kind` is the `ggml_type` number,
    `offset` counts bytes from the start of the file, `nbytes` is the stored size.
    """

    name: str
    shape: tuple[int, ...]
    kind: int
    offset: int
    nbytes: int


@dataclass(frozen=True)
class GgufFile:
    """A checked header.

    `metadata` holds Python scalars, lists of str and NumPy arrays; `raw` the bytes of each key with its value.
    """

    path: Path
    version: int
    alignment: int
    metadata: Mapping[str, Any]
    raw: Mapping[str, bytes]
    tensors: Mapping[str, GgufTensor]

    def stored(self, tensor: GgufTensor, start: int = 0, count: int | None = None) -> np.ndarray[Any, Any]:
        """Return a tensor's bytes, all of them or `count` from a byte on: `uint8`, one dimension."""
        return stored_numbers(self.path, "u1", tensor.offset + start, tensor.nbytes if count is None else count)

    def bad(self, what: str, hint: str = _AGAIN) -> ModelError:
        """Return an error that says of this file what is wrong with it."""
        return ModelError(f"`{self.path.name}` {what}", hint=hint)

    def text(self, key: str, default: str = "") -> str:
        """Return a string value. Raises ModelError when the key holds something else."""
        value = self.metadata.get(key, default)
        if not isinstance(value, str):
            raise self.bad(f"holds no text under {key!r}")
        return value

    def number(self, key: str, default: float | None = None) -> float:
        """Return a number above 0. Raises ModelError when it is absent without a default, or anything else."""
        value = self.metadata.get(key, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < LARGEST:
            raise self.bad(f"holds no number above 0 under {key!r}")
        return value

    def count(self, key: str, default: int | None = None, *, least: int = 1, limit: int = 1 << 31) -> int:
        """Return a whole number from `least` on that is less than `limit`.

        Args:
            key: the key.
            default: what counts when it is absent.
            least: the lowest number there may be.
            limit: the lowest number that is too large.

        Returns:
            The number.

        Raises:
            ModelError: it is absent without a default, or anything else.
        """
        value = self.metadata.get(key, default)
        if type(value) is not int or not least <= value < limit:
            raise self.bad(f"holds no count under {key!r}")
        return value

    def flag(self, key: str, default: bool | None = None) -> bool | None:
        """Return a truth value, the default when it is absent. Raises ModelError when the key holds something else."""
        value = self.metadata.get(key, default)
        if value is not None and not isinstance(value, bool):
            raise self.bad(f"holds neither true nor false under {key!r}")
        return value

    def token_id(self, key: str) -> int | None:
        """Return a token's number, None when it is absent. Raises ModelError when the key holds something else."""
        value = self.metadata.get(key)
        if value is not None and (type(value) is not int or not -1 <= value < 1 << 32):
            raise self.bad(f"holds no token's number under {key!r}")
        return value

    def numbers(self, key: str) -> np.ndarray[Any, Any] | None:
        """Return a list of numbers, None when it is absent. Raises ModelError when the key holds something else."""
        value = self.metadata.get(key)
        if value is not None and not hasattr(value, "dtype"):
            raise self.bad(f"holds no list of numbers under {key!r}")
        return value

    def strings(self, key: str) -> list[str]:
        """Return a list of strings. Raises ModelError when the key holds something else."""
        value = self.metadata.get(key)
        if not isinstance(value, list):
            raise self.bad(f"holds no list of texts under {key!r}")
        return value


def read_gguf(path: Path) -> GgufFile:
    """Read and check a header. Raises ModelError with the byte offset for anything that a loader should not see."""
    with plain_file(path) as handle:
        size = os.fstat(handle.fileno()).st_size
        if size == 0:
            raise ModelError(f"`{path}` is empty, not a GGUF file", hint=_AGAIN)
        return _Cursor(path, handle, size).file()


class _Cursor:
    """A position in the file; every read is checked against its end."""

    def __init__(self, path: Path, handle: IO[bytes], size: int) -> None:
        self.path, self.handle, self.size = path, handle, size
        self.view = bytearray()  # the file's beginning, as far as it was needed
        self.at = 0
        self.strings_left = MAX_STRINGS

    def fail(self, what: str, at: int | None = None, hint: str = _AGAIN) -> ModelError:
        place = self.at if at is None else at
        return ModelError(
            f"`{self.path.name}` is not a usable GGUF file: {what}, at byte {place} of {self.size}", hint=hint
        )

    def take(self, count: int, what: str) -> int:
        start = self.at
        if count > self.size - start:
            raise self.fail(f"{what} needs {count} bytes and the file ends first")
        self.at = start + count
        self.read_to(self.at)
        return start

    def read_to(self, end: int) -> None:
        if end > len(self.view):
            self.view += self.handle.read(max(end - len(self.view), _CHUNK))
        if end > len(self.view):
            raise self.fail("it became shorter while it was read", len(self.view))

    def scalar(self, code: str, what: str) -> Any:  # noqa: ANN401 (bool, int or float by code)
        start = self.take(struct.calcsize("<" + code), what)
        return struct.unpack_from("<" + code, self.view, start)[0]

    def string(self, what: str, limit: int | None = None) -> bytes:
        length = self.scalar("Q", what)
        if limit is not None and length > limit:
            raise self.fail(f"{what} claims {length} bytes, more than {limit}")
        start = self.take(length, what)
        return bytes(self.view[start : self.at])

    def name(self, what: str, limit: int) -> str:
        start = self.at
        try:
            return self.string(what, limit).decode("utf-8")
        except UnicodeDecodeError as error:
            raise self.fail(f"{what} is not UTF-8", start) from error

    def count(self, what: str, limit: int) -> int:
        number: int = self.scalar("Q", what)
        if number > limit:
            raise self.fail(f"{number} {what}, more than {limit}", self.at - 8)
        return number

    def value(self, kind: int, what: str) -> Any:  # noqa: ANN401 (what the file holds)
        if kind in _SCALARS:
            return self.scalar(_SCALARS[kind], what)
        if kind == _STRING:
            return self.string(what).decode("utf-8", errors="replace")
        if kind == _ARRAY:
            return self.array(what)
        raise self.fail(f"{what} has the unknown type {kind}")

    def array(self, what: str) -> Any:  # noqa: ANN401 (a list of str or a NumPy array)
        kind, count = self.scalar("I", what), self.scalar("Q", what)
        if kind == _STRING:
            return self.string_array(count, what)
        if kind not in _DTYPES:
            raise self.fail(f"{what} is a list of the unknown type {kind}")
        import numpy as np

        dtype = np.dtype(_DTYPES[kind])
        start = self.take(count * dtype.itemsize, what)
        return np.frombuffer(self.view[start : self.at], dtype)

    def string_array(self, count: int, what: str) -> list[str]:
        if count > min(self.strings_left, (self.size - self.at) // 8):
            raise self.fail(f"{what} claims {count} texts, more than the file or jessy can hold")
        self.strings_left -= count
        unpack, view, at, held = struct.Struct("<Q").unpack_from, self.view, self.at, len(self.view)
        found = []
        for _ in range(count):
            start = at + 8
            if start > held:
                held = self.hold(start, what, at)
            end = start + unpack(view, at)[0]
            if end > held:
                held = self.hold(end, what, at)
            found.append(view[start:end].decode("utf-8", "replace"))
            at = end
        self.at = at
        return found

    def hold(self, end: int, what: str, at: int) -> int:
        """Read up to a byte and further, a chunk at a time; return how far."""
        if end > self.size:
            raise self.fail(f"{what} runs past the end", at)
        self.read_to(end)
        return len(self.view)

    def file(self) -> GgufFile:
        self.begin()
        version = self.scalar("I", "the version")
        if version not in (2, 3):
            turned = int.from_bytes(version.to_bytes(4, "little"), "big") in (2, 3)
            what = "it is big-endian" if turned else f"its version {version} is neither 2 nor 3"
            raise self.fail(what, 4, hint="take another GGUF of the model, or convert it with today's llama.cpp")
        tensors, keys = self.count("tensors", MAX_TENSORS), self.count("keys", MAX_KEYS)
        metadata, raw = self.keys(keys)
        alignment = self.alignment(metadata)
        table = [self.tensor() for _ in range(tensors)]
        found = self.place(table, -(-self.at // alignment) * alignment, alignment)
        return GgufFile(self.path, version, alignment, metadata, raw, found)

    def begin(self) -> None:
        self.read_to(min(HEAD, self.size))
        if self.view[:4] != b"GGUF":
            what, hint = what_it_is(bytes(self.view[:HEAD])) or ("no GGUF: it does not begin with GGUF", _AGAIN)
            raise self.fail(f"it is {what}", 0, hint=hint)
        self.at = 4

    def keys(self, count: int) -> tuple[dict[str, Any], dict[str, bytes]]:
        metadata: dict[str, Any] = {}
        raw: dict[str, bytes] = {}
        for _ in range(count):
            start = self.at
            key = self.name("a key", MAX_KEY_BYTES)
            if key in metadata:
                raise self.fail(f"the key {brief(key)} comes twice", start)
            metadata[key] = self.value(self.scalar("I", f"the type of {brief(key)}"), f"the value of {brief(key)}")
            raw[key] = bytes(self.view[start : self.at])
        return metadata, raw

    def alignment(self, metadata: Mapping[str, Any]) -> int:
        value = metadata.get("general.alignment", 32)
        if not isinstance(value, int) or value not in {1 << n for n in range(3, 17)}:
            raise self.fail(f"the alignment {brief(value)} is not a power of two from 8 to 65536")
        return value

    def tensor(self) -> GgufTensor:
        start = self.at
        name = self.name("a tensor's name", MAX_NAME_BYTES)
        dimensions = self.scalar("I", f"the dimensions of {name!r}")
        if not 1 <= dimensions <= MAX_DIMENSIONS:
            raise self.fail(f"the tensor {name!r} has {dimensions} dimensions", start)
        sizes = [self.scalar("Q", f"the shape of {name!r}") for _ in range(dimensions)]
        kind, offset = self.scalar("I", f"the type of {name!r}"), self.scalar("Q", f"the offset of {name!r}")
        return GgufTensor(name, tuple(reversed(sizes)), kind, offset, self.stored_size(name, sizes, kind, start))

    def stored_size(self, name: str, sizes: list[int], kind: int, start: int) -> int:
        from gguf.constants import GGML_QUANT_SIZES

        if kind not in GGML_QUANT_SIZES:
            raise self.fail(f"the tensor {name!r} has the unknown type {kind}", start)
        block, block_bytes = GGML_QUANT_SIZES[kind]
        elements = 1
        for size in sizes:
            elements *= size
        if not 0 < elements <= self.size * block or sizes[0] % block:
            raise self.fail(f"the tensor {name!r} has the impossible shape {sizes}", start)
        return int(elements // block * block_bytes)

    def place(self, table: list[GgufTensor], base: int, alignment: int) -> dict[str, GgufTensor]:
        placed: dict[str, GgufTensor] = {}
        end = base
        for tensor in sorted(table, key=lambda one: one.offset):
            start = base + tensor.offset
            if tensor.name in placed:
                raise self.fail(f"the tensor {tensor.name!r} comes twice")
            if tensor.offset % alignment or start < end:
                raise self.fail(f"the tensor {tensor.name!r} lies inside another or off its alignment", start)
            end = start + tensor.nbytes
            if end > self.size:
                raise self.fail(f"the tensor {tensor.name!r} needs bytes up to {end} and the file ends first", start)
            placed[tensor.name] = GgufTensor(tensor.name, tensor.shape, tensor.kind, start, tensor.nbytes)
        return placed
