"""A GGUF in memory, key by key and tensor by tensor, and written in any order, alignment, version and types.

A writer of its own: what jessy's writer cannot write, other tools write.
"""

import struct
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType
from gguf.quants import dequantize, quantize

from jessyfile.models.gguf_container import pair_bytes
from jessyfile.models.gguf_reader import read_gguf

F32, F16, Q5_1, Q8_0, BF16 = (int(GGMLQuantizationType[name]) for name in ("F32", "F16", "Q5_1", "Q8_0", "BF16"))
TOKENS, TYPES, SCORES = VOCABULARY = tuple(f"tokenizer.ggml.{key}" for key in ("tokens", "token_type", "scores"))
Numbers = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Document:
    """`raw` holds each key with its value as bytes, `values` what they say; tensors are float32, `types` what they are stored as."""

    raw: Mapping[str, bytes]
    values: Mapping[str, object]
    tensors: Numbers
    types: Mapping[str, int] = field(default_factory=dict)
    version: int = 3
    alignment: int = 32

    def list(self, key: str) -> list:
        """Return a list's value as Python's own texts and numbers."""
        found = self.values[key]
        return found.tolist() if isinstance(found, np.ndarray) else [*found]

    def with_keys(self, *pairs: tuple[str, int, object]) -> "Document":
        """Return it with these keys, which are (key, kind, value), set or added."""
        raw = {**self.raw, **{key: pair_bytes(key, kind, value) for key, kind, value in pairs}}
        return replace(self, raw=raw, values={**self.values, **{key: value for key, _, value in pairs}})

    def without(self, *keys: str) -> "Document":
        """Return it without these keys, each of which it has."""
        assert self.raw.keys() >= set(keys)
        return replace(self, raw={key: data for key, data in self.raw.items() if key not in keys})

    def changed(self, change: Callable[[np.ndarray], np.ndarray], *ends: str) -> "Document":
        """Return it with the tensors whose names end so changed."""
        found = {name: change(array) for name, array in self.tensors.items() if name.endswith(ends)}
        assert found
        return self.with_tensors(found)

    def with_tensors(self, tensors: Numbers) -> "Document":
        """Return it with these tensors set or added."""
        return replace(self, tensors={**self.tensors, **tensors})

    def dropped(self, *names: str) -> "Document":
        """Return it without these tensors, each of which it has."""
        assert self.tensors.keys() >= set(names)
        return replace(self, tensors={name: one for name, one in self.tensors.items() if name not in names})

    def read_back(self) -> "Document":
        """Return it with the numbers that its types can hold, all as F32."""
        found = {name: dequantize(self._encoded(name), GGMLQuantizationType(self._kind(name))) for name in self.tensors}
        return replace(self, tensors=found, types={})

    def stored(self, kind: int, *ends: str) -> "Document":
        """Return it with matrices, or those whose names end so, stored as this type; norms and vectors stay F32."""
        wide = [name for name, one in self.tensors.items() if one.ndim > 1 and name.endswith(ends or ("",))]
        return replace(self, types={**self.types, **dict.fromkeys(wide, kind)})

    def ordered(self, key: Callable[[str], object]) -> "Document":
        """Return it with keys and tensors sorted otherwise."""
        raw, tensors = ({name: part[name] for name in sorted(part, key=key)} for part in (self.raw, self.tensors))
        return replace(self, raw=raw, tensors=tensors)

    def write(self, path: Path) -> Path:
        """Write the file."""
        keys = dict(self.raw)
        if self.alignment != 32:
            keys["general.alignment"] = pair_bytes("general.alignment", 4, self.alignment)
        parts = {name: self._encoded(name) for name in self.tensors}
        head = b"GGUF" + struct.pack("<IQQ", self.version, len(parts), len(keys)) + b"".join(keys.values())
        head += b"".join(self._entries(parts))
        path.write_bytes(self._padded([head, *(part.tobytes() for part in parts.values())]))
        return path

    def _encoded(self, name: str) -> np.ndarray:
        return quantize(np.ascontiguousarray(self.tensors[name], np.float32), GGMLQuantizationType(self._kind(name)))

    def _kind(self, name: str) -> int:
        kind = self.types.get(name, F32)
        return kind if self.tensors[name].shape[-1] % GGML_QUANT_SIZES[GGMLQuantizationType(kind)][0] == 0 else F16

    def _entries(self, parts: Numbers) -> Iterable[bytes]:
        offset = 0
        for name, part in parts.items():
            sizes, text = tuple(reversed(self.tensors[name].shape)), name.encode()
            yield struct.pack("<Q", len(text)) + text
            yield struct.pack(f"<I{len(sizes)}QIQ", len(sizes), *sizes, self._kind(name), offset)
            offset += part.nbytes + -part.nbytes % self.alignment

    def _padded(self, parts: Iterable[bytes]) -> bytes:
        return b"".join(part + bytes(-len(part) % self.alignment) for part in parts)


def read_document(path: Path) -> Document:
    """Return a GGUF's keys and numbers."""
    file = read_gguf(path)
    tensors = {
        name: dequantize(file.stored(one).reshape(*one.shape[:-1], -1), GGMLQuantizationType(one.kind)).reshape(
            one.shape
        )
        for name, one in file.tensors.items()
    }
    return Document(dict(file.raw), dict(file.metadata), tensors)
