"""Which local files FROM, ADAPTER and LORA name: what the plan hashes. Light on purpose; nothing is opened."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

from jessyfile.errors import ModelError
from jessyfile.models.reference import parse_reference

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jessyfile.language.recipe import Recipe

_PATTERNS = (
    "config.json", "tokenizer*.json", "special_tokens_map.json", "generation_config.json", "*.jinja", "tokenizer.model",
    "model*.safetensors", "model.safetensors.index.json", "adapters.safetensors", "adapter_model.safetensors",
    "adapter_config.json", "base_metadata.gguf",
)  # fmt: skip


def base_files(recipe: Recipe, root: Path) -> Sequence[Path]:
    """Return the files of a local base model and a local adapter; nothing for names that come from elsewhere, and for what
    is not there (the preflight says so).
    """
    return (*named_files(recipe, root), *_files(recipe.adapter, root))


def named_files(recipe: Recipe, root: Path) -> Sequence[Path]:
    """Return the files of a local base model, the adapter's left aside."""
    return _files(recipe.base, root)


def _files(text: str | None, root: Path) -> Sequence[Path]:
    with contextlib.suppress(ModelError):
        path = parse_reference(text, root).path if text is not None else None  # paths count from the root
        return tuple(model_files(path)) if path is not None else ()
    return ()


def trained_files(recipe: Recipe, root: Path) -> Sequence[Path]:
    """Return the files of the adapter that LORA takes in place of a training."""
    return tuple(model_files(root / recipe.lora.trained)) if recipe.lora.trained else ()


def adapter_reference(recipe: Recipe, root: Path) -> Path | None:
    """Return the folder that ADAPTER names, None without one. Raises ModelError when it is no folder."""
    if recipe.adapter is None:
        return None
    path = (root / Path(recipe.adapter).expanduser()).resolve()
    if not path.is_dir():
        raise ModelError(f"ADAPTER `{recipe.adapter}` is no adapter's folder", hint=_folder_hint(path))
    return path


def _folder_hint(path: Path) -> str:
    if path.suffix == ".gguf":
        return "a GGUF adapter is not read: name the folder that it was converted from"
    if path.is_file():
        return f"name the folder of the file: {path.parent}"
    return f"looked for {path}"


def model_files(path: Path) -> list[Path]:
    """Return a model folder's files that matter, sorted; for a file, itself."""
    if path.is_file():
        return [path]
    return sorted({file for pattern in _PATTERNS for file in path.glob(pattern) if file.is_file()})
