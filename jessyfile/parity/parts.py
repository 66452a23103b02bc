"""A GGUF that is one file, or the parts that it was split into, joined."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

from jessyfile.models.gguf_container import OutTensor, write_container
from jessyfile.models.gguf_reader import GgufFile, GgufTensor, read_gguf

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

_PART = re.compile(r"(.+)-(\d{5})-of-(\d{5})\.gguf")
_RUN = 1 << 24


def opened_gguf(path: Path, work: Path) -> tuple[Path, GgufFile]:
    """Return a GGUF and where it lies; parts are joined in `work`. Raises ModelError for a damaged file or a missing part."""
    file = read_gguf(path)
    many = file.count("split.count", 1, least=0)
    if many <= 1:
        return path, file
    named = _PART.fullmatch(path.name)
    if named is None:
        raise file.bad(f"is one of {many} parts and is not called as one", "name the parts …-00001-of-0000N.gguf")
    parts = [read_gguf(path.with_name(f"{named[1]}-{number:05}-of-{many:05}.gguf")) for number in range(1, many + 1)]
    joined = work / f"{named[1]}.gguf"
    keys = [data for key, data in parts[0].raw.items() if not key.startswith("split.") and key != "general.alignment"]
    write_container(joined, keys, [_copied(part, tensor) for part in parts for tensor in part.tensors.values()])
    return joined, read_gguf(joined)


def _copied(part: GgufFile, tensor: GgufTensor) -> OutTensor:
    return OutTensor(tensor.name, tensor.shape, tensor.kind, tensor.nbytes, partial(_runs, part, tensor))


def _runs(part: GgufFile, tensor: GgufTensor) -> Iterator[NDArray[np.uint8]]:
    for start in range(0, tensor.nbytes, _RUN):
        yield part.stored(tensor, start, min(_RUN, tensor.nbytes - start))
