"""Every tensor of a GGUF against what the model folder says, from the files alone."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from jessyfile.models.folder_config import EMBEDDING, HEAD
from jessyfile.models.from_gguf import dequantized, restored
from jessyfile.parity.faults import Mismatch
from jessyfile.parity.grid import misplaced
from jessyfile.parity.limits import limit_of

if TYPE_CHECKING:
    import numpy as np

    from jessyfile.models.gguf_reader import GgufFile, GgufTensor
    from jessyfile.parity.truth import Truth

_FACTORS = ("rope_freqs.weight", "rope_factors_long.weight", "rope_factors_short.weight")


@dataclass(slots=True)
class TensorFigures:
    """Sums over one tensor: squares of the right numbers and of the error, numbers that are no roundings of the right ones,
    and, where an adapter changes the tensor, what its change and what is stored have in common.
    """

    name: str
    kind: str
    norm: float = 0.0
    wrong: float = 0.0
    off: int = 0
    looked: int = 0
    kept: float = 0.0
    change: float = 0.0
    size: int = 0

    @property
    def error(self) -> float:
        """Return the squared error relative to the squared norm."""
        return self.wrong / self.norm if self.norm else self.wrong

    @property
    def off_grid(self) -> float:
        """Return the share of numbers that are no roundings of the right ones."""
        return self.off / self.looked if self.looked else 0.0

    @property
    def survival(self) -> float | None:
        """Return how much of the adapter's change is stored, None where it changes nothing."""
        return self.kept / self.change if self.change else None

    @property
    def chance(self) -> float:
        """Return how far the survival may lie from 1 by the type's error alone."""
        return 0.02 + 4 * math.sqrt(self.wrong / self.change / self.size) if self.change else 0.0

    @property
    def faithful(self) -> bool:
        """Return whether the differences are those of the type."""
        limit = limit_of(self.kind)
        return self.error <= limit.error and self.off_grid <= limit.grid


@dataclass(slots=True)
class Comparison:
    """All tensors that both have, and faults of those that only one has."""

    figures: list[TensorFigures] = field(default_factory=list)
    faults: list[Mismatch] = field(default_factory=list)

    @property
    def survival(self) -> float | None:
        """Return how much of the adapter's whole change is stored."""
        change = sum(one.change for one in self.figures)
        return sum(one.kept for one in self.figures) / change if change else None

    @property
    def worst(self) -> TensorFigures | None:
        """Return the tensor with the largest error."""
        return max(self.figures, key=lambda one: one.error, default=None)


def compare_adapted(file: GgufFile, truth: Truth) -> Comparison:
    """Compare the tensors that the adapter changes."""
    stored = {truth.architecture.mlx_name(name): tensor for name, tensor in file.tensors.items()}
    same = {name: stored[name] for name in truth.changes if name in stored and stored[name].shape == truth.shape(name)}
    return Comparison([_figures(file, tensor, truth, name) for name, tensor in same.items()])


def compare_tensors(file: GgufFile, truth: Truth) -> Comparison:
    """Compare all tensors; those whose shape differs are told as faults and not compared."""
    found, wanted = Comparison(), dict.fromkeys(truth.names)
    for tensor in file.tensors.values():
        name = truth.architecture.mlx_name(tensor.name)
        if tensor.name in _FACTORS:
            continue
        if name == HEAD and name not in wanted:
            name = EMBEDDING  # a head that is the embedding may be written out
        elif name not in wanted:
            found.faults.extend(_surplus(file, tensor, truth))
            continue
        if tensor.shape != truth.shape(name):
            found.faults.append(_shape(tensor, truth.shape(name)))
            continue
        try:
            found.figures.append(_figures(file, tensor, truth, name))
        except NotImplementedError:
            message = f"{tensor.name!r} is stored in a type (ggml's {tensor.kind}) that cannot be read"
            found.faults.append(Mismatch("type", "gguf", message, "take the same model in F16 or Q8_0"))
    stored = {truth.architecture.mlx_name(name) for name in file.tensors}
    found.faults.extend(fault for name in wanted if name not in stored for fault in _missing(truth, name))
    return found


def _figures(file: GgufFile, tensor: GgufTensor, truth: Truth, name: str) -> TensorFigures:
    import numpy as np
    from gguf.constants import GGMLQuantizationType

    found = TensorFigures(tensor.name, GGMLQuantizationType(tensor.kind).name, size=math.prod(tensor.shape))
    own = bool(truth.changes.get(name))
    heads = truth.architecture.heads_of(tensor.name, truth.config)
    for start, given in [(0, truth.read(name))] if heads else truth.chunks(name):
        stored = stored_rows(file, tensor, truth, start, len(given))
        difference = stored - given
        found.norm += float(np.vdot(given, given))
        found.wrong += float(np.vdot(difference, difference))
        off, looked = misplaced(_shifted(given, tensor, truth), _shifted(stored, tensor, truth), tensor.kind)
        found.off, found.looked = found.off + off, found.looked + looked
        if own:
            change = given - truth.base(name)
            found.change += float(np.vdot(change, change))
            found.kept += float(np.vdot(change + difference, change))
    return found


def _shifted(values: np.ndarray[Any, Any], tensor: GgufTensor, truth: Truth) -> np.ndarray[Any, Any]:
    """Norms are rounded with the one that llama.cpp's file adds to them."""
    import numpy as np

    if not (truth.architecture.norm_shift and truth.architecture.is_norm(tensor.name)):
        return values
    moved: np.ndarray[Any, Any] = values + np.float32(1)
    return moved


def stored_rows(file: GgufFile, tensor: GgufTensor, truth: Truth, start: int, count: int) -> np.ndarray[Any, Any]:
    """Return rows of a stored tensor as MLX holds them, float32.

    Args:
        file: the opened GGUF.
        tensor: the tensor's entry.
        truth: the model that it is said to hold.
        start: the first row.
        count: how many rows.

    Returns:
        An array of shape (count, ...).
    """
    import numpy as np
    from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType
    from gguf.quants import dequantize

    if truth.architecture.heads_of(tensor.name, truth.config) or count == tensor.shape[0]:
        return restored(file, tensor, truth.architecture, dict(truth.config))
    block, block_bytes = GGML_QUANT_SIZES[GGMLQuantizationType(tensor.kind)]
    width = 1
    for dimension in tensor.shape[1:]:
        width *= dimension
    row = width // block * block_bytes
    packed = file.stored(tensor, start * row, count * row).reshape(count, row)
    values = dequantize(packed, GGMLQuantizationType(tensor.kind)).reshape(count, *tensor.shape[1:])
    return np.ascontiguousarray(values, dtype=np.float32)


def _surplus(file: GgufFile, tensor: GgufTensor, truth: Truth) -> Iterator[Mismatch]:
    """A bias of zeros changes nothing; anything else that the folder lacks does."""
    if tensor.name.endswith(".bias") and not dequantized(file, tensor).any():
        return
    kind = "bias" if tensor.name.endswith(".bias") else "extra tensor"
    message = (
        f"the GGUF has a tensor {tensor.name!r}, which a {truth.architecture.model_type} of this folder does not have"
    )
    yield Mismatch(kind, "gguf", message, "convert the folder again")


def _missing(truth: Truth, name: str) -> Iterator[Mismatch]:
    import numpy as np

    if name == HEAD and np.array_equal(truth.read(HEAD), truth.read(EMBEDDING)):
        return
    if name.endswith(".bias") and not truth.read(name).any():
        return
    stored = truth.architecture.gguf_name(name)
    kind = "head" if name == HEAD else "bias" if name.endswith(".bias") else "missing tensor"
    yield Mismatch(kind, "gguf", f"the GGUF lacks {stored!r}, which the folder holds as {name!r}", "convert it again")


def _shape(tensor: GgufTensor, shape: tuple[int, ...]) -> Mismatch:
    kind = "vocabulary" if tensor.name in ("token_embd.weight", "output.weight") else "shape"
    message = f"{tensor.name!r} has the shape {tensor.shape} in the GGUF, and the folder says {shape}"
    return Mismatch(kind, "gguf", message, "it was made from another model; convert the folder again")
