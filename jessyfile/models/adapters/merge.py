"""Write a base with an adapter in it, tensor by tensor, in float32."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jessyfile.errors import ModelError
from jessyfile.fsops import link_or_copy, write_bytes
from jessyfile.models.adapters.changes import Replaced, TensorChange
from jessyfile.models.adapters.folder import read_adapter
from jessyfile.models.adapters.mlx_lm import ADAPTER_CONFIG, ADAPTER_FILE
from jessyfile.models.adapters.peft import PEFT_FILE
from jessyfile.models.base_inputs import model_files
from jessyfile.models.folder_checks import outline
from jessyfile.models.folder_config import EMBEDDING, HEAD
from jessyfile.models.safetensors_write import PlannedTensor, write_safetensors
from jessyfile.models.weights import Weights, narrowed

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np

_NOT_COPIED = ("config.json", "model.safetensors.index.json", ADAPTER_FILE, ADAPTER_CONFIG, PEFT_FILE)
Report = Callable[[int, int, str], None]


@dataclass(frozen=True, slots=True)
class MergeResult:
    """What a merge did: how many tensors it changed, and by how much relative to their norm (Frobenius)."""

    changed: int
    relative_change: float


@dataclass(slots=True)
class _Sums:
    """Sums of squares: of what was changed, and of what it was changed by."""

    before: float = 0.0
    difference: float = 0.0


def merge_folder(base: Path, adapter_folder: Path, output: Path, report: Report) -> MergeResult:
    """Write the base's folder with the adapter merged in; a quantized base is dequantized.

    A changed tensor is stored in float32: BF16 rounds a change of 0.1 % to two thirds of itself. One that is replaced
    whole has the adapter's type, and every other tensor keeps its own.

    Args:
        base: the base model's folder.
        adapter_folder: the folder of the adapter.
        output: the folder to fill.
        report: told tensors done, tensors in all, and a name.

    Returns:
        What was changed and by how much.

    Raises:
        ModelError: the adapter does not belong to this base, or a merged number is not finite.
    """
    weights = Weights(base)
    form = outline(weights.config, {name: weights.shape(name) for name in weights.names})
    changes = read_adapter(adapter_folder, form).changes
    names, sums = sorted({*weights.names, *changes}), _Sums()

    def plan(number: int, name: str) -> PlannedTensor:
        own, source = changes.get(name, ()), EMBEDDING if name == HEAD and form.tied else name

        def make() -> np.ndarray[Any, Any]:
            report(number, len(names), name)
            if not own:
                return weights.kept(source)
            return narrowed(_changed(weights, source, own, sums), _dtype(weights, source, own))

        return PlannedTensor(name, _dtype(weights, source, own), weights.shape(source), make)

    write_safetensors(output / "model.safetensors", [plan(number, name) for number, name in enumerate(names)])
    untied = {"tie_word_embeddings": False} if form.tied and HEAD in changes else {}
    _copy_rest(base, output, {**weights.config, **untied})
    relative = math.sqrt(sums.difference / sums.before) if sums.before else 0.0
    return MergeResult(sum(bool(own) for own in changes.values()), relative)


def _dtype(weights: Weights, source: str, changes: Sequence[TensorChange]) -> str:
    if not changes:
        return weights.dtype(source)
    last = changes[-1]
    return last.tensor.stored.dtype if isinstance(last, Replaced) else "F32"


def _changed(weights: Weights, source: str, changes: Sequence[TensorChange], sums: _Sums) -> np.ndarray[Any, Any]:
    """Return what a tensor becomes, float32; at any time it alone is in memory, beside some rows."""
    import numpy as np

    found = np.empty(weights.shape(source), np.float32)
    for start, rows in weights.chunks(source):
        found[start : start + len(rows)] = rows
    for change in changes:
        change.apply(found)
    for start, rows in weights.chunks(source):
        difference = found[start : start + len(rows)] - rows
        sums.before += float(np.vdot(rows, rows))
        sums.difference += float(np.vdot(difference, difference))
    if not np.isfinite(found).all():
        raise ModelError(f"`{source}` with the adapter is not finite", hint="train again with a lower rate")
    return found


def _copy_rest(base: Path, output: Path, config: Mapping[str, Any]) -> None:
    from jessyfile.models.tokenizer_build import dumps

    plain = {key: value for key, value in config.items() if key not in ("quantization", "quantization_config")}
    write_bytes(output / "config.json", dumps(plain))
    for path in (*model_files(base), base / "source.json"):
        if path.name not in _NOT_COPIED and path.suffix != ".safetensors" and path.is_file():
            link_or_copy(path, output / path.name)
