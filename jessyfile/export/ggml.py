"""The seam to ggml's own quantization, in the library of the embedded engine: numbers to the bytes of a type, and back.

The functions compute each row by itself and let go of Python's lock, so rows may be given to threads and the bytes do
not depend on how.
"""

from __future__ import annotations

import ctypes
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jessyfile.errors import ExportError
from jessyfile.export.tensor_types import Kind
from jessyfile.machine import threads_that_rest

if TYPE_CHECKING:
    import numpy as np

_ENGINE = "xllamacpp"
_POINTER, _COUNT = ctypes.c_void_p, ctypes.c_int64
_FROM_FLOATS = "ggml_quantize_chunk"
_TO_FLOATS = {
    Kind.F16: "ggml_fp16_to_fp32_row", Kind.BF16: "ggml_bf16_to_fp32_row", Kind.Q8_0: "dequantize_row_q8_0",
    Kind.Q5_1: "dequantize_row_q5_1", Kind.Q5_0: "dequantize_row_q5_0", Kind.Q4_1: "dequantize_row_q4_1",
    Kind.Q4_0: "dequantize_row_q4_0", Kind.Q6_K: "dequantize_row_q6_K", Kind.Q5_K: "dequantize_row_q5_K",
    Kind.Q4_K: "dequantize_row_q4_K", Kind.Q3_K: "dequantize_row_q3_K", Kind.IQ4_NL: "dequantize_row_iq4_nl",
    Kind.IQ4_XS: "dequantize_row_iq4_xs",
}  # fmt: skip


def library_path() -> Path | None:
    """Return where the embedded engine's library lies, None when it is not installed."""
    spec = find_spec(_ENGINE)
    places = spec.submodule_search_locations if spec is not None else None
    found = (path for place in places or () for path in sorted(Path(place).glob(f"{_ENGINE}*")))
    return next((path for path in found if path.suffix in (".so", ".pyd", ".dylib")), None)


@cache
def library() -> ctypes.CDLL:
    """Return the library with ggml's functions, their types declared.

    Raises ExportError when it is not there or lacks one of them.
    """
    hint = f"install today's engine: pip install --upgrade {_ENGINE}"
    path = library_path()
    if path is None:
        raise ExportError(
            f"ggml's quantization is not here: the embedded engine, {_ENGINE}, is not installed", hint=hint
        )
    try:
        with threads_that_rest():  # the engine that may be used afterwards is in it
            loaded = ctypes.CDLL(str(path))
    except OSError as error:
        raise ExportError(f"the embedded engine's library cannot be loaded: {error}", hint=hint) from error
    missing = [name for name in (_FROM_FLOATS, *_TO_FLOATS.values()) if not hasattr(loaded, name)]
    if missing:
        raise ExportError(f"the embedded engine, {_ENGINE}, does not give its {missing[0]} to others", hint=hint)
    chunk = getattr(loaded, _FROM_FLOATS)
    chunk.argtypes = [ctypes.c_int, _POINTER, _POINTER, _COUNT, _COUNT, _COUNT, _POINTER]
    chunk.restype = ctypes.c_size_t
    for name in _TO_FLOATS.values():
        function = getattr(loaded, name)
        function.argtypes, function.restype = [_POINTER, _POINTER, _COUNT], None
    return loaded


def packed(
    values: np.ndarray[Any, Any], kind: Kind, importance: np.ndarray[Any, Any] | None = None
) -> np.ndarray[Any, Any]:
    """Return rows of float32 numbers as the bytes of a type.

    Args:
        values: finite numbers, the last dimension divisible by the type's block.
        kind: the type.
        importance: how much the error of each column counts, float32; None for all the same.

    Returns:
        The bytes as `uint8`, one dimension.

    Raises:
        ExportError: the library is not there.
        ValueError: the rows do not divide into blocks, or the importance is no row's; ggml would end the process.
    """
    import numpy as np

    width = values.shape[-1]
    if width % kind.block or (importance is not None and importance.shape != (width,)):
        raise ValueError(f"rows of {width} numbers do not fit {kind.name}")
    numbers = np.ascontiguousarray(values, dtype=np.float32)
    if kind is Kind.F32:
        return numbers.reshape(-1).view(np.uint8)
    weights = None if importance is None else np.ascontiguousarray(importance, dtype=np.float32)
    found = np.empty(kind.nbytes(numbers.size), np.uint8)
    given = None if weights is None else weights.ctypes.data
    size = library().ggml_quantize_chunk(
        kind, numbers.ctypes.data, found.ctypes.data, 0, numbers.size // width, width, given
    )
    if size != found.nbytes:
        raise ExportError(f"ggml wrote {size} bytes of {kind.name} instead of {found.nbytes}")
    return found


def unpacked(data: np.ndarray[Any, Any], kind: Kind, count: int) -> np.ndarray[Any, Any]:
    """Return the bytes of a type as `count` float32 numbers. Raises ExportError when the library is not there."""
    import numpy as np

    if kind is Kind.F32:
        return data.view(np.float32)
    found = np.empty(count, np.float32)
    getattr(library(), _TO_FLOATS[kind])(data.ctypes.data, found.ctypes.data, count)
    return found
