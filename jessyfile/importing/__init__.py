"""Other tools' configurations -> the Jessyfile that equals them, and a note for everything that would not survive.

    import_file(path) -> Imported(text, notes)

A Modelfile says nothing about training and an mlx-lm configuration nothing about what a row is, so both get a small
dataset to start from; what the source does say is carried over exactly or named with its line.
"""

from __future__ import annotations

from pathlib import Path

from jessyfile.errors import ProjectError
from jessyfile.fsops import storage_error
from jessyfile.importing.recipe_text import Check, Imported, RecipeText, no_mistakes
from jessyfile.language.suggest import similar

MAX_BYTES = 1 << 20
_YAML = (".yaml", ".yml", ".json")


def import_file(
    path: Path, *, target: Path | None = None, name: str | None = None, check: Check = no_mistakes
) -> Imported:
    """Return the recipe that equals a Modelfile, or an mlx_lm.lora configuration when the name ends in .yaml.

    Args:
        path: the file to read.
        target: where the recipe will stand; its paths count from there.
        name: the model's name; made from the file's unless given.
        check: what else finds mistakes in a recipe; what it refuses of a Modelfile is left out and noted.

    Raises:
        ModelfileError: Ollama would refuse the Modelfile.
        ProjectError: the file is not there, is another tool's, or is YAML that is not read.
    """
    from jessyfile.importing.foreign import foreign_file

    target = target or path.with_suffix(".jessy")
    data = _read(path)
    if refused := foreign_file(path, data):
        raise refused
    if len(data) > MAX_BYTES:
        hint = "no Modelfile or configuration is so long"
        raise ProjectError(f"`{path}` has more than {MAX_BYTES:,} bytes", hint=hint)
    if path.suffix.lower() in _YAML:
        from jessyfile.importing.from_mlx_lm import import_mlx_lm

        return import_mlx_lm(data, path, target, name)
    from jessyfile.importing.from_modelfile import import_modelfile

    return import_modelfile(data, path, RecipeText(str(path), target, check), name)


def import_served(
    model: str, modelfile: str, *, target: Path | None = None, name: str | None = None, check: Check = no_mistakes
) -> Imported:
    """Return the recipe that equals a model of an Ollama.

    Args:
        model: the model's name there.
        modelfile: the Modelfile by which the server shows it.
        target: where the recipe will stand.
        name: the name of what is to be tuned; made from the model's unless given.
        check: what else finds mistakes in a recipe; what it refuses is left out and noted.

    Raises:
        ModelfileError: Ollama would refuse the Modelfile.
    """
    from jessyfile.importing.from_modelfile import import_modelfile
    from jessyfile.importing.quote import model_name

    shown = Path(f"ollama:{model}")
    draft = RecipeText(str(shown), target or Path("recipe.jessy"), check)
    return import_modelfile(
        modelfile.encode("utf-8", "replace"),
        shown,
        draft,
        name or model_name(model.rpartition("/")[2].partition(":")[0]),
    )


def _read(path: Path) -> bytes:
    """Return a file's first mebibyte and one byte: more is no Modelfile."""
    try:
        with open(path, "rb") as handle:
            return handle.read(MAX_BYTES + 1)
    except FileNotFoundError:
        near = similar(path.name, _names_in(path.parent))
        hint = f"did you mean `{path.with_name(near)}`?" if near else "name a Modelfile or an mlx-lm configuration"
        raise ProjectError(f"there is no file `{path}`", hint=hint) from None
    except IsADirectoryError:
        inside = importable_in(path)
        hint = f"name the file in it: `jessy import {path / inside[0]}`" if inside else "name a Modelfile in it"
        raise ProjectError(f"`{path}` is a folder", hint=hint) from None
    except OSError as error:
        raise storage_error(error, path, "read") from error


def importable_in(folder: Path) -> list[str]:
    """Return the names in a folder that look like a Modelfile or a configuration."""
    return [name for name in _names_in(folder) if "modelfile" in name.lower() or name.endswith(_YAML)]


def _names_in(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir()) if folder.is_dir() else []
