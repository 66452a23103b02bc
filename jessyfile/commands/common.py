"""What every command shares: the recipe's arguments, and loading it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from jessyfile.errors import RecipeError
from jessyfile.language.recipe import Recipe
from jessyfile.text.printable import printable

F = TypeVar("F", bound=Callable[..., Any])


def recipe_options(command: F) -> F:
    """Add RECIPE, `--arg`, `--variant` and `--set` to a command; they arrive as `recipe`, `arg`, `variant`, `set_`."""
    for decorate in (
        click.option(
            "--set",
            "set_",
            multiple=True,
            metavar="ADDRESS=VALUE",
            help="Set one value from outside, as in lora.rank=8.",
        ),
        click.option("--variant", metavar="NAME", help="Lay the recipe's VARIANT over it."),
        click.option("--arg", multiple=True, metavar="NAME=VALUE", help="Give an ARG its value."),
        click.argument("recipe", type=click.Path(path_type=Path)),
    ):
        command = decorate(command)
    return command


def pairs(items: tuple[str, ...], option: str) -> dict[str, str]:
    """Read NAME=VALUE options; a pair without `=` is a usage error."""
    found: dict[str, str] = {}
    for item in items:
        name, equals, value = item.partition("=")
        if not equals or not name:
            raise click.UsageError(f"{option} takes NAME=VALUE, not {printable(item)!r}")
        found[name] = value
    return found


def load(recipe: Path, arg: tuple[str, ...], variant: str | None, set_: tuple[str, ...]) -> Recipe:
    """Load a recipe, print its diagnostics, and return it. Raises RecipeError when it has mistakes."""
    from jessyfile.language import load_recipe, render_diagnostics

    loaded = load_recipe(recipe, args=pairs(arg, "--arg"), variant=variant, sets=pairs(set_, "--set"))
    if loaded.diagnostics:
        print(render_diagnostics(loaded.diagnostics), file=sys.stderr)
    if loaded.recipe is None:
        count = sum(d.severity == "error" for d in loaded.diagnostics)
        raise RecipeError(
            f"{printable(str(recipe))} has {count} mistake{'s' if count != 1 else ''}; nothing was started"
        )
    return loaded.recipe
