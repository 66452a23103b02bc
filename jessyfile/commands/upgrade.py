"""`jessy upgrade`: what an older jessy left here, brought to today's formats."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from jessyfile.commands.history import here, locked
from jessyfile.errors import Exit, RecipeError
from jessyfile.text.printable import printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jessyfile.migrations.project import Upgrade

_VERSION_CODE = "J018"


@click.command()
@click.argument("recipes", nargs=-1, type=click.Path(path_type=Path), metavar="[RECIPE]...")
@click.option("--check", is_flag=True, help="Only say what is to be done; exit 1 if anything is.")
def upgrade(recipes: tuple[Path, ...], check: bool) -> int:
    """Bring what an older jessy left in `.jessy` to today's formats. Nothing is lost; twice changes nothing.

    Of every RECIPE it says whether its language is the newest.
    """
    from jessyfile.migrations.project import find_upgrade

    for recipe in recipes:
        _require_newest(recipe)
        click.echo(printable(f"{recipe}: JESSY 1 is the newest language"))
    root = here()
    with locked(root, "jessy upgrade"):
        found = find_upgrade(root)
        for change in () if check else found.changes:
            change.make()
    click.echo(printable("\n".join(_lines(found, check))))
    return Exit.FAILED if check and found.changes else Exit.DONE


def _require_newest(recipe: Path) -> None:
    """Raise RecipeError for a recipe of another version of the language; its other mistakes are for `check`."""
    from jessyfile.commands.recipe_file import require_recipe
    from jessyfile.language import load_recipe

    require_recipe(recipe)
    found = [one for one in load_recipe(recipe).diagnostics if one.code == _VERSION_CODE]
    if found:
        raise RecipeError(printable(f"{recipe} is of no language that this jessy knows; nothing was changed"), found)


def _lines(found: Upgrade, check: bool) -> Iterator[str]:
    says = [change.says for change in found.changes]
    for what in dict.fromkeys(says):
        count = says.count(what)
        yield f"{count} file{'' if count == 1 else 's'}: {what}"
    yield from (f"left as it is: {what}" for what in found.left)
    if not says:
        yield "everything here is in today's formats"
    elif check:
        yield "run `jessy upgrade` to do it"
    else:
        yield ("results are found again; steps whose code changed since run again, `jessy plan RECIPE` says which")
