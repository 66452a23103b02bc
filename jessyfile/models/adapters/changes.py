"""What an adapter does to the tensors of a base: a few kinds of change, each of which alters one tensor in place.

LoRA (Hu et al. 2021) and rsLoRA (Kalajdzievski 2023) are a `Product`; DoRA (Liu et al. 2024) is a `Product` and then
`Rescaled`; a full tuning and PEFT's `modules_to_save` are `Replaced`. All arithmetic is float32, and nothing as large as
the tensor is held beside it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from jessyfile.errors import ModelError
from jessyfile.models.folder_config import text_name
from jessyfile.models.safetensors_check import StoredTensor, check_safetensors
from jessyfile.models.weights import CHUNK_VALUES, READABLE, stored_array, widened
from jessyfile.text.printable import brief

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np

Shape: TypeAlias = tuple[int, ...]
_LONGEST_NAME = 300
UNGATHERED = "gather its parts from all devices before saving (DeepSpeed: stage3_gather_16bit_weights_on_model_save)"


@dataclass(frozen=True, slots=True)
class AdapterTensor:
    """One tensor of an adapter's file, read when it is asked for; `turned` says that it is stored transposed."""

    path: Path
    stored: StoredTensor
    turned: bool = False

    @property
    def shape(self) -> Shape:
        """Return the shape as it is used."""
        return self.stored.shape[::-1] if self.turned else self.stored.shape

    def read(self) -> np.ndarray[Any, Any]:
        """Return the numbers in float32. Raises ModelError when one of them is not finite."""
        import numpy as np

        found = widened(stored_array(self.path, self.stored), self.stored.dtype)
        if not np.isfinite(found).all():
            raise ModelError(
                f"`{self.path.name}` holds numbers in {self.stored.name!r} that are not finite",
                hint="train again with a lower rate",
            )
        return found.T if self.turned else found


def adapter_tensors(path: Path) -> dict[str, AdapterTensor]:
    """Return the tensors of an adapter's file by name. Raises ModelError for a damaged file or numbers jessy cannot read."""
    found = check_safetensors(path)
    for name, stored in found.items():
        if len(name) > _LONGEST_NAME:
            raise ModelError(f"`{path.name}` names a tensor {brief(name)}", hint="copy the adapter's folder again")
        if not stored.nbytes:
            raise ModelError(f"`{path.name}` holds no number in {name!r}", hint=UNGATHERED)
        if stored.dtype not in READABLE:
            raise ModelError(
                f"`{path.name}` stores {name!r} as {stored.dtype}",
                hint="an adapter is taken in F32, F16 or BF16; save it again without quantizing it",
            )
    return {name: AdapterTensor(path, stored) for name, stored in found.items()}


class TensorChange(Protocol):
    """Something that an adapter does to one tensor."""

    @property
    def shape(self) -> Shape:
        """Return the shape to tell of."""

    def fits(self, shape: Shape) -> bool:
        """Return whether a tensor of this shape can be changed so."""
        return shape == self.shape

    def apply(self, weight: np.ndarray[Any, Any]) -> None:
        """Change the float32 tensor in place."""


@dataclass(frozen=True, slots=True)
class Product(TensorChange):
    """Adds `scale · left · right`, where left is (rows, rank) and right (rank, columns)."""

    left: AdapterTensor
    right: AdapterTensor
    scale: float

    @property
    def shape(self) -> Shape:
        """Return the shape of the product."""
        return (self.left.shape[0], self.right.shape[1])

    def apply(self, weight: np.ndarray[Any, Any]) -> None:
        """Add the product, some rows at a time, in float64: a sum in float32 comes out otherwise on another processor, and so would the
        file."""
        import numpy as np

        left, right = self.left.read().astype(np.float64), self.right.read().astype(np.float64)
        step = max(1, CHUNK_VALUES // max(1, weight.shape[1]))
        for start in range(0, len(weight), step):
            part = weight[start : start + step]
            part[...] = part + self.scale * (left[start : start + step] @ right)


@dataclass(frozen=True, slots=True)
class Rescaled(TensorChange):
    """Gives every row (axis 1) or every column (axis 0) a length; one of zeros stays as it is."""

    lengths: AdapterTensor
    axis: int = 1

    @property
    def shape(self) -> Shape:
        """Return the shape of the lengths."""
        return self.lengths.shape

    def fits(self, shape: Shape) -> bool:
        """Return whether there is one length for each row or column."""
        return len(shape) == 2 and self.shape == (shape[1 - self.axis],)

    def apply(self, weight: np.ndarray[Any, Any]) -> None:
        """Bring the rows or columns to their lengths."""
        import numpy as np

        axes = "ij,ij->i" if self.axis else "ij,ij->j"
        before = np.sqrt(np.einsum(axes, weight, weight, dtype=np.float64))
        after = self.lengths.read().astype(np.float64)
        factors = np.divide(after, before, out=np.zeros_like(before), where=before > 0).astype(np.float32)
        weight *= np.expand_dims(factors, self.axis)


@dataclass(frozen=True, slots=True)
class Replaced(TensorChange):
    """Puts a whole tensor in the place of the base's."""

    tensor: AdapterTensor

    @property
    def shape(self) -> Shape:
        """Return the shape of the tensor."""
        return self.tensor.shape

    def apply(self, weight: np.ndarray[Any, Any]) -> None:
        """Overwrite all numbers."""
        weight[...] = self.tensor.read()


@dataclass(frozen=True, slots=True)
class Rows(TensorChange):
    """Puts rows in the place of those with the given numbers."""

    numbers: tuple[int, ...]
    tensor: AdapterTensor

    @property
    def shape(self) -> Shape:
        """Return the shape of the smallest tensor that has these rows."""
        return (max(self.numbers) + 1, *self.tensor.shape[1:])

    def fits(self, shape: Shape) -> bool:
        """Return whether the tensor has rows of these numbers, as wide as these."""
        return shape[1:] == self.shape[1:] and self.shape[0] <= shape[0]

    def apply(self, weight: np.ndarray[Any, Any]) -> None:
        """Overwrite the rows."""
        weight[list(self.numbers)] = self.tensor.read()


def finite_number(value: object) -> float | None:
    """Return a number of a configuration as a float, None for anything that is no finite number."""
    try:
        found = float(value) if isinstance(value, int | float) and not isinstance(value, bool) else math.nan
    except OverflowError:
        return None
    return found if math.isfinite(found) else None


@dataclass(frozen=True, slots=True)
class Adapter:
    """What each tensor of a base becomes: by the tensor's name its changes, made one after another.

    A head (`lm_head.weight`) that is named here, even with no change, is no longer tied to the embedding.
    """

    changes: Mapping[str, Sequence[TensorChange]]


def adapter_of(found: Iterable[tuple[str, Sequence[TensorChange]]]) -> Adapter:
    """Return the adapter with these changes. Raises ModelError when a tensor is changed under two names, or is of images."""
    changes: dict[str, Sequence[TensorChange]] = {}
    for name, own in found:
        plain = text_name(name)
        if plain is None:
            raise ModelError(
                f"the adapter changes `{name}`, which is not of the text part of the model",
                hint="train it on the language layers alone (finetune_vision_layers=False, or target_modules)",
            )
        if plain in changes:
            raise ModelError(f"the adapter changes `{name}` twice", hint="leave one of the two in the file")
        changes[plain] = own
    return Adapter(changes)
