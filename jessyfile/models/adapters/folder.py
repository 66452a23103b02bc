"""Which kind of adapter a folder holds, and whether it belongs to a base: all from configurations and headers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from jessyfile.errors import ModelError
from jessyfile.models.adapters.changes import Adapter, Shape, TensorChange
from jessyfile.models.adapters.mlx_lm import ADAPTER_CONFIG, ADAPTER_FILE, TAKES, read_mlx_lm
from jessyfile.models.adapters.peft import PEFT_FILE, read_peft
from jessyfile.models.architectures import by_model_type
from jessyfile.models.folder_checks import Outline, refuse_pointers
from jessyfile.models.folder_config import EMBEDDING, HEAD
from jessyfile.models.model_json import read_json

if TYPE_CHECKING:
    from pathlib import Path

_ANOTHER = "it was trained on another base"


def read_adapter(folder: Path, base: Outline | None) -> Adapter:
    """Return what an adapter's folder does to the base; the numbers are read later, tensor by tensor.

    Raises ModelError for a kind that cannot be applied, and for an adapter of another base when the base is given.
    """
    refuse_pointers(folder, "adapter")
    config = read_json(folder / ADAPTER_CONFIG)
    read = read_peft if _is_peft(folder, config) else read_mlx_lm
    if not config:
        raise _no_configuration(folder)
    adapter = read(folder, config, tied=base is not None and base.tied)
    if base is not None:
        _check_belongs(adapter, base)
    return adapter


def _is_peft(folder: Path, config: Mapping[str, Any]) -> bool:
    signs = any(key in config for key in ("peft_type", "lora_alpha", "base_model_name_or_path"))
    return signs or ((folder / PEFT_FILE).is_file() and not (folder / ADAPTER_FILE).is_file())


def _no_configuration(folder: Path) -> ModelError:
    inner = sorted(path.parent.name for path in folder.glob(f"*/{ADAPTER_CONFIG}"))
    hint = f"name the folder inside it that you mean, as {folder.name}/{inner[-1]}" if inner else TAKES
    if (folder / "config.json").is_file():
        hint = "it is a whole model: name it in FROM and leave ADAPTER out"
    return ModelError(f"`{folder}` has no {ADAPTER_CONFIG}", hint=hint)


def _check_belongs(adapter: Adapter, base: Outline) -> None:
    if HEAD in adapter.changes and base.tied and by_model_type(base.model_type).always_tied:
        raise ModelError(
            f"the adapter changes the embedding or the head alone, and a {base.model_type} has one tensor for both",
            hint="train it with ensure_weight_tying=True, or without embed_tokens and lm_head",
        )
    for name, changes in adapter.changes.items():
        shape = base.tensors.get(EMBEDDING if name == HEAD and base.tied else name)
        if shape is None:
            raise _unknown(name, base)
        for change in changes:
            if not change.fits(shape):
                raise _misfit(name, change, shape)


def _unknown(name: str, base: Outline) -> ModelError:
    module = name.removesuffix(".weight")
    fused = next((own for own in ("qkv_proj", "gate_up_proj") if any(own in one for one in base.tensors)), None)
    hint = f"the base has fused layers (`{fused}`); take the base it was trained on" if fused else _ANOTHER
    return ModelError(f"the adapter changes `{module}`, which the base model does not have", hint=hint)


def _misfit(name: str, change: TensorChange, shape: Shape) -> ModelError:
    module, own = name.removesuffix(".weight"), change.shape
    if name in (EMBEDDING, HEAD) and own[1:] == shape[1:]:
        return ModelError(
            f"the adapter's `{module}` has {own[0]} rows and the base's vocabulary {shape[0]}: tokens were added or "
            "removed when it was trained",
            hint="merge it into the resized base with the tool that trained it, name that folder in FROM and leave "
            "ADAPTER out",
        )
    return ModelError(f"the adapter of `{module}` is for {own}, the base has {shape}", hint=_ANOTHER)
