"""Add a LoRA adapter to weights: W + scale · (A·B)ᵀ in float32, tensor by tensor (Hu et al. 2021, section 4.1).

The adapter's layout is mlx-lm's: `adapters.safetensors` with `<module path>.lora_a` of shape (in, rank) and `<module
path>.lora_b` of shape (rank, out), and `adapter_config.json` with `rank` and `scale`.

Not covered: DoRA, adapters on embeddings, experts of a mixture, and PEFT's naming (`models.adapter_folder` refuses them).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jessyfile.errors import ModelError
from jessyfile.fsops import link_or_copy, write_bytes
from jessyfile.models.adapter_folder import (
    ADAPTER_CONFIG,
    ADAPTER_FILE,
    adapter_scale,
    adapter_shapes,
    check_belongs,
)
from jessyfile.models.base_inputs import model_files
from jessyfile.models.safetensors_check import check_safetensors
from jessyfile.models.safetensors_write import PlannedTensor, write_safetensors
from jessyfile.models.tokenizer import read_json
from jessyfile.models.weights import Weights, narrowed, widened

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np

_NOT_COPIED = ("config.json", "model.safetensors.index.json", ADAPTER_FILE, ADAPTER_CONFIG)
Report = Callable[[int, int, str], None]


@dataclass(frozen=True, slots=True)
class Adapter:
    """An adapter in memory: per module path the pair A (in, rank) and B (rank, out), float32, and the factor before
    their product.
    """

    pairs: Mapping[str, tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]]
    scale: float

    def delta(self, module: str) -> np.ndarray[Any, Any]:
        """Return what is added to a module's weight, shape (out, in), float32."""
        import numpy as np

        first, second = self.pairs[module]
        return np.ascontiguousarray((np.float32(self.scale) * (first @ second)).T)


@dataclass(frozen=True, slots=True)
class MergeResult:
    """What a merge did: how many tensors it changed, and by how much relative to their norm (Frobenius)."""

    changed: int
    relative_change: float


def read_adapter(folder: Path) -> Adapter:
    """Read and check an adapter's folder.

    Raises ModelError for another kind of adapter, missing halves, shapes that do not fit, or numbers that are not finite.
    """
    shapes = adapter_shapes(folder)
    arrays = _arrays(folder / ADAPTER_FILE)
    pairs = {module: (arrays[f"{module}.lora_a"], arrays[f"{module}.lora_b"]) for module in shapes}
    return Adapter(pairs, adapter_scale(folder, read_json(folder / ADAPTER_CONFIG)))


def _arrays(path: Path) -> dict[str, np.ndarray[Any, Any]]:
    import numpy as np

    dtypes = {"F32": "<f4", "F16": "<f2", "BF16": "<u2"}
    found = {}
    for name, tensor in check_safetensors(path).items():
        if tensor.dtype not in dtypes:
            raise ModelError(f"`{path.name}` stores {name!r} as {tensor.dtype}")
        stored = (
            np.memmap(path, dtypes[tensor.dtype], "r", tensor.offset, tensor.shape)
            if tensor.nbytes
            else np.zeros(tensor.shape)
        )
        found[name] = np.array(widened(stored, tensor.dtype))
        if not np.isfinite(found[name]).all():
            raise ModelError(
                f"`{path.name}` holds numbers in {name!r} that are not finite", hint="train again with a lower rate"
            )
    return found


def merge_folder(base: Path, adapter_folder: Path, output: Path, report: Report) -> MergeResult:
    """Write the base's folder with the adapter merged in; a quantized base is dequantized.

    A changed tensor is stored in float32: BF16 rounds a change of 0.1 % to two thirds of itself. Every other tensor keeps
    its type.

    Args:
        base: the base model's folder.
        adapter_folder: the folder of the LoRA adapter.
        output: the folder to fill.
        report: told tensors done, tensors in all, and a name.

    Returns:
        What was changed and by how much.

    Raises:
        ModelError: the adapter does not belong to this base.
    """
    weights, adapter = Weights(base), read_adapter(adapter_folder)
    names = weights.names
    shapes = {module: (first.shape, second.shape) for module, (first, second) in adapter.pairs.items()}
    check_belongs(shapes, {name: weights.shape(name) for name in names})
    sums = [0.0, 0.0]

    def plan(number: int, name: str) -> PlannedTensor:
        def make() -> np.ndarray[Any, Any]:
            report(number, len(names), name)
            return _merged_tensor(weights, adapter, name, sums)

        return PlannedTensor(name, _merged_dtype(weights, adapter, name), weights.shape(name), make)

    write_safetensors(output / "model.safetensors", [plan(number, name) for number, name in enumerate(names)])
    _copy_rest(base, output, weights.config)
    return MergeResult(len(adapter.pairs), math.sqrt(sums[0] / sums[1]) if sums[1] else 0.0)


def _merged_dtype(weights: Weights, adapter: Adapter, name: str) -> str:
    return "F32" if name.removesuffix(".weight") in adapter.pairs else weights.dtype(name)


def _merged_tensor(weights: Weights, adapter: Adapter, name: str, sums: list[float]) -> np.ndarray[Any, Any]:
    import numpy as np

    values, module = weights.read(name), name.removesuffix(".weight")
    if module in adapter.pairs:
        delta = adapter.delta(module)
        sums[0] += float(np.vdot(delta, delta))
        sums[1] += float(np.vdot(values, values))
        values = values + delta
    return narrowed(values.reshape(weights.shape(name)), _merged_dtype(weights, adapter, name))


def _copy_rest(base: Path, output: Path, config: Mapping[str, Any]) -> None:
    from jessyfile.models.tokenizer_build import dumps

    plain = {key: value for key, value in config.items() if key not in ("quantization", "quantization_config")}
    write_bytes(output / "config.json", dumps(plain))
    for path in (*model_files(base), base / "source.json"):
        if path.name not in _NOT_COPIED and path.suffix != ".safetensors" and path.is_file():
            link_or_copy(path, output / path.name)
