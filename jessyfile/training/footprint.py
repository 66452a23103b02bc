"""How many bytes a training holds from its first update to its last, by the base's shape and precision."""

from __future__ import annotations

from dataclasses import dataclass

from jessyfile.language.recipe import Lora
from jessyfile.models.precision import BITS, BYTES, GROUP, HEAD_BITS, Precision
from jessyfile.models.shape import Shape

_FLOAT32 = 4
_MOMENTS = 2  # AdamW's two running means of every trained number


@dataclass(frozen=True, slots=True)
class Footprint:
    """Bytes of the base's weights, of the adapter, and of the optimizer's state."""

    base: int
    adapter: int
    optimizer: int

    @property
    def total(self) -> int:
        """All of them together."""
        return self.base + self.adapter + self.optimizer


def footprint(shape: Shape, precision: Precision, lora: Lora, stored: int = 0) -> Footprint:
    """Return what training this adapter on this base holds in memory, activations and gradients aside.

    Args:
        shape: the base's sizes.
        precision: how the base is held.
        lora: the recipe's LORA settings.
        stored: the bytes of the base's own files, which count where they are held as they are.
    """
    adapter = _FLOAT32 * adapter_size(shape, lora)
    base = stored if precision.held == "stored" else base_bytes(shape, precision)
    return Footprint(base, adapter, _MOMENTS * adapter)


def adapter_size(shape: Shape, lora: Lora) -> int:
    """Return how many numbers an adapter trains; a target that the base does not have counts as none."""
    layers = min(lora.layers or shape.layers, shape.layers)
    widths = [shape.linear[target] for target in lora.targets if target in shape.linear]
    lengths = lora.kind == "dora"  # one for each output row
    return layers * sum(lora.rank * (inner + outer) + lengths * outer for inner, outer in widths)


def base_bytes(shape: Shape, precision: Precision) -> int:
    """Return the bytes of the base's matrices as they are held; norms and biases are less than a thousandth of them."""
    bits = BITS.get(precision.held)
    block = sum(_bytes(inner, outer, bits, precision) for inner, outer in shape.linear.values())
    ends = sum(_bytes(width, rows, bits and HEAD_BITS, precision) for width, rows in shape.matrices)
    return shape.layers * block + ends


def loading_bytes(shape: Shape, precision: Precision, stored: float) -> int:
    """Return the bytes at the peak of loading, `stored` to a number: the largest matrix once more, in its own type,
    and in the type that it is rounded from.

    With a large vocabulary that is more than a training of short rows on a base of 4 bits takes.
    """
    if precision.held == "stored" or BYTES.get(precision.held) == stored:
        return 0
    width, rows = shape.matrices[0]
    bits = HEAD_BITS if precision.held in BITS else None
    # weights are read in the model's order: the embeddings first, a head of its own last
    before = _bytes(width, rows, bits, precision) if shape.tied else base_bytes(shape, precision)
    rounded_from = BYTES[precision.computed] if bits and BYTES[precision.computed] != stored else 0
    return before + round((stored + rounded_from) * width * rows)


def _bytes(width: int, rows: int, bits: int | None, precision: Precision) -> int:
    """Return the bytes of one matrix; a width that is no multiple of the group stays as the base computes."""
    if bits is None:
        return width * rows * BYTES[precision.held]
    if width % GROUP:
        return width * rows * BYTES[precision.computed]
    return width * rows * bits // 8 + 2 * (width // GROUP) * rows * BYTES[precision.computed]
