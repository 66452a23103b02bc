"""Write safetensors tensor by tensor, the same bytes every time, through the one write seam.

`safetensors.numpy.save_file` needs every tensor in memory at once and writes in place; a dequantized model may be
larger than memory.
"""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jessyfile.fsops import atomic_file
from jessyfile.models.safetensors_check import SIZES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    import numpy as np


@dataclass(frozen=True, slots=True)
class PlannedTensor:
    """A tensor to write: its name, type (`F32`, `BF16`), shape, and a function that makes its bytes when its turn
    comes.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    make: Callable[[], np.ndarray[Any, Any]]

    @property
    def nbytes(self) -> int:
        """Return the size in bytes."""
        count = SIZES[self.dtype]
        for dimension in self.shape:
            count *= dimension
        return count


def write_safetensors(path: Path, tensors: Sequence[PlannedTensor], metadata: Mapping[str, str] | None = None) -> None:
    """Write the tensors in the given order; at any time one of them is in memory. Raises StorageError."""
    header: dict[str, Any] = {"__metadata__": dict(metadata or {"format": "mlx"})}
    end = 0
    for tensor in tensors:
        header[tensor.name] = {
            "dtype": tensor.dtype,
            "shape": list(tensor.shape),
            "data_offsets": [end, end + tensor.nbytes],
        }
        end += tensor.nbytes
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode("utf-8")
    text += b" " * (-len(text) % 8)
    with atomic_file(path) as handle:
        handle.write(struct.pack("<Q", len(text)) + text)
        for tensor in tensors:
            array = tensor.make()
            if array.nbytes != tensor.nbytes:
                raise ValueError(f"{tensor.name} was planned with {tensor.nbytes} bytes and has {array.nbytes}")
            handle.write(array.reshape(-1).view("u1").data)
