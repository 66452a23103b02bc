"""Write a model folder as GGUF from its float32 numbers, some rows at a time on every core, and check what was written.

One-dimensional and norm tensors stay F32; what the others get says `export.tensor_types`. Every run of rows is computed
back from its bytes at once and compared with the numbers; the file, when it is whole, with those bytes.

Not covered: tensors of vision towers, mixtures of experts.
"""

from __future__ import annotations

import math
import zlib
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from jessyfile.errors import ExportError, ModelError
from jessyfile.export.ggml import library, packed, unpacked
from jessyfile.export.gguf_metadata import key_bytes
from jessyfile.export.tensor_types import FILE_TYPES, Kind, Mixture
from jessyfile.machine import cores
from jessyfile.models.architectures import Architecture, by_model_type, head_size
from jessyfile.models.gguf_container import OutTensor, pair_bytes, write_container
from jessyfile.models.rope import rope_scaling, rope_theta
from jessyfile.models.shape import shape_of
from jessyfile.models.weights import Weights

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np

    from jessyfile.export.imatrix import ImportanceMatrix
    from jessyfile.models.gguf_reader import GgufFile

    Column = np.ndarray[Any, Any]

Report = Callable[[int, int, str], None]
# the highest NMSE of a faithful write: twice the worst that was measured, over normal, heavy-tailed, spiked, tiny and
# sloped rows, with importance matrices of every steepness and without
LIMITS: Mapping[Kind, float] = {
    Kind.F32: 1e-12, Kind.F16: 1e-6, Kind.BF16: 1e-5, Kind.Q8_0: 3e-4, Kind.Q6_K: 0.03, Kind.Q5_K: 0.02,
    Kind.Q5_1: 0.011, Kind.Q5_0: 0.03, Kind.Q4_K: 0.06, Kind.Q4_1: 0.05, Kind.Q4_0: 0.1, Kind.IQ4_NL: 0.16,
    Kind.IQ4_XS: 0.1, Kind.Q3_K: 0.1,
}  # fmt: skip
_RUN = 1 << 20  # numbers that are computed at a time: they and their bytes stay in a core's cache
_IGNORED = ("rotary_emb.inv_freq",)


@dataclass(frozen=True, slots=True)
class Written:
    """A checked GGUF: tensors written, bytes, and the worst NMSE of a tensor against the folder's numbers."""

    tensors: int
    bytes: int
    worst_nmse: float
    worst_tensor: str


@dataclass(frozen=True, slots=True)
class _Run:
    """A run of rows as bytes: what they sum to, and the squares of their errors and of the numbers."""

    nbytes: int
    crc: int
    wrong: float
    norm: float


@dataclass(frozen=True, slots=True)
class _Plan:
    """One tensor: its name in the folder and in the file, its type, the rows of a head where heads are permuted, and
    the runs that were written of it."""

    source: str
    name: str
    shape: tuple[int, ...]
    kind: Kind
    head: int | None
    runs: list[_Run] = field(default_factory=list)

    @property
    def nbytes(self) -> int:
        return self.kind.nbytes(math.prod(self.shape))

    def ranges(self) -> Iterator[range]:
        """Yield the rows of each run; heads stay whole."""
        whole, width = self.head or 1, math.prod(self.shape[1:])
        step = max(1, _RUN // width // whole) * whole
        return (range(start, min(self.shape[0], start + step)) for start in range(0, self.shape[0], step))

    @property
    def nmse(self) -> float:
        wrong, norm = sum(run.wrong for run in self.runs), sum(run.norm for run in self.runs)
        return wrong / norm if norm else wrong


def write_gguf(
    folder: Path, target: Path, quantize: str, report: Report, matrix: ImportanceMatrix | None = None
) -> Written:
    """Write a model folder as GGUF, read the file back and compare.

    Args:
        folder: a folder with config.json, model*.safetensors and tokenizer.json.
        target: the file to write.
        quantize: one of `FILE_TYPES`.
        report: told tensors done, tensors in all, and a name; writing and checking are one pass each.
        matrix: how much the error of each column counts; None for all the same.

    Returns:
        Sizes, types and errors of what was written.

    Raises:
        ExportError: the type is unknown, a tensor has no place in GGUF, or the file read back differs from the folder.
    """
    if quantize not in FILE_TYPES:
        raise ExportError(f"`{quantize}` is no type that jessy can write", hint=f"known are {', '.join(FILE_TYPES)}")
    library()  # known before a byte is read
    weights = Weights(folder)
    architecture = by_model_type(weights.config.get("model_type"))
    plans = _plans(weights, architecture, Mixture.of(shape_of(weights.config), quantize, weighed=matrix is not None))
    keys = key_bytes(folder, architecture, weights.config, FILE_TYPES[quantize][1])
    keys += [pair_bytes(*pair) for pair in (matrix.pairs() if matrix is not None else ())]
    extra = rope_factors(weights.config)
    with _threads() as pool:
        jobs = ((plan, rows) for plan in plans for rows in plan.ranges())
        made = _in_order(
            pool, partial(_computed, weights, architecture, matrix.columns if matrix is not None else {}), jobs
        )
        tensors = [_out(plan, made, partial(report, number, 2 * len(plans))) for number, plan in enumerate(plans)]
        write_container(target, keys, [*extra, *tensors])
        return _check(pool, plans, target, len(extra), report)


def _plans(weights: Weights, architecture: Architecture, mixture: Mixture) -> list[_Plan]:
    named = _named(weights, architecture)
    mixture = replace(mixture, tied="output.weight" not in named)
    plans = []
    for name, source in named.items():
        shape, heads = weights.shape(source), architecture.heads_of(name, weights.config)
        plans.append(_Plan(source, name, shape, mixture.kind(name, shape), shape[0] // heads if heads else None))
    return sorted(plans, key=lambda plan: _order(plan.name))


def _named(weights: Weights, architecture: Architecture) -> dict[str, str]:
    """Return the folder's name of every tensor of the file."""
    found = {}
    for source in weights.names:
        name = architecture.gguf_name(source)
        if name is not None:
            found[name] = source
        elif not source.endswith(_IGNORED):
            raise ExportError(f"the tensor {source!r} has no place in a {architecture.gguf} GGUF")
    if weights.config.get("tie_word_embeddings", False):
        found.pop("output.weight", None)
    return found


def _order(name: str) -> tuple[int, int, str]:
    parts = name.split(".")
    return (1, int(parts[1]), name) if parts[0] == "blk" else (0, 0, name)


@contextmanager
def _threads() -> Iterator[ThreadPoolExecutor]:
    pool = ThreadPoolExecutor(cores(), "jessy-gguf")
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


Job = tuple[_Plan, range]
Made = tuple["np.ndarray[Any, Any]", _Run]


def _in_order(pool: ThreadPoolExecutor, work: Callable[[_Plan, range], Made], jobs: Iterator[Job]) -> Iterator[Made]:
    """Yield what comes of each job, in order; few are begun before they are asked for, so memory is bounded."""
    begun: deque[Future[Made]] = deque()
    for job in jobs:
        begun.append(pool.submit(work, *job))
        if len(begun) > 2 * cores():
            yield begun.popleft().result()
    while begun:
        yield begun.popleft().result()


def _out(plan: _Plan, made: Iterator[Made], report: Callable[[str], None]) -> OutTensor:
    def chunks() -> Iterator[np.ndarray[Any, Any]]:
        for _ in plan.ranges():
            report(plan.name)
            data, run = next(made)
            plan.runs.append(run)
            yield data
        _require_faithful(plan)

    return OutTensor(plan.name, plan.shape, plan.kind, plan.nbytes, chunks)


def _require_faithful(plan: _Plan) -> None:
    if not plan.nmse <= LIMITS[plan.kind]:
        raise ExportError(
            f"{plan.name!r} was written with an error of {plan.nmse:.2g}, more than {LIMITS[plan.kind]:.2g}",
            hint="train again; weights may have overflowed",
        )


def _computed(
    weights: Weights, architecture: Architecture, columns: Mapping[str, Column], plan: _Plan, rows: range
) -> Made:
    import numpy as np

    values = _values(weights, architecture, plan, rows)
    norm = float(np.vdot(values, values))
    if not math.isfinite(norm):
        raise ExportError(
            f"{plan.name!r} holds numbers that are not finite", hint="train again with a lower learning rate"
        )
    data = packed(values, plan.kind, columns.get(plan.name))
    difference = unpacked(data, plan.kind, values.size) - values.reshape(-1)
    return data, _Run(data.nbytes, zlib.crc32(data.data), float(np.vdot(difference, difference)), norm)


def _values(weights: Weights, architecture: Architecture, plan: _Plan, rows: range) -> np.ndarray[Any, Any]:
    """Return rows as llama.cpp wants them, float32: norms plus one, q and k interleaved."""
    import numpy as np

    values = weights.rows(plan.source, rows.start, rows.stop)
    if plan.head is not None:
        return permuted(values, len(rows) // plan.head)
    shifted = architecture.norm_shift and architecture.is_norm(plan.name)
    return values + np.float32(1) if shifted else values


def permuted(array: np.ndarray[Any, Any], heads: int) -> np.ndarray[Any, Any]:
    """Interleave the rotary halves of every head, as ggml's NORMAL rope wants them (`permute` of llama.cpp's
    conversion).
    """
    import numpy as np

    rows = array.shape[0]
    split = array.reshape(heads, 2, rows // heads // 2, *array.shape[1:])
    return np.ascontiguousarray(split.swapaxes(1, 2).reshape(array.shape))


def rope_factors(config: Mapping[str, Any]) -> list[OutTensor]:
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
    return OutTensor(name, values.shape, Kind.F32, values.nbytes, lambda: iter([values]))


def _check(pool: ThreadPoolExecutor, plans: list[_Plan], target: Path, extra: int, report: Report) -> Written:
    from jessyfile.models.gguf_reader import read_gguf

    try:
        file = read_gguf(target)
    except ModelError as error:
        raise ExportError(f"the GGUF that was written cannot be read: {error.message}") from error
    if len(file.tensors) != len(plans) + extra:
        raise ExportError(f"the GGUF has {len(file.tensors)} tensors instead of {len(plans) + extra}")
    for number, (plan, whole) in enumerate(zip(plans, pool.map(partial(_is_whole, file), plans), strict=True)):
        report(len(plans) + number, 2 * len(plans), f"check {plan.name}")
        if not whole:
            raise ExportError(f"the GGUF does not hold {plan.name!r} as it was written")
    worst = max(plans, key=lambda plan: plan.nmse)
    return Written(len(file.tensors), target.stat().st_size, worst.nmse, worst.name)


def _is_whole(file: GgufFile, plan: _Plan) -> bool:
    found, at = file.tensors.get(plan.name), 0
    if found is None or (found.shape, found.kind) != (plan.shape, plan.kind):
        return False
    for run in plan.runs:
        if zlib.crc32(file.stored(found, at, run.nbytes).data) != run.crc:
            return False
        at += run.nbytes
    return at == found.nbytes
