"""What every command shares: the recipe's arguments, and loading it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from jessyfile.errors import RecipeError
from jessyfile.text.printable import printable

if TYPE_CHECKING:
    from jessyfile.language import Diagnostic
    from jessyfile.language.recipe import Recipe
    from jessyfile.planning.command_line import Call
    from jessyfile.training.hosts import Hosts

F = TypeVar("F", bound=Callable[..., Any])
TAGS = ("latest", "candidate", "previous")


def setting_options(command: F) -> F:
    """Add `--arg`, `--variant` and `--set` to a command; they arrive as `arg`, `variant`, `set_`."""
    for decorate in (
        click.option(
            "--set",
            "set_",
            multiple=True,
            metavar="ADDRESS=VALUE",
            help="Replace one value of the recipe, as in lora.rank=8.",
        ),
        click.option(
            "--variant",
            metavar="NAME",
            shell_complete=_variants,
            help="Apply this VARIANT of the recipe; `all`: each of them.",
        ),
        click.option("--arg", multiple=True, metavar="NAME=VALUE", help="Give an ARG its value."),
    ):
        command = decorate(command)
    return command


def _variants(context: click.Context, _: click.Parameter, begun: str) -> list[str]:
    """Return the VARIANTs that begin so, for a shell that completes; none before the recipe is typed."""
    from jessyfile.language import load_recipe
    from jessyfile.language.inherit import EVERY_VARIANT

    # click leaves the words before an option without a value unread
    typed = [word for word in (context.params.get("recipe"), *context.args) if word is not None]
    recipe = next((word for word in typed if Path(word).is_file()), None)
    names = load_recipe(recipe).variants if recipe is not None else ()
    return [name for name in (*names, EVERY_VARIANT) if names and name.startswith(begun)]


def recipe_options(command: F) -> F:
    """Add RECIPE and the options of `setting_options` to a command; RECIPE arrives as `recipe`."""
    path = click.Path(path_type=Path)
    argument = click.argument("recipe", type=path, required=False, metavar="RECIPE", callback=_recipe)
    return argument(setting_options(command))


sample_option = click.option(
    "--sample",
    type=click.IntRange(min=1),
    metavar="ROWS",
    help="Start small: about this many rows, in the recipe's proportions, as the model NAME-sample.",
)


hosts_option = click.option(
    "--hosts",
    type=click.Path(),
    metavar="FILE",
    help="Train in several processes: a file of hosts, as mlx.launch reads it.",
)


def read_call_hosts(call: Call) -> Hosts | None:
    """Return what the file of `--hosts` says, None without one. Raises TrainingError."""
    if call.hosts is None:
        return None
    from jessyfile.training.hosts import read_hosts

    return read_hosts(Path(call.hosts))


def sending_options(command: F) -> F:
    """Add `--allow-host`, which arrives as `allow_host`; during the command its entries also stand in the environment."""
    return click.option(
        "--allow-host",
        multiple=True,
        metavar="HOST[=VARIABLE]",
        callback=_allowed,
        help="Let the recipe send texts to a server, and the key in an environment variable.",
    )(command)


def _allowed(context: click.Context, _: click.Parameter, value: tuple[str, ...]) -> tuple[str, ...]:
    from jessyfile.planning import consent

    for entry in value:
        if not consent.is_entry(entry):
            raise click.UsageError(f"--allow-host takes HOST, HOST:PORT or HOST=VARIABLE, not {entry!r}")
    before = os.environ.get(consent.VARIABLE)
    if value:
        # in the environment, so that the jobs of a watch have the same permissions
        os.environ[consent.VARIABLE] = ",".join([*value, *([before] if before else [])])
        context.call_on_close(lambda: _restore(consent.VARIABLE, before))
    return value


def _restore(variable: str, value: str | None) -> None:
    os.environ.pop(variable, None)
    if value is not None:
        os.environ[variable] = value


def _recipe(context: click.Context, _: click.Parameter, value: Path | None) -> Path | None:
    from jessyfile.commands.recipe_file import missing_recipe

    if value is None and not context.resilient_parsing:
        raise missing_recipe(context)
    return value


def as_typed() -> str:
    """Return the command under way as it was typed, for a hint to call it again: its arguments and every option that was given."""
    from jessyfile.planning.command_line import shell_line

    context = click.get_current_context()
    given = [one for one in context.command.params if _was_typed(context, one)]
    arguments = [word for one in given if isinstance(one, click.Argument) for word in _words(context, one)]
    options = [word for one in given if isinstance(one, click.Option) for word in _words(context, one)]
    # a name that begins with a dash would be taken for an option
    dashed = any(word.startswith("-") for word in arguments)
    words = [*options, "--", *arguments] if dashed else [*arguments, *options]
    return shell_line(*context.command_path.split()[1:], *words)


def _was_typed(context: click.Context, parameter: click.Parameter) -> bool:
    return context.get_parameter_source(parameter.name or "") is click.core.ParameterSource.COMMANDLINE


def _words(context: click.Context, parameter: click.Parameter) -> Iterator[str]:
    value = context.params[parameter.name or ""]
    for one in value if isinstance(value, tuple) else (value,):
        if isinstance(parameter, click.Option):
            yield max(parameter.opts, key=len)
        if not (isinstance(parameter, click.Option) and parameter.is_flag):
            yield str(one)


def tagged(name: str, tag: str | None) -> tuple[str, str]:
    """Return name and tag, of which the tag may be part of the name; a colon in a name is never anything else."""
    bare, colon, own = name.partition(":")
    if colon and own not in TAGS:
        raise click.UsageError(f"a model's tag is {', '.join(TAGS)}, not {printable(own)!r}")
    if colon and tag not in (None, own):
        raise click.UsageError(f"{printable(name)} and --tag {tag} name two models")
    return bare, own or tag or TAGS[0]


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
    """Load a recipe and print its warnings.

    Args:
        recipe: the recipe's path, as the user typed it.
        arg: values of ARG instructions, each `NAME=VALUE`.
        variant: the VARIANT to apply, or None.
        set_: settings that replace the recipe's, each `ADDRESS=VALUE`.

    Returns:
        The valid recipe.

    Raises:
        ProjectError: the path names no recipe file.
        RecipeError: the recipe has mistakes.
    """
    from jessyfile.planning.command_line import Call

    return load_call(Call(str(recipe), arg, variant, set_))


def load_call(call: Call) -> Recipe:
    """Load the recipe of a call, cut down to its sample, and print its warnings. Raises as `load` does."""
    recipe, found = load_quietly(call)
    warn(found)
    return recipe


def load_quietly(call: Call) -> tuple[Recipe, Sequence[Diagnostic]]:
    """Load the recipe of a call, cut down to its sample; return it with its warnings. Raises as `load` does."""
    from jessyfile.planning.sample import sample_settings, without_dotenv

    recipe, found = _loaded(call, {})
    if call.sample is not None:
        # warnings are about the whole recipe, not about the few rows of its sample
        recipe = without_dotenv(_loaded(call, sample_settings(recipe, call.sample))[0])
    return recipe, found


def warn(found: Sequence[Diagnostic]) -> None:
    """Print warnings, where there are any."""
    from jessyfile.language import render_diagnostics

    if found:
        print(render_diagnostics(found), file=sys.stderr)


def _loaded(call: Call, more: Mapping[str, str]) -> tuple[Recipe, Sequence[Diagnostic]]:
    from jessyfile.commands.recipe_file import require_recipe
    from jessyfile.language import load_recipe

    path, sets = Path(call.recipe), {**pairs(call.set_, "--set"), **more}
    require_recipe(path)
    loaded = load_recipe(path, args=pairs(call.arg, "--arg"), variant=call.variant, sets=sets)
    if loaded.recipe is None:
        raise RecipeError(f"{verdict(path, loaded.diagnostics)}; nothing was started", loaded.diagnostics)
    return loaded.recipe, loaded.diagnostics


def verdict(recipe: Path, found: Sequence[Diagnostic]) -> str:
    """Return how many mistakes and warnings a recipe has, and how to read more about the first."""
    errors = sum(d.severity == "error" for d in found)
    counts = [_counted(errors, "mistake")] + ([_counted(len(found) - errors, "warning")] if len(found) > errors else [])
    more = f" (`jessy explain {min(d.code for d in found)}` says more)" if found else ""
    return f"{printable(str(recipe))}: {', '.join(counts)}{more}"


def _counted(count: int, what: str) -> str:
    return f"{count or 'no'} {what}{'' if count == 1 else 's'}"


def open_in_browser(page: Path, what: str) -> None:
    """Say where a page lies, and show it in the browser."""
    import webbrowser

    click.echo(f"{what}: {printable(str(page))}")
    if not webbrowser.open(page.resolve().as_uri()):
        click.echo("no browser answers here; open the file yourself", err=True)
