"""Read what mlx-lm's trainer writes, and jessy's: `adapters.safetensors` with LoRA, DoRA or whole weights.

A module's halves are `lora_a` of shape (in, rank) and `lora_b` of shape (rank, out), on an embedding (rows, rank) and
(rank, width); DoRA adds `m`, the length of each row. Which layers were tuned (`num_layers`, `keys`) the names tell.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from jessyfile.errors import ModelError
from jessyfile.models.adapters.changes import (
    Adapter,
    AdapterTensor,
    Product,
    Replaced,
    Rescaled,
    TensorChange,
    adapter_of,
    adapter_tensors,
    finite_number,
)
from jessyfile.models.folder_config import HEAD

if TYPE_CHECKING:
    from pathlib import Path

ADAPTER_FILE, ADAPTER_CONFIG = "adapters.safetensors", "adapter_config.json"
TAKES = "ADAPTER takes a folder that mlx-lm, jessy or PEFT wrote, with its adapter_config.json and its safetensors"
_OLD_FILE = "adapters.npz"
_PARTS = ("lora_a", "lora_b", "m")
_KINDS = ("lora", "dora", "full")
_Parts = Mapping[str, AdapterTensor]


def read_mlx_lm(folder: Path, config: Mapping[str, Any], *, tied: bool) -> Adapter:
    """Return the adapter of a folder in mlx-lm's form, for a base whose head is its embedding (`tied`) or is not.

    Raises ModelError for another kind of adapter, a missing half, or shapes that do not multiply.
    """
    tensors = adapter_tensors(_weights(folder))
    if not tensors:
        raise ModelError(f"`{folder / ADAPTER_FILE}` holds no adapter", hint=TAKES)
    kind = _kind(config, tensors)
    adapter = adapter_of(_whole(tensors) if kind == "full" else _low_rank(folder, config, tensors, kind))
    if tied and HEAD in adapter.changes:
        raise ModelError(
            "the adapter changes `lm_head`, which the base model does not have: its head is its embedding",
            hint="it was trained on another base",
        )
    return adapter


def _weights(folder: Path) -> Path:
    path = folder / ADAPTER_FILE
    if not path.is_file():
        steps = sorted(one.name for one in folder.glob("*_adapters.safetensors"))
        hint = f"copy the checkpoint you mean: cp {steps[-1]} {ADAPTER_FILE}" if steps else TAKES
        if (folder / _OLD_FILE).is_file():
            hint = f"{_OLD_FILE} is of an old mlx-lm: mx.save_safetensors('{ADAPTER_FILE}', mx.load('{_OLD_FILE}'))"
        raise ModelError(f"`{folder}` has no {ADAPTER_FILE}", hint=hint)
    return path


def _kind(config: Mapping[str, Any], tensors: Mapping[str, object]) -> str:
    """Return `lora`, `dora` or `full`, from the configuration, else from the tensors' names."""
    word = config.get("fine_tune_type")
    if word is None:
        parts = {_part(name) for name in tensors}
        return "dora" if "m" in parts else "lora" if parts & {"lora_a", "lora_b"} else "full"
    kind = str(word)[:40].lower()
    if kind not in _KINDS:
        raise ModelError(
            f"ADAPTER was trained with fine_tune_type {kind}, which is not known", hint=f"known: {', '.join(_KINDS)}"
        )
    return kind


def _part(name: str) -> str:
    return name.rpartition(".")[2]


def _whole(tensors: Mapping[str, AdapterTensor]) -> Iterator[tuple[str, Sequence[TensorChange]]]:
    for name, tensor in tensors.items():
        if _part(name) in _PARTS:
            raise ModelError(
                f"ADAPTER was trained with fine_tune_type full and holds {name!r}, a half of a low-rank product",
                hint="set fine_tune_type in adapter_config.json to what was trained: lora or dora",
            )
        yield name, (Replaced(tensor),)


def _low_rank(
    folder: Path, config: Mapping[str, Any], tensors: Mapping[str, AdapterTensor], kind: str
) -> Iterator[tuple[str, Sequence[TensorChange]]]:
    scale, modules = _scale(folder, config), defaultdict[str, dict[str, AdapterTensor]](dict)
    for name, tensor in tensors.items():
        if _part(name) not in _PARTS:
            raise _other(folder, name, alone=not any(_part(one) in _PARTS for one in tensors))
        modules[name.rpartition(".")[0]][_part(name)] = tensor
    for module, parts in sorted(modules.items()):
        yield f"{module}.weight", _changes(module, parts, scale, kind)


def _scale(folder: Path, config: Mapping[str, Any]) -> float:
    settings = config.get("lora_parameters", config)
    scale = finite_number(settings.get("scale")) if isinstance(settings, dict) else None
    if scale is None:
        raise ModelError(f"`{folder / ADAPTER_CONFIG}` has no scale", hint=TAKES)
    return scale


def _other(folder: Path, name: str, *, alone: bool) -> ModelError:
    if ".lora_A" in name or ".lora_B" in name or name.startswith("base_model."):
        return ModelError(
            f"`{folder / ADAPTER_FILE}` holds tensors with PEFT's names ({name!r})",
            hint="give the file its own name, adapter_model.safetensors, and put PEFT's adapter_config.json beside it",
        )
    if alone:
        return ModelError(
            f"`{folder / ADAPTER_FILE}` holds whole weights ({name!r}) and its adapter_config.json says lora",
            hint="if all of the weights were trained, write fine_tune_type full there",
        )
    return ModelError(
        f"the adapter holds {name!r}, which is no half of a low-rank product and would be lost",
        hint="fuse it with the tool that trained it, and name the fused folder in FROM",
    )


def _changes(module: str, parts: _Parts, scale: float, kind: str) -> Sequence[TensorChange]:
    if "lora_a" not in parts or "lora_b" not in parts:
        raise ModelError(f"the adapter of `{module}` lacks lora_a or lora_b", hint="the file is incomplete")
    if ("m" in parts) != (kind == "dora"):
        has = "lacks m, the lengths of its rows" if kind == "dora" else "has m, the lengths of DoRA"
        raise ModelError(
            f"ADAPTER was trained with fine_tune_type {kind}, and the adapter of `{module}` {has}",
            hint="the file and its adapter_config.json are of two trainings; put those of one together",
        )
    product = _product(module, parts["lora_a"], parts["lora_b"], scale)
    return (product, Rescaled(parts["m"])) if kind == "dora" else (product,)


def _product(module: str, first: AdapterTensor, second: AdapterTensor, scale: float) -> Product:
    if len(first.shape) == 3:
        raise ModelError(
            f"the adapter of `{module}` is for the experts of a mixture, which cannot be written as GGUF yet",
            hint="tune a model without experts",
        )
    if len(first.shape) != 2 or len(second.shape) != 2 or first.shape[1] != second.shape[0]:
        raise ModelError(
            f"the adapter of `{module}` has shapes {first.shape} and {second.shape}, which do not multiply",
            hint="the file is damaged; copy it again",
        )
    if _part(module) == "embed_tokens":
        return Product(first, second, scale)
    return Product(replace(second, turned=True), replace(first, turned=True), scale)
