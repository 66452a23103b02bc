"""What is handed to an engine without a recipe: a GGUF as it is, or what a Modelfile says of one.

A Modelfile is read as `jessy import` reads it, into a recipe, so that its values are judged by the same rules and
packed by the same code as those of any other model.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from jessyfile.errors import ExportError, ModelError
from jessyfile.importing import import_file
from jessyfile.importing.modelfile_reader import decode_modelfile, read_modelfile
from jessyfile.language.build import training_recipe
from jessyfile.language.loading import load_text
from jessyfile.language.recipe import Complexity, Recipe
from jessyfile.models.chat_format import ChatFormat, refuse_other_template
from jessyfile.models.from_gguf import gguf_format
from jessyfile.models.gguf_reader import read_gguf
from jessyfile.user_files import read_plain

_HEAD = b"GGUF"


@dataclass(frozen=True, slots=True)
class Parcel:
    """A GGUF, the chat format that its vocabulary has, and a recipe with what else is served with it."""

    gguf: Path
    form: ChatFormat
    recipe: Recipe


def plain_recipe(name: str, system: str | None) -> Recipe:
    """Return the recipe of a model about which nothing but its system prompt is said; it has no levels and no marker."""
    bare = training_recipe("code", {}, {})
    return replace(bare, name=name, system=system, complexity=Complexity(bare.complexity.levels, None))


def parcel_of(path: Path, name: str, note: Callable[[str], object]) -> Parcel:
    """Return what a GGUF or a Modelfile holds.

    Args:
        path: the file.
        name: the model's name.
        note: told what of a Modelfile is left out.

    Returns:
        The parcel.

    Raises:
        ExportError: a Modelfile names no GGUF, or an adapter, or another format than the GGUF's.
        ModelError: the GGUF is damaged.
        ModelfileError: Ollama would refuse the Modelfile.
    """
    try:
        head = read_plain(path, len(_HEAD))
    except FileNotFoundError:
        raise ExportError(f"there is no file `{path}`", hint="name a GGUF, or a Modelfile") from None
    if head == _HEAD:
        return Parcel(path, gguf_format(read_gguf(path)), plain_recipe(name, None))
    found = import_file(path, name=name)
    for one in found.notes:
        note(f"{one.file}:{one.line}: {one.message}" if one.line else one.message)
    recipe = load_text(found.text, path.with_suffix(".jessy")).recipe
    if recipe is None or recipe.adapter is not None:
        raise ExportError(
            f"`{path}` has an ADAPTER, which is not served any more"
            if recipe is not None
            else f"`{path}` says what no model can be served with",
            hint="merge the adapter first" if recipe is not None else f"`jessy import {path}` shows it line by line",
        )
    gguf = _named_gguf(path)
    form = gguf_format(read_gguf(gguf))
    try:
        refuse_other_template(recipe.template, form)
    except ModelError as error:
        raise ExportError(error.message, hint="create_modelfile writes the right one") from error
    return Parcel(gguf, form, replace(recipe, name=name, template=None))


def _named_gguf(modelfile: Path) -> Path:
    """Return the file that FROM names, which counts from the Modelfile's folder."""
    (named, *_) = [one.args for one in read_modelfile(decode_modelfile(read_plain(modelfile))) if one.name == "model"]
    found = modelfile.parent / Path(named).expanduser()
    if not found.is_file():
        raise ExportError(
            f"`{modelfile}` says FROM {named}, which is no file beside it",
            hint="name the GGUF there, as `FROM ./model.gguf`",
        )
    return found
