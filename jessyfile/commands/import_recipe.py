"""`jessy import`: a recipe out of another tool's file."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from jessyfile.commands.init import checked_name
from jessyfile.commands.say import say

if TYPE_CHECKING:
    from jessyfile.importing.recipe_text import Imported

_SERVED = "ollama:"


@click.command("import")
@click.argument("file", type=click.Path(path_type=Path), required=False, metavar="FILE|ollama:NAME")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Write the recipe here instead of printing it.")
@click.option("--name", help="The model's name; made from the file's unless given: that of -o, else FILE's.")
def import_(file: Path | None, output: Path | None, name: str | None) -> None:
    """Write the Jessyfile that equals a Modelfile or an mlx_lm.lora configuration (.yaml), or a model that an Ollama has (ollama:NAME).

    What would not survive is named on standard error, with its line. The Ollama is the one of OLLAMA_HOST, else this machine's.
    """
    from jessyfile.commands.recipe import known_mistakes
    from jessyfile.importing import import_file, import_served, importable_in
    from jessyfile.importing.quote import model_name
    from jessyfile.user_files import require_own, write_new

    if file is None:
        here = importable_in(Path())
        hint = f"as in `jessy import {shlex.quote(here[0])}`" if here else "name a Modelfile or an mlx-lm configuration"
        raise click.UsageError(f"FILE is missing: {hint}")
    if output is not None:
        require_own(output, lambda _: False)
    wanted = checked_name(name) if name else None
    if str(file).startswith(_SERVED) and not file.exists():
        model = str(file).removeprefix(_SERVED)
        found = import_served(model, modelfile_of(model), target=output, name=wanted, check=known_mistakes)
    else:
        made = model_name(output.stem) if output is not None else None
        found = import_file(file, target=output, name=wanted or made, check=known_mistakes)
    _report(found)
    if output is None:
        click.echo(found.text, nl=False)
        return
    write_new(output, found.text.encode("utf-8"))
    say(f"wrote {output}", err=True)


def modelfile_of(model: str) -> str:
    """Return the Modelfile by which an Ollama shows a model that it has. Raises EngineError when it does not answer or has none."""
    from jessyfile.addresses import OLLAMA, ollama_host
    from jessyfile.errors import EngineError
    from jessyfile.export.ollama_api import OllamaClient

    url = ollama_host() or OLLAMA
    client = OllamaClient(url)
    if not client.has(model):
        hint = f"`ollama pull {model}`" if model else "as in `jessy import ollama:gemma3:270m`"
        raise EngineError(f"the Ollama at {url} has no model `{model}`", hint=hint)
    told = client.ask("/api/show", {"model": model}).get("modelfile")
    if not isinstance(told, str):
        raise EngineError(f"the Ollama at {url} shows no Modelfile of `{model}`", hint="update Ollama")
    return told


def _report(found: Imported) -> None:
    for note in found.notes:
        place = f"{note.file}:{note.line}" if note.line else note.file
        say(f"{place}: {note.message}", err=True)
        if note.help:
            say(f"  = help: {note.help}", err=True)
