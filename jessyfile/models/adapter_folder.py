"""Which kind of adapter a folder holds, from its configuration and its tensors' names: LoRA as mlx-lm and jessy write it is
taken, every other kind is refused by its name.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from jessyfile.errors import ModelError
from jessyfile.models.safetensors_check import check_safetensors
from jessyfile.models.tokenizer import read_json

if TYPE_CHECKING:
    from pathlib import Path

ADAPTER_FILE, ADAPTER_CONFIG = "adapters.safetensors", "adapter_config.json"
_HALVES = ("lora_a", "lora_b")
Shape = tuple[int, ...]


def adapter_shapes(folder: Path) -> Mapping[str, tuple[Shape, Shape]]:
    """Return the shapes of A and B by module path. Raises ModelError for a folder that holds no LoRA of mlx-lm's form."""
    config = read_json(folder / ADAPTER_CONFIG)
    _refuse_peft(folder, config)
    _refuse_other_tuning(config)
    adapter_scale(folder, config)
    if not (folder / ADAPTER_FILE).is_file():
        steps = sorted(path.name for path in folder.glob("*_adapters.safetensors"))
        hint = f"copy the checkpoint you mean: cp {steps[-1]} {ADAPTER_FILE}" if steps else _TAKES
        raise ModelError(f"`{folder}` has no {ADAPTER_FILE}", hint=hint)
    tensors = check_safetensors(folder / ADAPTER_FILE)
    _refuse_other_tensors(folder, tensors)
    modules = sorted({name.rpartition(".")[0] for name in tensors})
    if not modules:
        raise ModelError(f"`{folder / ADAPTER_FILE}` holds no adapter", hint=_TAKES)
    return {module: _pair(tensors, module) for module in modules}


def adapter_scale(folder: Path, config: Mapping[str, Any]) -> float:
    """Return the factor before the low-rank product. Raises ModelError when the configuration has none."""
    settings = config.get("lora_parameters", config)
    scale = settings.get("scale") if isinstance(settings, dict) else None
    if isinstance(scale, bool) or not isinstance(scale, int | float) or not math.isfinite(scale):
        raise ModelError(f"`{folder / ADAPTER_CONFIG}` has no scale", hint=_TAKES)
    return float(scale)


def check_belongs(adapter: Mapping[str, tuple[Shape, Shape]], base: Mapping[str, Shape]) -> None:
    """Raise ModelError when an adapter changes what the base, given by its tensors' shapes, does not have."""
    for module, (first, second) in adapter.items():
        shape = base.get(f"{module}.weight")
        if shape is None:
            raise ModelError(
                f"the adapter changes `{module}`, which the base model does not have",
                hint="it was trained on another base",
            )
        if shape != (second[1], first[0]):
            raise ModelError(
                f"the adapter of `{module}` is for {(second[1], first[0])}, the base has {shape}",
                hint="it was trained on another base",
            )


_TAKES = "ADAPTER takes a folder that mlx-lm or jessy wrote, with adapters.safetensors and adapter_config.json"


def _refuse_peft(folder: Path, config: Mapping[str, Any]) -> None:
    files = [name for name in ("adapter_model.safetensors", "adapter_model.bin") if (folder / name).is_file()]
    signs = [key for key in ("peft_type", "lora_alpha", "base_model_name_or_path") if key in config]
    if signs or (files and not (folder / ADAPTER_FILE).is_file()):
        found = " and ".join([*files[:1], "r and lora_alpha" if "lora_alpha" in config else ADAPTER_CONFIG])
        raise ModelError(
            f"`{folder}` is an adapter of PEFT ({found}), whose tensors have other names and another scale",
            hint="merge it with PEFT (`model.merge_and_unload().save_pretrained(FOLDER)`), "
            "name that folder in FROM and "
            "leave ADAPTER out",
        )


def _refuse_other_tuning(config: Mapping[str, Any]) -> None:
    kind = str(config.get("fine_tune_type", "lora")).lower()
    if kind == "full":
        raise ModelError(
            "ADAPTER names whole weights (fine_tune_type full), not an adapter",
            hint="fuse them with `mlx_lm.fuse`, name the fused folder in FROM and leave ADAPTER out",
        )
    if kind == "dora":
        raise _dora()
    if kind != "lora":
        raise ModelError(f"ADAPTER was trained with fine_tune_type {kind}, which is not known", hint=_TAKES)


def _refuse_other_tensors(folder: Path, names: Mapping[str, object]) -> None:
    others = [name for name in names if name.rpartition(".")[2] not in _HALVES]
    if any(name.endswith((".m", ".lora_magnitude_vector")) for name in others):
        raise _dora()
    if any(".lora_A" in name or name.startswith("base_model.") for name in others):
        raise ModelError(f"`{folder}` holds tensors with PEFT's names ({others[0]!r})", hint=_TAKES)
    if others and len(others) == len(names):
        raise ModelError(
            f"`{folder / ADAPTER_FILE}` holds whole weights ({others[0]!r}), not an adapter",
            hint="fuse them with `mlx_lm.fuse`, name the fused folder in FROM and leave ADAPTER out",
        )
    if others:
        raise ModelError(
            f"the adapter holds {others[0]!r}, which is no half of a low-rank product and would be lost",
            hint="fuse it with the tool that trained it, and name the fused folder in FROM",
        )


def _dora() -> ModelError:
    return ModelError(
        "ADAPTER was trained with DoRA, whose magnitudes a merge of plain LoRA would drop",
        hint="fuse it with `mlx_lm.fuse`, name the fused folder in FROM and leave ADAPTER out",
    )


def _pair(tensors: Mapping[str, Any], module: str) -> tuple[Shape, Shape]:
    first, second = (tensors.get(f"{module}.{half}") for half in _HALVES)
    if first is None or second is None:
        raise ModelError(f"the adapter of `{module}` lacks lora_a or lora_b", hint="the file is incomplete")
    if len(first.shape) != 2 or len(second.shape) != 2 or first.shape[1] != second.shape[0]:
        raise ModelError(
            f"the adapter of `{module}` has shapes {first.shape} and {second.shape}, which do not multiply",
            hint="adapters on embeddings and on mixtures of experts are not known",
        )
    return first.shape, second.shape
