"""Which local files FROM and ADAPTER name: what the plan hashes. Light on purpose; nothing is opened."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jessyfile.models.reference import parse_reference

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from jessyfile.language.recipe import Recipe

_PATTERNS = (
    "config.json", "tokenizer*.json", "special_tokens_map.json", "generation_config.json", "*.jinja", "tokenizer.model",
    "model*.safetensors", "model.safetensors.index.json", "adapters.safetensors", "adapter_config.json",
    "base_metadata.gguf",
)  # fmt: skip


def base_files(recipe: Recipe, root: Path) -> Sequence[Path]:
    """Return the files of a local base model and a local adapter; nothing for names that come from elsewhere.

    Raises ModelError when a named path does not exist.
    """
    found: list[Path] = []
    for text in (recipe.base, recipe.adapter):
        if text is not None:
            reference = parse_reference(text, root)  # the language gives paths from the root
            if reference.path is not None:
                found.extend(model_files(reference.path))
    return tuple(found)


def model_files(path: Path) -> list[Path]:
    """Return a model folder's files that matter, sorted; for a file, itself."""
    if path.is_file():
        return [path]
    return sorted({file for pattern in _PATTERNS for file in path.glob(pattern) if file.is_file()})
