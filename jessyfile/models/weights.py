"""Read a model folder's weights as float32, a few rows at a time, whatever they are stored as.

Covers one file or shards, F32, F16 and BF16, and MLX's own quantizations (through `mx.dequantize`), so that a merge
never goes into a quantized base and a GGUF never needs the whole model in memory.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from jessyfile.errors import ModelError
from jessyfile.models.load import weight_files
from jessyfile.models.model_json import read_json
from jessyfile.models.plain_file import stored_numbers
from jessyfile.models.safetensors_check import SIZES, StoredTensor, check_safetensors
from jessyfile.text.printable import brief

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    import numpy as np

CHUNK_VALUES = 1 << 23
READABLE = ("F32", "F16", "BF16")
_PLAIN = {"F32": "<f4", "F16": "<f2", "BF16": "<u2", "U32": "<u4", "U8": "u1"}
QUANTIZED_PARTS = (".scales", ".biases")


class Weights:
    """The tensors of a folder by name. `names` leaves out what belongs to a quantized tensor (scales, biases)."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config = read_json(folder / "config.json")
        self._place: dict[str, tuple[Path, StoredTensor]] = {}
        for path in weight_files(folder):
            self._place |= {name: (path, tensor) for name, tensor in check_safetensors(path).items()}

    @property
    def names(self) -> list[str]:
        """Return the tensors' names, sorted."""
        return sorted(name for name in self._place if not self._belongs(name))

    def _belongs(self, name: str) -> bool:
        return any(
            name.endswith(part) and self._is_quantized(name.removesuffix(part) + ".weight") for part in QUANTIZED_PARTS
        )

    def _is_quantized(self, name: str) -> bool:
        return name.removesuffix(".weight") + ".scales" in self._place

    def dtype(self, name: str) -> str:
        """Return the type to keep a tensor in: its own, or that of its scales when it is quantized."""
        if not self._is_quantized(name):
            return self._entry(name).dtype
        scales = self._entry(name.removesuffix(".weight") + ".scales").dtype
        return scales if scales in READABLE else "BF16"

    def shape(self, name: str) -> tuple[int, ...]:
        """Return a tensor's shape, unpacked."""
        shape = self._entry(name).shape
        if not self._is_quantized(name):
            return shape
        return (*shape[:-1], shape[-1] * 32 // int(self._quantization(name)["bits"]))

    def groups(self, name: str) -> tuple[int, ...]:
        """Return the shape that a quantized tensor's scales must have."""
        shape = self.shape(name)
        return (*shape[:-1], shape[-1] // int(self._quantization(name)["group_size"]))

    def parts(self, name: str) -> Mapping[str, tuple[Path, StoredTensor]]:
        """Return what is stored of a tensor, by the end of its name: itself and, of a quantized one, scales and biases."""
        stem = name.removesuffix(".weight")
        ends = (".weight", *QUANTIZED_PARTS) if self._is_quantized(name) else (name.removeprefix(stem),)
        return {end: self._place[stem + end] for end in ends if stem + end in self._place}

    def read(self, name: str) -> np.ndarray[Any, Any]:
        """Return a whole tensor in float32."""
        shape = self.shape(name)
        return self.rows(name, 0, shape[0]) if shape else self.rows(name, 0, 1)

    def kept(self, name: str) -> np.ndarray[Any, Any]:
        """Return a whole tensor as it is kept: its bytes, or in the type of its scales when it is quantized.

        The bytes are mapped: the folder must be jessy's own, whose files nobody makes shorter.
        """
        import numpy as np

        if not self._is_quantized(name):
            path, tensor = self._place[name]
            if not tensor.nbytes:  # nothing can be mapped
                return self._stored(name, 0, 0)
            return np.memmap(path, _PLAIN[tensor.dtype], "r", tensor.offset, tensor.shape or (1,))
        return np.concatenate([narrowed(rows, self.dtype(name)) for _, rows in self.chunks(name)])

    def chunks(self, name: str) -> Iterator[tuple[int, np.ndarray[Any, Any]]]:
        """Yield a tensor in float32 by runs of rows, each with its first row's number."""
        shape = self.shape(name)
        width = 1
        for dimension in shape[1:]:
            width *= dimension
        step = max(1, CHUNK_VALUES // max(1, width))
        for start in range(0, shape[0], step):
            yield start, self.rows(name, start, min(shape[0], start + step))

    def rows(self, name: str, start: int, stop: int) -> np.ndarray[Any, Any]:
        """Return rows `start` to `stop` of a tensor in float32.

        Raises ModelError for a type that is no number jessy knows.
        """
        if self._is_quantized(name):
            return self._dequantized(name, start, stop)
        return widened(self._stored(name, start, stop), self._entry(name).dtype)

    def _entry(self, name: str) -> StoredTensor:
        if name not in self._place:
            raise ModelError(f"`{self.folder}` has no tensor {name!r}")
        return self._place[name][1]

    def _stored(self, name: str, start: int, stop: int) -> np.ndarray[Any, Any]:
        return stored_array(*self._place[name], start, stop)

    def _quantization(self, name: str) -> Mapping[str, Any]:
        settings = self.config.get("quantization") or self.config.get("quantization_config")
        if not isinstance(settings, dict):
            raise ModelError(
                f"`{self.folder}` holds quantized tensors and its config.json does not say how",
                hint="fetch config.json again: it has a `quantization`",
            )
        own = settings.get(name.removesuffix(".weight"))
        return own if isinstance(own, dict) else settings

    def _dequantized(self, name: str, start: int, stop: int) -> np.ndarray[Any, Any]:
        from jessyfile.models.accelerate import prepare

        prepare()
        import mlx.core as mx
        import numpy as np

        settings, stem = self._quantization(name), name.removesuffix(".weight")
        packed = mx.array(np.ascontiguousarray(self._stored(name, start, stop)))
        scales, biases = (self._side(stem + part, start, stop) for part in QUANTIZED_PARTS)
        mode = settings.get("mode", "affine")
        values = mx.dequantize(packed, scales, biases, int(settings["group_size"]), int(settings["bits"]), mode=mode)
        return np.array(values.astype(mx.float32))

    def _side(self, name: str, start: int, stop: int) -> Any:  # noqa: ANN401 (an mlx array, or None)
        import mlx.core as mx
        import numpy as np

        if name not in self._place:
            return None
        stored, dtype = np.ascontiguousarray(self._stored(name, start, stop)), self._entry(name).dtype
        return mx.array(stored) if dtype in ("U8", "U32") else mx.array(widened(stored, dtype))


def stored_array(path: Path, tensor: StoredTensor, start: int = 0, stop: int | None = None) -> np.ndarray[Any, Any]:
    """Return a stored tensor, or rows of it, as it lies on the disk: BF16 as uint16, a single number as a row.

    Args:
        path: the safetensors file.
        tensor: its entry for the tensor.
        start: the first row.
        stop: the row behind the last one; None for the end.

    Returns:
        The numbers, in memory.

    Raises:
        ModelError: the type is not known, or the file has become too short.
    """
    if tensor.dtype not in _PLAIN:
        what = f"`{path.name}` stores {brief(tensor.name)} as {tensor.dtype}, which jessy cannot read"
        raise ModelError(what, hint="take a repository of the model in BF16, F16 or F32")
    shape = tensor.shape or (1,)
    rows, width = (shape[0] if stop is None else stop) - start, math.prod(shape[1:])
    offset = tensor.offset + start * width * SIZES[tensor.dtype]
    return stored_numbers(path, _PLAIN[tensor.dtype], offset, rows * width).reshape(rows, *shape[1:])


def widened(stored: np.ndarray[Any, Any], dtype: str) -> np.ndarray[Any, Any]:
    """Return stored numbers (F32, F16, or BF16 held as uint16) as float32; float32 is not copied."""
    import numpy as np

    if dtype == "BF16":
        wide = stored.astype(np.uint32)
        wide <<= np.uint32(16)
        return wide.view(np.float32)
    if dtype in ("F32", "F16"):
        return np.asarray(stored, dtype=np.float32)
    raise ModelError(f"a tensor of the type {dtype} cannot be read as numbers")


def narrowed(values: np.ndarray[Any, Any], dtype: str) -> np.ndarray[Any, Any]:
    """Return float32 numbers as they are stored: F32, F16, or BF16 as uint16, rounded to nearest, ties to even."""
    import numpy as np

    if dtype == "F32":
        return np.ascontiguousarray(values, dtype=np.float32)
    if dtype == "F16":
        return values.astype(np.float16)
    bits = np.ascontiguousarray(values, dtype=np.float32).view(np.uint32)
    return ((bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))) >> np.uint32(16)).astype(np.uint16)
