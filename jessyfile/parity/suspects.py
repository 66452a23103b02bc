"""What happened to a tensor that is not the right one: the known ways in which conversions and merges go wrong, tried in turn."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from jessyfile.models.adapters.changes import Rescaled
from jessyfile.models.from_gguf import dequantized, unpermuted
from jessyfile.parity.faults import Mismatch, Stage
from jessyfile.parity.grid import misplaced
from jessyfile.parity.limits import limit_of
from jessyfile.parity.tensors import stored_rows

if TYPE_CHECKING:
    import numpy as np

    from jessyfile.models.gguf_reader import GgufFile, GgufTensor
    from jessyfile.parity.tensors import TensorFigures
    from jessyfile.parity.truth import Truth

Array = Any
_ALIKE = 0.98  # the cosine of a tensor with its own 3-bit quantization
_NEAR = 0.7
_LEAST_KEPT = 0.2
_AGAIN = "convert the folder again with today's jessy or llama.cpp"
_FLOATS = ("F32", "F16", "BF16")


def tensor_faults(file: GgufFile, truth: Truth, figures: Sequence[TensorFigures]) -> Iterator[Mismatch]:
    """Yield a fault for each tensor that differs by more than its type explains; what the merge did comes first, as one."""
    wrong = [one for one in figures if not one.faithful]
    own = [one for one in figures if one.change]
    # a base on the type's own grid pulls single tensors back to it, but never the whole of a tune
    absent = sum(one.kept for one in own) < _LEAST_KEPT * sum(one.change for one in own)
    merge, explained = _merge_fault(file, truth, own, own if absent else [one for one in wrong if one.change])
    if merge is not None:
        yield merge
    for one in wrong:
        if one.name not in explained:
            yield _tensor_fault(file, truth, one)


def _merge_fault(
    file: GgufFile, truth: Truth, own: Sequence[TensorFigures], lost: Sequence[TensorFigures]
) -> tuple[Mismatch | None, set[str]]:
    """Return what is wrong with the adapter in the file, and the tensors that this explains."""
    bare = [one for one in lost if _is_base(file, truth, one)]
    if bare:
        part = "" if len(bare) == len(own) else f" in {len(bare)} of {len(own)} tensors"
        message = f"the adapter is not merged in{part}: {bare[0].name!r} holds the base's numbers"
        return _merged("unmerged", message, "merge the adapter, then convert the merged folder"), _named_all(bare)
    if len(lost) * 2 < len(own) or not lost:
        return None, set()
    name, shares = lost[0].name, sorted(one.survival or 0.0 for one in lost)
    middle = shares[len(shares) // 2]
    if _is_lora_of_dora(file, truth, lost):
        message = f"the adapter is a DoRA, and was merged as a LoRA: the lengths of its rows are missing in {name!r}"
        return _merged("dora", message, "merge it with a tool that knows DoRA, as jessy does"), _named_all(lost)
    if shares[-1] - shares[0] < 0.1 * max(abs(middle), 1.0) and _along(file, truth, lost[0]):
        message = f"the adapter is merged with {middle:.2g} times its scale, as in {name!r}"
        hint = "the factor is alpha / r, and with rslora alpha / √r; merge again"
        return _merged("scale", message, hint), _named_all(lost)
    near = [one for one in lost if _tuned(file, truth, one)]
    if len(near) * 2 < len(own):
        return None, set()
    message = (
        f"the GGUF holds another tune of this base: {middle:.0%} of this adapter's change is in it, as in {name!r}"
    )
    return _merged("stale", message, "it was made from an earlier or another adapter; export it again"), _named_all(
        near
    )


def _merged(kind: str, message: str, hint: str) -> Mismatch:
    return Mismatch(kind, "merged", message, hint)


def _named_all(figures: Sequence[TensorFigures]) -> set[str]:
    return {one.name for one in figures}


def _tuned(file: GgufFile, truth: Truth, one: TensorFigures) -> bool:
    """Whether the numbers are the base's with a change of about the adapter's size."""
    import numpy as np

    tensor, name = _named(file, truth, one)
    base, stored = truth.base(name), _whole(file, tensor, truth)
    sizes = float(np.linalg.norm(stored)) * float(np.linalg.norm(base))
    return sizes > 0 and float(np.vdot(stored, base)) / sizes > _NEAR


def _is_base(file: GgufFile, truth: Truth, one: TensorFigures) -> bool:
    """Whether the numbers are roundings of the base's own."""
    import numpy as np

    if abs(one.survival or 0.0) > 0.1 + one.chance:
        return False
    tensor, name = _named(file, truth, one)
    base, stored, limit = truth.base(name), _whole(file, tensor, truth), limit_of(one.kind)
    off, looked = misplaced(base, stored, tensor.kind)
    away = float(np.linalg.norm(stored - base) / max(float(np.linalg.norm(base)), 1e-12))
    return off <= limit.grid * looked and away**2 <= limit.error


def _is_lora_of_dora(file: GgufFile, truth: Truth, lost: Sequence[TensorFigures]) -> bool:
    import numpy as np

    for one in lost[:3]:
        tensor, name = _named(file, truth, one)
        changes = truth.changes[name]
        if not any(isinstance(change, Rescaled) for change in changes):
            return False
        plain = truth.base(name).copy()
        for change in changes:
            if not isinstance(change, Rescaled):
                change.apply(plain)
        stored, right = _whole(file, tensor, truth), truth.read(name)
        if np.linalg.norm(stored - plain) > 0.5 * np.linalg.norm(stored - right):
            return False
    return True


def _along(file: GgufFile, truth: Truth, one: TensorFigures) -> bool:
    """Whether what is stored differs from the base in the adapter's direction and in no other."""
    import numpy as np

    tensor, name = _named(file, truth, one)
    base = truth.base(name)
    change, kept = truth.read(name) - base, _whole(file, tensor, truth) - base
    rest = kept - (one.survival or 0.0) * change
    explained = one.norm**0.5 * 0.1 if one.kind not in _FLOATS else 0.05 * np.linalg.norm(change)
    return bool(np.linalg.norm(rest) <= explained + 0.05 * np.linalg.norm(change))


def _tensor_fault(file: GgufFile, truth: Truth, one: TensorFigures) -> Mismatch:
    stored, given = _pair(file, truth, one)
    for look in _LOOKS:
        found = look(file, truth, one, stored, given)
        if found is not None:
            kind, message = found
            return Mismatch(kind, "gguf", message, _AGAIN)
    alike = _alike(stored, given)
    stage: Stage = "gguf" if one.kind in _FLOATS or not alike else "quantized"
    rows = _differing_rows(stored, given)
    if alike:
        what = f"{one.error**0.5:.2%} away, {one.off_grid:.1%} of its numbers are no {one.kind} of the right ones"
        return Mismatch(
            "other numbers", stage, f"{one.name!r} holds other numbers than the folder{rows}: {what}", _AGAIN
        )
    return Mismatch(
        "tensor", stage, f"{one.name!r} is another tensor than the folder's{rows}: {one.error**0.5:.0%} away", _AGAIN
    )


Found = tuple[str, str] | None


def _zeroed(_file: GgufFile, _truth: Truth, one: TensorFigures, stored: Array, given: Array) -> Found:
    import numpy as np

    if not np.isfinite(stored).all():
        return "not finite", f"{one.name!r} holds numbers that are not finite"
    raw = stored + (1 if _truth.architecture.norm_shift and one.name.endswith("_norm.weight") else 0)
    if given.any() and not (stored.any() and raw.any()):
        return "zeroed", f"{one.name!r} is all zeros"
    return None


def _norm(_file: GgufFile, truth: Truth, one: TensorFigures, stored: Array, given: Array) -> Found:
    import numpy as np

    if not one.name.endswith("_norm.weight"):
        return None
    if truth.architecture.norm_shift and np.allclose(stored + 1, given, atol=1e-3):
        return "norm", f"{one.name!r} lacks the one that llama.cpp expects in a norm of {truth.architecture.gguf}"
    if np.allclose(stored - 1, given, atol=1e-3):
        return "norm", f"{one.name!r} has a one too much: a norm of {truth.architecture.gguf} is stored as it is"
    return None


def _order(file: GgufFile, truth: Truth, one: TensorFigures, stored: Array, given: Array) -> Found:
    tensor = file.tensors[one.name]
    heads = truth.architecture.heads_of(one.name, truth.config)
    if heads and _alike(dequantized(file, tensor), given):
        return "permutation", f"{one.name!r} has its rows in Hugging Face's order, not in that of llama.cpp's rope"
    part = one.name.split(".")[-2]
    if part in ("attn_q", "attn_k") and not heads:
        for count in {int(truth.config["num_attention_heads"]), int(truth.config.get("num_key_value_heads") or 1)}:
            if len(stored) % (2 * count) == 0 and _alike(unpermuted(stored, count), given):
                return (
                    "permutation",
                    f"{one.name!r} has its rows permuted, which {truth.architecture.gguf} does not take",
                )
    if stored.ndim == 2 and stored.shape[0] == stored.shape[1] and _alike(stored.T, given):
        return "transposed", f"{one.name!r} is transposed"
    return None


def _another(_file: GgufFile, truth: Truth, one: TensorFigures, stored: Array, given: Array) -> Found:
    """Look for the tensor whose numbers these are, among all of the same shape."""
    own = truth.architecture.mlx_name(one.name)
    if _alike(stored, given):
        return None
    for name in truth.names:
        if name == own or truth.shape(name) != given.shape:
            continue
        if _alike(stored, truth.read(name)):
            return "swapped", f"{one.name!r} holds the numbers of {truth.architecture.gguf_name(name)!r}"
    return None


def _rows(_file: GgufFile, _truth: Truth, one: TensorFigures, stored: Array, given: Array) -> Found:
    import numpy as np

    if given.ndim != 2:
        return None
    here, there = (np.sort(np.linalg.norm(array, axis=1)) for array in (stored, given))
    if not _alike(stored, given) and np.allclose(here, there, rtol=0.02, atol=1e-4):
        what = "tokens" if one.name in ("token_embd.weight", "output.weight") else "rows"
        return "order", f"{one.name!r} has its {what} in another order"
    return None


def _scaled(_file: GgufFile, _truth: Truth, one: TensorFigures, stored: Array, given: Array) -> Found:
    import numpy as np

    norm = float(np.vdot(given, given))
    factor = float(np.vdot(stored, given)) / norm if norm else 1.0
    rest = float(np.linalg.norm(stored - factor * given)) / norm**0.5 if norm else 1.0
    if abs(factor - 1) > 0.02 and rest < 0.3 * abs(factor - 1):
        return "scaled", f"{one.name!r} is {factor:.3g} times the folder's"
    return None


_LOOKS: tuple[Callable[[Any, Any, Any, Array, Array], Found], ...] = (
    _zeroed, _norm, _scaled, _order, _another, _rows,
)  # fmt: skip


def _differing_rows(stored: Array, given: Array) -> str:
    """Say which rows differ, where it is few of them."""
    import numpy as np

    if given.ndim != 2:
        return ""
    away = np.linalg.norm(stored - given, axis=1) / np.maximum(np.linalg.norm(given, axis=1), 1e-12)
    far = (away > max(0.3, 4 * float(np.median(away)))).nonzero()[0]
    if not 0 < len(far) <= len(given) // 4:
        return ""
    return f" in {len(far)} of {len(given)} rows, first in row {far[0]}"


def _pair(file: GgufFile, truth: Truth, one: TensorFigures) -> tuple[Array, Array]:
    tensor, name = _named(file, truth, one)
    return _whole(file, tensor, truth), truth.read(name)


def _named(file: GgufFile, truth: Truth, one: TensorFigures) -> tuple[GgufTensor, str]:
    from jessyfile.models.folder_config import EMBEDDING

    name = truth.architecture.mlx_name(one.name)
    return file.tensors[one.name], name if name in truth.names else EMBEDDING


def _whole(file: GgufFile, tensor: GgufTensor, truth: Truth) -> np.ndarray[Any, Any]:
    return stored_rows(file, tensor, truth, 0, tensor.shape[0])


def _alike(one: Array, other: Array) -> bool:
    """Whether two arrays of one shape point into one direction."""
    import numpy as np

    sizes = float(np.linalg.norm(one)) * float(np.linalg.norm(other))
    return sizes > 0 and float(np.vdot(one, other)) / sizes > _ALIKE
