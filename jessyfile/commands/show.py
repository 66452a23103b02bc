"""`jessy show`: a flattened recipe, or a run."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import click

from jessyfile.commands.common import load, recipe_options

if TYPE_CHECKING:
    from pathlib import Path

_RUN = re.compile(r"[0-9]+|run-[0-9A-Za-z_.-]+")


@click.command()
@recipe_options
@click.option("--flat", is_flag=True, help="One value a line, by its address, defaults included.")
@click.option("--json", "as_json", is_flag=True, help="The recipe as JSON, valid against `jessy schema`.")
@click.option("--all", "everything", is_flag=True, help="Print defaults too.")
@click.option(
    "--origin", "origins", is_flag=True, help="Say of every line where it is written, not only of other files'."
)
def show(
    recipe: Path,
    arg: tuple[str, ...],
    variant: str | None,
    set_: tuple[str, ...],
    flat: bool,
    as_json: bool,
    everything: bool,
    origins: bool,
) -> None:
    """Print a recipe with everything it extends and includes, or a run by its number."""
    if _RUN.fullmatch(str(recipe)) and not recipe.exists():
        from jessyfile.commands.history import show_run

        show_run(str(recipe))
        return
    loaded = load(recipe, arg, variant, set_)
    if as_json:
        import json

        click.echo(json.dumps(loaded.document, ensure_ascii=True, indent=2))
    elif flat:
        from jessyfile.language.printer import flat_lines
        from jessyfile.language.render import safe

        for line in flat_lines(loaded):
            click.echo(safe(line))
    else:
        from jessyfile.language.printer import flatten
        from jessyfile.text.printable import printable

        click.echo(
            printable(flatten(loaded, origins="all" if origins or everything else "others", everything=everything)),
            nl=False,
        )
