"""A trained adapter as a folder for mlx-lm or for PEFT, read back and compared number by number.

mlx-lm keeps the halves as (in, rank) and (rank, out) and counts tuned layers from the last; PEFT keeps them transposed,
under the names that modules have inside its own wrapper, and wants alpha where mlx-lm wants the finished scale.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jessyfile.errors import ExportError, ModelError
from jessyfile.fsops import write_text
from jessyfile.models.adapters.changes import Adapter, AdapterTensor, Product, Rescaled, TensorChange
from jessyfile.models.adapters.folder import read_adapter
from jessyfile.models.adapters.mlx_lm import ADAPTER_CONFIG, ADAPTER_FILE
from jessyfile.models.adapters.peft import PEFT_FILE
from jessyfile.models.model_json import read_json
from jessyfile.models.safetensors_write import PlannedTensor, write_safetensors

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np

_MODULE = re.compile(r"model\.layers\.(\d+)\.(.+)")
_IN_PEFT = "base_model.model."


@dataclass(frozen=True, slots=True)
class _Module:
    """One tuned layer: its name, its product, and the lengths of its rows when they are trained too (DoRA)."""

    name: str
    product: Product
    lengths: AdapterTensor | None


def write_mlx_adapter(folder: Path, output: Path, base: str | None, layers: int) -> None:
    """Write the adapter of a folder as mlx-lm reads it.

    Args:
        folder: the adapter's folder.
        output: the folder to fill.
        base: what its base is called, None when nobody else has it.
        layers: how many layers the base has.

    Raises:
        ExportError: it is no LoRA or DoRA of layers, or what was written differs.
    """
    modules, rank, scale = _read(folder)
    first = min(number for number, _ in _places(modules))
    parameters = {"rank": rank, "scale": scale, "dropout": _dropout(folder), "keys": _keys(modules, first, layers)}
    dora = any(module.lengths is not None for module in modules)
    config = {
        "fine_tune_type": "dora" if dora else "lora",
        "model": base,
        "num_layers": layers - first,
        "lora_parameters": parameters,
    }
    write_safetensors(output / ADAPTER_FILE, list(_mlx_tensors(modules)))
    _finish(folder, output, config)


def write_peft_adapter(folder: Path, output: Path, base: str | None, layers: int) -> None:
    """Write the adapter of a folder as PEFT reads it.

    Args:
        folder: the adapter's folder.
        output: the folder to fill.
        base: what its base is called, None when nobody else has it.
        layers: how many layers the base has.

    Raises:
        ExportError: it is no LoRA or DoRA of layers, or what was written differs.
    """
    modules, rank, scale = _read(folder)
    tuned = sorted({number for number, _ in _places(modules)})
    some = len(tuned) < layers and _even(modules)
    config = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": base,
        "r": rank,
        "lora_alpha": _whole(scale * rank),
        "lora_dropout": _dropout(folder),
        "use_rslora": False,  # the scale, whatever rule it came from, stands in alpha
        "use_dora": any(module.lengths is not None for module in modules),
        "target_modules": _targets(modules),
        "layers_to_transform": tuned if some else None,
        "layers_pattern": "layers" if some else None,
        "bias": "none",
        "fan_in_fan_out": False,
        "inference_mode": True,
        "init_lora_weights": True,
        "modules_to_save": None,
    }
    write_safetensors(output / PEFT_FILE, list(_peft_tensors(modules)), {"format": "pt"})
    _finish(folder, output, config)


def _read(folder: Path) -> tuple[list[_Module], int, float]:
    """Return the tuned layers with the one rank and scale that they have. Raises ExportError for another kind of adapter."""
    modules = [_module(name, changes) for name, changes in sorted(read_adapter(folder, None).changes.items())]
    kinds = {(module.product.right.shape[0], module.product.scale) for module in modules}
    if len(kinds) != 1:
        raise ExportError("the adapter has layers of several ranks or scales", hint="export the model: `--as hf`")
    return modules, *kinds.pop()


def _module(name: str, changes: Sequence[TensorChange]) -> _Module:
    match list(changes):
        case [Product() as product] if _MODULE.fullmatch(name.removesuffix(".weight")):
            return _Module(name.removesuffix(".weight"), product, None)
        case [Product() as product, Rescaled() as lengths] if _MODULE.fullmatch(name.removesuffix(".weight")):
            return _Module(name.removesuffix(".weight"), product, lengths.lengths)
    raise ExportError(
        f"the adapter changes `{name}` in a way that is no LoRA of a layer", hint="export the model: `--as hf`"
    )


def _places(modules: list[_Module]) -> list[tuple[int, str]]:
    """Return each tuned layer's number and its module's name within it."""
    found = [_MODULE.fullmatch(module.name) for module in modules]
    return [(int(match[1]), match[2]) for match in found if match is not None]


def _even(modules: list[_Module]) -> bool:
    """Return whether every tuned layer has the same modules tuned."""
    places = _places(modules)
    numbers, names = {number for number, _ in places}, {name for _, name in places}
    return len(places) == len(numbers) * len(names)


def _keys(modules: list[_Module], first: int, layers: int) -> list[str]:
    """Return how mlx-lm names the tuned modules: as seen from a layer, or in full where layers differ."""
    places = _places(modules)
    if _even(modules) and {number for number, _ in places} == set(range(first, layers)):
        return sorted({name for _, name in places})
    return [module.name for module in modules]


def _targets(modules: list[_Module]) -> list[str]:
    if _even(modules):
        return sorted({name.rpartition(".")[2] for _, name in _places(modules)})
    return [module.name for module in modules]


def _dropout(folder: Path) -> float:
    config = read_json(folder / ADAPTER_CONFIG)
    settings = config.get("lora_parameters", config)
    return float(settings.get("dropout", config.get("lora_dropout", 0.0)))


def _whole(number: float) -> float | int:
    nearest = round(number)
    return nearest if abs(number - nearest) < 1e-9 * max(1.0, abs(number)) else number


def _mlx_tensors(modules: list[_Module]) -> Iterator[PlannedTensor]:
    for module in modules:
        yield _planned(f"{module.name}.lora_a", module.product.right, turned=True)
        yield _planned(f"{module.name}.lora_b", module.product.left, turned=True)
        if module.lengths is not None:
            yield _planned(f"{module.name}.m", module.lengths)


def _peft_tensors(modules: list[_Module]) -> Iterator[PlannedTensor]:
    for module in modules:
        yield _planned(f"{_IN_PEFT}{module.name}.lora_A.weight", module.product.right)
        yield _planned(f"{_IN_PEFT}{module.name}.lora_B.weight", module.product.left)
        if module.lengths is not None:
            yield _planned(f"{_IN_PEFT}{module.name}.lora_magnitude_vector", module.lengths)


def _planned(name: str, tensor: AdapterTensor, *, turned: bool = False) -> PlannedTensor:
    def make() -> np.ndarray[Any, Any]:
        import numpy as np

        found = tensor.read()
        return np.ascontiguousarray(found.T if turned else found, dtype=np.float32)

    return PlannedTensor(name, "F32", tensor.shape[::-1] if turned else tensor.shape, make)


def _finish(folder: Path, output: Path, config: Mapping[str, Any]) -> None:
    """Write the configuration, and make sure that the folder now says what the other one says."""
    write_text(output / ADAPTER_CONFIG, json.dumps(config, ensure_ascii=False, indent=2) + "\n")
    try:
        before, after = read_adapter(folder, None), read_adapter(output, None)
    except ModelError as error:
        raise ExportError(f"the adapter that was written cannot be read: {error.message}", hint=error.hint) from error
    if not _same(before, after):
        raise ExportError("the adapter that was written is not the one that was trained", hint="this is a bug")


def _same(before: Adapter, after: Adapter) -> bool:
    if before.changes.keys() != after.changes.keys():
        return False
    pairs = (
        (one, two)
        for name in before.changes
        for one, two in zip(before.changes[name], after.changes[name], strict=True)
    )
    return all(_equal(one, two) for one, two in pairs)


def _equal(one: TensorChange, two: TensorChange) -> bool:
    import numpy as np

    match one, two:
        case Product(), Product():
            halves = ((one.left, two.left), (one.right, two.right))
            near = abs(one.scale - two.scale) <= 1e-9 * abs(one.scale)
            return near and all(np.array_equal(a.read(), b.read()) for a, b in halves)
        case Rescaled(), Rescaled():
            return one.axis == two.axis and np.array_equal(one.lengths.read(), two.lengths.read())
    return False
