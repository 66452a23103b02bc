"""Load a model folder into MLX with mlx-lm's model classes, without the changes that mlx-lm makes to the process."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from jessyfile.errors import ModelError
from jessyfile.models.accelerate import prepare

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import mlx.nn as nn

    from jessyfile.models.precision import Precision


def load_model(folder: Path, precision: Precision | None = None) -> tuple[nn.Module, dict[str, Any]]:
    """Return the model, its weights in memory, and its `config.json`. A fast BLAS is taken in first.

    Without a precision the weights are held as they are stored.

    Raises ModelError when a file is malformed (checked before MLX sees it), a weight is missing, or the architecture is
    unknown.
    """
    from jessyfile.models.held import hold
    from jessyfile.models.safetensors_check import check_safetensors

    for path in weight_files(folder):
        check_safetensors(path)
    prepare()
    with limits_kept():
        from mlx_lm.utils import load_model as load
    try:
        model, config = load(folder, lazy=precision is not None)
        if precision is not None:
            hold(model, precision)
    except (ValueError, KeyError, TypeError, AttributeError, FileNotFoundError, RuntimeError) as error:
        raise ModelError(f"`{folder}` cannot be loaded: {_first_line(error)}") from error
    return model, config


@contextlib.contextmanager
def loaded_folder(folder: Path) -> Iterator[Any]:
    """Hold the model of a folder in float32 during the block; nothing of it stays in memory."""
    from jessyfile import machine
    from jessyfile.models.precision import Precision

    holder = [load_model(folder, Precision("stored", "float32", "to compare"))[0]]
    try:
        yield holder[0]
    finally:
        holder.clear()
        machine.give_memory_back()


def weight_files(folder: Path) -> list[Path]:
    """Return the safetensors files that mlx-lm reads, in order. Raises ModelError when there is none."""
    found = sorted(folder.glob("model*.safetensors"))
    if not found:
        raise ModelError(
            f"`{folder}` has no model.safetensors",
            hint="FROM takes a folder with config.json and safetensors, or a GGUF",
        )
    return found


@contextlib.contextmanager
def limits_kept() -> Iterator[None]:
    """Import mlx-lm without letting it change the process's limit on open files, which fails where the hard limit is
    low.
    """
    import resource

    original = resource.setrlimit
    resource.setrlimit = lambda *_: None
    try:
        yield
    finally:
        resource.setrlimit = original


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
