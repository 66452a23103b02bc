"""Write a model folder as GGUF, rows at a time, and check what was written.

Types follow llama.cpp's own conversion: one-dimensional and norm tensors stay F32; a tensor whose rows do not divide
into blocks becomes F16; with 4 and 5 bits the embeddings and the output stay Q8_0, for `gguf` has no Q6_K and a tied
embedding carries every logit.

Not covered: K-quants (Ollama or `llama-quantize` make them from F16), tensors of vision towers, mixtures of experts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from jessyfile.errors import ExportError, ModelError
from jessyfile.export.gguf_metadata import key_bytes
from jessyfile.models.architectures import Architecture, by_model_type, head_size
from jessyfile.models.gguf_container import OutTensor, write_container
from jessyfile.models.rope import rope_scaling, rope_theta
from jessyfile.models.weights import Weights, narrowed

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np

Report = Callable[[int, int, str], None]
# name -> ggml_type, general.file_type (llama.h's LLAMA_FTYPE), and the highest NMSE that a faithful write may show
QUANTIZATIONS: Mapping[str, tuple[int, int, float]] = {
    "f32": (0, 0, 1e-12),
    "f16": (1, 1, 1e-6),
    "bf16": (30, 32, 1e-4),
    "q8_0": (8, 7, 1e-4),
    "q5_1": (7, 9, 5e-3),
    "q5_0": (6, 8, 5e-3),
    "q4_1": (3, 3, 2e-2),
    "q4_0": (2, 2, 2e-2),
}
_F32, _F16, _BF16, _Q8_0 = 0, 1, 30, 8
_SMALL = ("q5_1", "q5_0", "q4_1", "q4_0")
_IGNORED = ("rotary_emb.inv_freq",)


@dataclass(frozen=True, slots=True)
class Written:
    """A checked GGUF: tensors written, bytes, and the worst NMSE of a tensor against the folder's numbers."""

    tensors: int
    bytes: int
    worst_nmse: float
    worst_tensor: str


@dataclass(frozen=True, slots=True)
class _Plan:
    """One tensor: its name in the folder and in the file, its type, and by how many heads its rows are permuted."""

    source: str
    name: str
    shape: tuple[int, ...]
    kind: int
    heads: int | None


def write_gguf(folder: Path, target: Path, quantize: str, report: Report) -> Written:
    """Write a model folder as GGUF, read the file back and compare.

    Args:
        folder: a folder with config.json, model*.safetensors and tokenizer.json.
        target: the file to write.
        quantize: one of `QUANTIZATIONS`.
        report: told tensors done, tensors in all, and a name; writing and checking are one pass each.

    Returns:
        Sizes, types and errors of what was written.

    Raises:
        ExportError: the type is unknown, a tensor has no place in GGUF, or the file read back differs from the folder.
    """
    if quantize not in QUANTIZATIONS:
        raise ExportError(f"`{quantize}` is no type that jessy can write", hint=f"known are {', '.join(QUANTIZATIONS)}")
    weights = Weights(folder)
    architecture = by_model_type(weights.config.get("model_type"))
    plans = _plans(weights, architecture, quantize)
    extra = _rope_factors(weights.config)
    tensors = [_out(weights, architecture, plan, number, 2 * len(plans), report) for number, plan in enumerate(plans)]
    keys = key_bytes(folder, architecture, weights.config, QUANTIZATIONS[quantize][1])
    write_container(target, keys, [*extra, *tensors])
    return _check(weights, architecture, plans, target, len(extra), report)


def _plans(weights: Weights, architecture: Architecture, quantize: str) -> list[_Plan]:
    plans = []
    for source in weights.names:
        name = architecture.gguf_name(source)
        if name is None and not source.endswith(_IGNORED):
            raise ExportError(f"the tensor {source!r} has no place in a {architecture.gguf} GGUF")
        if name is not None and not (name == "output.weight" and weights.config.get("tie_word_embeddings", False)):
            shape = weights.shape(source)
            heads = architecture.heads_of(name, weights.config)
            plans.append(_Plan(source, name, shape, _kind(name, shape, quantize), heads))
    return sorted(plans, key=lambda plan: _order(plan.name))


def _order(name: str) -> tuple[int, int, str]:
    parts = name.split(".")
    return (1, int(parts[1]), name) if parts[0] == "blk" else (0, 0, name)


def _kind(name: str, shape: tuple[int, ...], quantize: str) -> int:
    from gguf.constants import GGML_QUANT_SIZES

    if len(shape) == 1 or name.endswith("_norm.weight"):
        return _F32
    kind = QUANTIZATIONS[quantize][0]
    if quantize in _SMALL and name in ("token_embd.weight", "output.weight"):
        kind = _Q8_0
    return kind if shape[-1] % GGML_QUANT_SIZES[kind][0] == 0 else _F16


def _nbytes(shape: tuple[int, ...], kind: int) -> int:
    from gguf.constants import GGML_QUANT_SIZES

    block, block_bytes = GGML_QUANT_SIZES[kind]
    count = 1
    for dimension in shape:
        count *= dimension
    return int(count // block * block_bytes)


def _out(
    weights: Weights, architecture: Architecture, plan: _Plan, number: int, total: int, report: Report
) -> OutTensor:
    def chunks() -> Iterator[np.ndarray[Any, Any]]:
        report(number, total, plan.name)
        for values in _values(weights, architecture, plan):
            yield encoded(values, plan.kind)

    return OutTensor(plan.name, plan.shape, plan.kind, _nbytes(plan.shape, plan.kind), chunks)


def _values(weights: Weights, architecture: Architecture, plan: _Plan) -> Iterator[np.ndarray[Any, Any]]:
    """Yield a tensor as llama.cpp wants it, float32: norms plus one, q and k interleaved."""
    import numpy as np

    if plan.heads is not None:
        yield permuted(weights.read(plan.source), plan.heads)
        return
    shift = np.float32(1 if architecture.norm_shift and architecture.is_norm(plan.name) else 0)
    for _, values in weights.chunks(plan.source):
        yield values + shift if shift else values


def permuted(array: np.ndarray[Any, Any], heads: int) -> np.ndarray[Any, Any]:
    """Interleave the rotary halves of every head, as ggml's NORMAL rope wants them (`permute` of llama.cpp's
    conversion).
    """
    import numpy as np

    rows = array.shape[0]
    split = array.reshape(heads, 2, rows // heads // 2, *array.shape[1:])
    return np.ascontiguousarray(split.swapaxes(1, 2).reshape(array.shape))


def encoded(values: np.ndarray[Any, Any], kind: int) -> np.ndarray[Any, Any]:
    """Return float32 rows as bytes of a ggml type."""
    import numpy as np
    from gguf.constants import GGMLQuantizationType
    from gguf.quants import quantize

    if kind in (_F32, _F16, _BF16):
        return narrowed(values, {_F32: "F32", _F16: "F16", _BF16: "BF16"}[kind])
    packed: np.ndarray[Any, Any] = quantize(np.ascontiguousarray(values), GGMLQuantizationType(kind))
    return packed


def _rope_factors(config: Mapping[str, Any]) -> list[OutTensor]:
    """The factors of Llama 3's and Phi's scaled ropes are tensors in GGUF, no keys; Phi's are those of the original
    context, which is the one that is trained and served.
    """
    import numpy as np

    from jessyfile.models.rope import llama3_factors

    scaling = rope_scaling(config)
    found: dict[str, np.ndarray[Any, Any]] = {}
    if scaling.get("rope_type") == "llama3":
        found["rope_freqs.weight"] = llama3_factors(scaling, rope_theta(config), head_size(config))
    elif scaling.get("rope_type") == "longrope":
        short = np.asarray(scaling["short_factor"], np.float32)
        found = {"rope_factors_long.weight": short, "rope_factors_short.weight": short}
    return [_factors(name, values) for name, values in found.items()]


def _factors(name: str, values: np.ndarray[Any, Any]) -> OutTensor:
    return OutTensor(name, values.shape, _F32, values.nbytes, lambda: iter([values]))


def _check(
    weights: Weights, architecture: Architecture, plans: list[_Plan], target: Path, extra: int, report: Report
) -> Written:
    from jessyfile.models.gguf_reader import read_gguf

    try:
        file = read_gguf(target)
    except ModelError as error:
        raise ExportError(f"the GGUF that was written cannot be read: {error.message}") from error
    if len(file.tensors) != len(plans) + extra:
        raise ExportError(f"the GGUF has {len(file.tensors)} tensors instead of {len(plans) + extra}")
    worst = (0.0, "")
    for number, plan in enumerate(plans):
        report(len(plans) + number, 2 * len(plans), f"check {plan.name}")
        found = file.tensors.get(plan.name)
        if found is None or (found.shape, found.kind) != (plan.shape, plan.kind):
            raise ExportError(f"the GGUF holds {plan.name!r} in another shape or type than was written")
        distance = _nmse(partial(file.stored, found), _values(weights, architecture, plan), plan)
        worst = max(worst, (distance, plan.name))
    return Written(len(file.tensors), target.stat().st_size, *worst)


def _nmse(
    stored: Callable[[int, int], np.ndarray[Any, Any]], expected: Iterator[np.ndarray[Any, Any]], plan: _Plan
) -> float:
    """Return the squared error over the squared norm. Raises ExportError above what the type explains."""
    import numpy as np
    from gguf.constants import GGMLQuantizationType
    from gguf.quants import dequantize

    at, wrong, norm = 0, 0.0, 0.0
    for values in expected:
        size = _nbytes(values.shape, plan.kind)
        rows = stored(at, size).reshape(*values.shape[:-1], -1)
        difference = dequantize(rows, GGMLQuantizationType(plan.kind)).reshape(values.shape) - values
        wrong += float(np.vdot(difference, difference))
        norm += float(np.vdot(values, values))
        at += size
    error = wrong / norm if norm else wrong
    limit = next(limit for kind, _, limit in QUANTIZATIONS.values() if kind == plan.kind)
    if not error <= limit:
        raise ExportError(
            f"{plan.name!r} was written with an error of {error:.2g}, more than {limit:.2g}",
            hint="train again; weights may have overflowed",
        )
    return error
