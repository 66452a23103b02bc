"""How many bytes a training takes at its peak, by shapes alone.

The factors count arrays of one size. Those of a CPU were fitted to what MLX allocated for 60 random shapes of three
architectures, within 8 %; those of a GPU follow from what the gradient of each operation needs. What a CPU takes
beside MLX's arrays (the interpreter, its libraries, freed pages) was measured on five bases: `benchmarks/memory.py`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from jessyfile.language.recipe import Lora, Train
from jessyfile.models.precision import BYTES, Precision
from jessyfile.models.shape import Shape
from jessyfile.training.cpu_parts import turns
from jessyfile.training.decoder import FOUR_NORMS, KEPT_BYTES, QUERY_NORMS, kept_numbers
from jessyfile.training.footprint import Footprint, adapter_size
from jessyfile.training.frozen import FROZEN_BYTES
from jessyfile.training.loss import CHUNK

_FLOAT32 = 4
_PROCESS = 170_000_000  # the interpreter and its libraries, MLX's cache of freed arrays, pages that malloc keeps
# arrays of the adapter's size in a step of AdamW: gradient, scaled gradient, both moments and the adapter anew
_STEP = 5


@dataclass(frozen=True, slots=True)
class Workload:
    """What is computed at once: rows of a length behind a shared prefix, their targets, and how many such parts side by side;
    `checkpointing` says that a GPU's layers keep their input alone.
    """

    rows: int
    length: int
    prefix: int = 0
    targets: int = 0
    workers: int = 1
    checkpointing: bool = False

    @property
    def tokens(self) -> int:
        """How many tokens are computed at once in one part."""
        return self.rows * self.length


def part_of(train: Train, longest: int, prefix: int, workers: int, targets: float = 0) -> Workload:
    """Return the largest part that the rows of a training are cut into.

    Args:
        train: the recipe's TRAIN settings.
        longest: tokens of the longest row, without the prefix.
        prefix: tokens that all rows begin with.
        workers: how many parts a CPU computes side by side; 0 for a GPU, which takes whole batches.
        targets: which share of the tokens is trained.
    """
    if not workers:
        many, again = round(targets * train.batch_size * longest), train.grad_checkpointing
        return Workload(train.batch_size, longest, prefix, many, checkpointing=again)
    together = min(workers, train.batch_size)
    parts = together * turns(train.batch_size * longest, train.batch_size, together)
    return Workload(math.ceil(train.batch_size / parts), longest, prefix, workers=together)


def peak(shape: Shape, precision: Precision, lora: Lora, held: Footprint, part: Workload, *, on_gpu: bool) -> int:
    """Return the bytes that training needs at its peak: resident in the process on a CPU, MLX's own on a GPU.

    Args:
        shape: the base's sizes.
        precision: how the base is held.
        lora: the recipe's LORA settings.
        held: what is held all the time.
        part: what is computed at once.
        on_gpu: whether MLX computes on a GPU.
    """
    if on_gpu:
        return held.total + max(_STEP * held.adapter, held.adapter + gpu_bytes(shape, precision, lora, part))
    widened = (
        0 if precision.held == "float32" else _FLOAT32 * max(inner * outer for inner, outer in shape.linear.values())
    )
    frozen = 2 * FROZEN_BYTES * (lora.layers is not None and lora.layers < shape.layers)
    computing = part.workers * (widened + cpu_bytes(shape, lora, part))
    return _PROCESS + held.total + frozen + max(_STEP * held.adapter, computing)


def cpu_bytes(shape: Shape, lora: Lora, part: Workload) -> int:
    """Return what one worker computes with: what the trained layers keep, one more at work, the head's scores, the gradients."""
    tokens, layers = part.tokens + part.prefix, min(lora.layers or shape.layers, shape.layers)
    widths, dora = [shape.linear[one] for one in lora.targets if one in shape.linear], lora.kind == "dora"
    dropped = 2 * (lora.dropout > 0)  # what enters an adapter, and the factors that made it so
    adapted = sum(lora.rank + dora * outer + dropped * inner for inner, outer in widths)
    layer = _FLOAT32 * tokens * (kept_numbers(shape) + adapted)
    kept = min(layers * layer, KEPT_BYTES)
    at_work = _FLOAT32 * tokens * (5 * shape.intermediate + 6 * shape.hidden) + (layer if kept == KEPT_BYTES else 0)
    inputs = _FLOAT32 * tokens * shape.hidden * (layers + 2)
    measured = (
        dora * 2 * _FLOAT32 * max((inner * outer for inner, outer in widths), default=0)
    )  # the adapted weight, for its rows' lengths
    return (
        kept
        + inputs
        + measured
        + max(at_work, _FLOAT32 * tokens * min(CHUNK, shape.vocabulary))
        + 2 * _FLOAT32 * adapter_size(shape, lora)
    )


def gpu_bytes(shape: Shape, precision: Precision, lora: Lora, part: Workload) -> int:
    """Return what a GPU computes with: what each adapted layer keeps for its gradient, one layer more, scores or logits.

    The adapter counts as float32, which it is where updates are not compiled: a narrower input of an adapted product is kept in
    float32 as well, once for each product.

    Args:
        shape: the base's sizes.
        precision: how the base is held.
        lora: the recipe's LORA settings.
        part: what is computed at once.
    """
    projected = (shape.heads + shape.kv_heads) * shape.head_dim
    narrow = precision.computed != "float32"
    kept = (11 if shape.model_type in FOUR_NORMS else 7) * shape.hidden
    kept += (5 if shape.model_type in QUERY_NORMS else 3) * projected
    kept += (5 if shape.model_type.startswith("gemma") else 3) * shape.intermediate
    widths = [shape.linear[one] for one in lora.targets if one in shape.linear]
    adapted = sum(inner * narrow + lora.rank for inner, _ in widths)
    if lora.kind == "dora":  # a product is kept until its rows have got their lengths
        kept += sum(outer for _, outer in widths)
    a_token = BYTES[precision.computed] * kept + _FLOAT32 * adapted
    layers = min(lora.layers or shape.layers, shape.layers) + 1
    if part.checkpointing:  # one layer at a time is whole, the others are their inputs
        a_token, layers = a_token + shape.layers * BYTES[precision.computed] * shape.hidden // 2, 2
    scores = 4 * BYTES[precision.computed] * part.rows * shape.heads * part.length * (part.length + part.prefix)
    logits = part.targets * shape.vocabulary * 16
    return layers * part.tokens * a_token + max(scores, logits)
