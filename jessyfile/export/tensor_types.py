"""Which type each tensor of a GGUF gets: llama.cpp's own choice for every file type.

A file type such as `q4_k_m` is a mixture: what harms most when it is coarse (the values of attention, the way down of
the MLP, the head) gets more bits in some layers. A row that the type's blocks do not divide falls back to a type whose
blocks do; Gemma 3 270M is 640 wide, and 256 divides few of its rows.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jessyfile.models.shape import Shape


class Kind(IntEnum):
    """The type of one tensor, by ggml's number."""

    F32 = 0
    F16 = 1
    Q4_0 = 2
    Q4_1 = 3
    Q5_0 = 6
    Q5_1 = 7
    Q8_0 = 8
    Q3_K = 11
    Q4_K = 12
    Q5_K = 13
    Q6_K = 14
    IQ4_NL = 20
    IQ4_XS = 23
    BF16 = 30

    @property
    def block(self) -> int:
        """How many numbers of a row are stored together."""
        return _BLOCKS[self][0]

    def nbytes(self, numbers: int) -> int:
        """Return how many bytes whole blocks of numbers take."""
        block, size = _BLOCKS[self]
        return numbers // block * size


# numbers and bytes of a block
_BLOCKS: Mapping[Kind, tuple[int, int]] = {
    Kind.F32: (1, 4), Kind.F16: (1, 2), Kind.BF16: (1, 2), Kind.Q8_0: (32, 34), Kind.Q5_1: (32, 24),
    Kind.Q5_0: (32, 22), Kind.Q4_1: (32, 20), Kind.Q4_0: (32, 18), Kind.IQ4_NL: (32, 18), Kind.Q6_K: (256, 210),
    Kind.Q5_K: (256, 176), Kind.Q4_K: (256, 144), Kind.Q3_K: (256, 110), Kind.IQ4_XS: (256, 136),
}  # fmt: skip
_FALLBACKS: Mapping[Kind, Kind] = {
    Kind.Q6_K: Kind.Q8_0, Kind.Q5_K: Kind.Q5_1, Kind.Q4_K: Kind.Q5_0, Kind.Q3_K: Kind.Q4_0, Kind.IQ4_XS: Kind.IQ4_NL,
}  # fmt: skip
# what `quantize` names: the type of most tensors, and general.file_type (llama.h's LLAMA_FTYPE)
FILE_TYPES: Mapping[str, tuple[Kind, int]] = {
    "f32": (Kind.F32, 0),
    "f16": (Kind.F16, 1),
    "bf16": (Kind.BF16, 32),
    "q8_0": (Kind.Q8_0, 7),
    "q6_k": (Kind.Q6_K, 18),
    "q5_k_m": (Kind.Q5_K, 17),
    "q5_k_s": (Kind.Q5_K, 16),
    "q5_1": (Kind.Q5_1, 9),
    "q5_0": (Kind.Q5_0, 8),
    "q4_k_m": (Kind.Q4_K, 15),
    "q4_k_s": (Kind.Q4_K, 14),
    "iq4_nl": (Kind.IQ4_NL, 25),
    "iq4_xs": (Kind.IQ4_XS, 30),
    "q4_1": (Kind.Q4_1, 3),
    "q4_0": (Kind.Q4_0, 2),
    "q3_k_l": (Kind.Q3_K, 13),
    "q3_k_m": (Kind.Q3_K, 12),
    "q3_k_s": (Kind.Q3_K, 11),
}
_PLAIN = (Kind.F32, Kind.F16, Kind.BF16)


def weighs(file_type: str) -> bool:
    """Return whether an importance matrix changes a file of this type."""
    return FILE_TYPES[file_type][0] not in (*_PLAIN, Kind.Q8_0)


_EMBEDDINGS, _HEAD = "token_embd.weight", "output.weight"
_LARGE = 80  # the layers from which llama.cpp calls a llama or qwen2 with shared keys the 70B one


@dataclass(frozen=True, slots=True)
class Mixture:
    """What the choice depends on besides the tensor.

    `tied` says that the embeddings are the head too, `shared` how many query heads share a key head, `large` that it is of
    llama.cpp's 70B class, and `weighed` that an importance matrix is there.
    """

    file_type: str
    layers: int
    tied: bool
    shared: int
    large: bool = False
    weighed: bool = False

    @classmethod
    def of(cls, shape: Shape, file_type: str, *, weighed: bool = False) -> Mixture:
        """Return the mixture of a file type for a model of this shape."""
        shared = shape.heads // shape.kv_heads
        family = shape.model_type == "qwen2" or (shape.model_type in ("llama", "mistral") and shared > 1)
        large = family and shape.layers == _LARGE
        return cls(file_type, shape.layers, shape.tied, shared, large, weighed)

    def kind(self, name: str, shape: tuple[int, ...]) -> Kind:
        """Return the type of a tensor by its GGUF name and its shape."""
        if len(shape) == 1 or name.endswith("_norm.weight"):
            return Kind.F32
        main = FILE_TYPES[self.file_type][0]
        wanted = main if main in _PLAIN else self._wanted(main, name, shape[-1])
        if shape[-1] % wanted.block == 0:
            return wanted
        fallback = _FALLBACKS.get(wanted, Kind.F16)
        return fallback if shape[-1] % fallback.block == 0 else Kind.F16

    def _wanted(self, main: Kind, name: str, width: int) -> Kind:
        if name == _HEAD or (self.tied and name == _EMBEDDINGS):
            return Kind.Q8_0 if main is Kind.Q8_0 or width % main.block else Kind.Q6_K
        block, _, part = name.removeprefix("blk.").partition(".")
        role = _ROLES.get(part)
        return main if role is None else role(self, int(block)) or main

    def more_bits(self, layer: int) -> bool:
        """Return whether a layer is one of the first or last eighth, or every third between them."""
        eighth = self.layers // 8
        return layer < eighth or layer >= 7 * self.layers // 8 or (layer - eighth) % 3 == 2


def _values(mixture: Mixture, layer: int) -> Kind | None:
    """Return what the values of attention get, which are small where heads share them and harm most; None for the main
    type."""
    chosen = {
        "q3_k_m": Kind.Q5_K if layer < 2 else Kind.Q4_K,
        "q3_k_l": Kind.Q5_K,
        "q4_k_s": Kind.Q5_K if layer < 4 else None,
        "q4_k_m": Kind.Q6_K if mixture.more_bits(layer) else None,
        "q5_k_m": Kind.Q6_K if mixture.more_bits(layer) else None,
        "iq4_xs": Kind.Q5_K if mixture.shared >= 4 else None,
        "iq4_nl": Kind.Q5_K if mixture.shared >= 4 else None,
    }.get(mixture.file_type)
    coarse = (chosen or FILE_TYPES[mixture.file_type][0]) in (Kind.Q3_K, Kind.Q4_K)
    return Kind.Q5_K if mixture.large and coarse else chosen


def _down(mixture: Mixture, layer: int) -> Kind | None:
    """Return what the way down of the MLP gets, whose inputs have outliers in the first layers; None for the main type."""
    early = layer < mixture.layers // 8
    return {
        "q3_k_m": Kind.Q5_K if layer < mixture.layers // 16 else Kind.Q4_K,
        "q3_k_l": Kind.Q5_K,
        "q4_k_s": Kind.Q5_K if early else None,
        "q4_k_m": Kind.Q6_K if mixture.more_bits(layer) else None,
        "q5_k_m": Kind.Q6_K if mixture.more_bits(layer) else None,
        "iq4_xs": Kind.Q5_K if early and not mixture.weighed else None,
        "iq4_nl": Kind.Q5_K if early and not mixture.weighed else None,
        "q4_0": Kind.Q4_1 if early and mixture.weighed else None,
        "q5_0": Kind.Q5_1 if early and mixture.weighed else None,
    }.get(mixture.file_type)


def _attention_output(mixture: Mixture, layer: int) -> Kind | None:  # noqa: ARG001 (a role's rule)
    return {"q3_k_m": Kind.Q4_K, "q3_k_l": Kind.Q5_K}.get(mixture.file_type)


_ROLES = {
    "attn_v.weight": _values,
    "attn_qkv.weight": _values,
    "ffn_down.weight": _down,
    "attn_output.weight": _attention_output,
}
_PARTS = {"v_proj": "attn_v", "o_proj": "attn_output", "down_proj": "ffn_down"}


def forecast_bytes(shape: Shape, file_type: str, *, weighed: bool = False) -> int:
    """Return about how many bytes the tensors of a model of this shape take in a file of a type."""
    mixture = Mixture.of(shape, file_type, weighed=weighed)
    return sum(mixture.kind(name, size).nbytes(math.prod(size)) for name, size in _matrices(shape))


def _matrices(shape: Shape) -> Iterator[tuple[str, tuple[int, int]]]:
    for name, (width, rows) in zip((_EMBEDDINGS, _HEAD), shape.matrices, strict=False):
        yield name, (rows, width)
    for layer in range(shape.layers):
        for part, (width, rows) in shape.linear.items():
            yield f"blk.{layer}.{_PARTS.get(part, part)}.weight", (rows, width)
