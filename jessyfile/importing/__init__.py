"""Other tools' configurations -> the Jessyfile that equals them, and a note for everything that would not survive.

    import_file(path) -> Imported(text, notes)

A Modelfile says nothing about training and an mlx-lm configuration nothing about what a row is, so both get a small
dataset to start from; what the source does say is carried over exactly or named with its line.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from jessyfile.errors import ProjectError
from jessyfile.fsops import read_bytes

if TYPE_CHECKING:
    from jessyfile.importing.recipe_text import Imported

MAX_BYTES = 1 << 20
_YAML = (".yaml", ".yml", ".json")


def import_file(path: Path, *, target: Path | None = None, name: str | None = None) -> Imported:
    """Return the recipe that equals a Modelfile, or an mlx_lm.lora configuration when the name ends in .yaml.

    `target` is where the recipe will stand: its paths count from there. `name` is the model's; left out, it is made
    from the file's. Raises ModelfileError for a Modelfile that Ollama refuses, ProjectError for YAML
    that is not read and for a file that is not there.
    """
    target = target or path.with_suffix(".jessy")
    data = _read(path)
    if path.suffix.lower() in _YAML:
        from jessyfile.importing.from_mlx_lm import import_mlx_lm

        return import_mlx_lm(data, path, target, name)
    from jessyfile.importing.from_modelfile import import_modelfile

    return import_modelfile(data, path, target, name)


def _read(path: Path) -> bytes:
    try:
        data = read_bytes(path)
    except FileNotFoundError:
        raise ProjectError(f"there is no file `{path}`", hint="name a Modelfile or an mlx-lm configuration") from None
    if len(data) > MAX_BYTES:
        raise ProjectError(
            f"`{path}` has more than {MAX_BYTES:,} bytes", hint="no Modelfile or configuration is so long"
        )
    return data
