"""Add a LoRA adapter to weights: W + scale · (A·B)ᵀ in float32, tensor by tensor (Hu et al. 2021, section 4.1).

The adapter's layout is mlx-lm's: `adapters.safetensors` with `<module path>.lora_a` of shape (in, rank) and `<module
path>.lora_b` of shape (rank, out), and `adapter_config.json` with `rank` and `scale`.

Not covered: DoRA, adapters on embeddings, experts of a mixture, and PEFT's naming.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jessyfile.errors import ModelError
from jessyfile.fsops import link_or_copy, write_bytes
from jessyfile.models.base_inputs import model_files
from jessyfile.models.safetensors_check import check_safetensors
from jessyfile.models.safetensors_write import PlannedTensor, write_safetensors
from jessyfile.models.tokenizer import read_json
from jessyfile.models.weights import Weights, narrowed, widened

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np

ADAPTER_FILE, ADAPTER_CONFIG = "adapters.safetensors", "adapter_config.json"
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

    Raises ModelError for missing halves, shapes that do not fit, or numbers that are not finite.
    """
    config = read_json(folder / ADAPTER_CONFIG)
    settings = config.get("lora_parameters", config)
    scale = settings.get("scale") if isinstance(settings, dict) else None
    if isinstance(scale, bool) or not isinstance(scale, int | float) or not math.isfinite(scale):
        raise ModelError(
            f"`{folder / ADAPTER_CONFIG}` has no scale", hint="ADAPTER takes a folder that mlx-lm or jessy wrote"
        )
    arrays = _arrays(folder / ADAPTER_FILE)
    modules = sorted({name.rsplit(".", 1)[0] for name in arrays})
    pairs = {module: _pair(arrays, module) for module in modules}
    if not pairs:
        raise ModelError(f"`{folder / ADAPTER_FILE}` holds no adapter")
    return Adapter(pairs, float(scale))


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


def _pair(arrays: Mapping[str, Any], module: str) -> tuple[Any, Any]:
    first, second = arrays.get(f"{module}.lora_a"), arrays.get(f"{module}.lora_b")
    if first is None or second is None:
        raise ModelError(f"the adapter of `{module}` lacks lora_a or lora_b")
    if first.ndim != 2 or second.ndim != 2 or first.shape[1] != second.shape[0]:
        raise ModelError(
            f"the adapter of `{module}` has shapes {first.shape} and {second.shape}, which do not multiply"
        )
    return first, second


def merge_folder(base: Path, adapter_folder: Path, output: Path, report: Report) -> MergeResult:
    """Fill `output` with the base's folder, the adapter merged in; a quantized base comes out dequantized.

    A changed tensor is stored in float32: BF16 rounds a change of 0.1 % to two thirds of itself. Every other tensor keeps its
    type. `report` is told tensors done, in all, and a name. Raises ModelError when the adapter does not belong to this base.
    """
    weights, adapter = Weights(base), read_adapter(adapter_folder)
    _check_belongs(weights, adapter)
    sums = [0.0, 0.0]
    names = weights.names

    def plan(number: int, name: str) -> PlannedTensor:
        def make() -> np.ndarray[Any, Any]:
            report(number, len(names), name)
            return _merged_tensor(weights, adapter, name, sums)

        return PlannedTensor(name, _merged_dtype(weights, adapter, name), weights.shape(name), make)

    write_safetensors(output / "model.safetensors", [plan(number, name) for number, name in enumerate(names)])
    _copy_rest(base, output, weights.config)
    return MergeResult(len(adapter.pairs), math.sqrt(sums[0] / sums[1]) if sums[1] else 0.0)


def _check_belongs(weights: Weights, adapter: Adapter) -> None:
    known = set(weights.names)
    for module, (first, second) in adapter.pairs.items():
        name = f"{module}.weight"
        if name not in known:
            raise ModelError(
                f"the adapter changes `{module}`, which the base model does not have",
                hint="it was trained on another base",
            )
        if weights.shape(name) != (second.shape[1], first.shape[0]):
            shape = weights.shape(name)
            raise ModelError(
                f"the adapter of `{module}` is for {(second.shape[1], first.shape[0])}, the base has {shape}"
            )


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
