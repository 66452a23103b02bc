"""`jessy apply`: do what the plan says, show how far it is, and say what came of it."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from jessyfile.commands.common import load, printable, recipe_options
from jessyfile.commands.plan import selection, step_options

if TYPE_CHECKING:
    from jessyfile.language.recipe import Recipe
    from jessyfile.planning.plan import Selection
    from jessyfile.planning.run import RunResult


@click.command()
@recipe_options
@step_options
def apply(
    recipe: Path,
    arg: tuple[str, ...],
    variant: str | None,
    set_: tuple[str, ...],
    only: tuple[str, ...],
    skip: tuple[str, ...],
    replace: tuple[str, ...],
) -> int:
    """Make data, train, export, evaluate, promote: whatever the plan says. RECIPE may be a saved plan (plan.json)."""
    call: dict[str, Any] = {"recipe": recipe, "arg": arg, "variant": variant, "set_": set_}
    chosen, saved = selection(only, skip, replace), None
    if recipe.suffix == ".json":
        call, chosen, saved = _saved(recipe, call, chosen)
    loaded = load(Path(call["recipe"]), tuple(call["arg"]), call["variant"], tuple(call["set_"]))
    return run_apply(loaded, chosen, saved=saved, again=_again(call, chosen))


def run_apply(loaded: Recipe, chosen: Selection, *, saved: str | None = None, again: str) -> int:
    """Apply a loaded recipe with signals, progress and report; `again` is the command that resumes it. Returns the
    exit code."""
    from jessyfile.commands.signals import stopping
    from jessyfile.commands.terminal import Screen
    from jessyfile.errors import Interrupted
    from jessyfile.pipeline import compile_steps
    from jessyfile.planning.run import apply as apply_steps
    from jessyfile.project import find_root

    root = find_root(loaded.path)
    with stopping() as stop, Screen() as screen:
        try:
            result = apply_steps(
                loaded, root, compile_steps(loaded), chosen, saved=saved, observer=screen, stop=stop, what=again
            )
        except (Interrupted, KeyboardInterrupt) as error:
            message = (
                error.message if isinstance(error, Interrupted) else "stopped at once; everything done before is kept"
            )
            raise Interrupted(message, hint=f"resume with: {again}") from error
    _conclude(loaded, root, result)
    return result.exit_code


def _conclude(loaded: Recipe, root: Path, result: RunResult) -> None:
    if result.run is not None:
        report = _report(loaded, root, result)
        if report is not None:
            click.echo(f"report: {printable(str(report))}")
    if result.withheld is not None:
        click.echo(printable(f"{result.name} is not promoted: {result.withheld}"))
    elif (promote := result.step("promote")) is not None and promote.outcome == "ran":
        click.echo(printable(f"{result.name}:latest is the new model. Ask it: jessy chat {result.name}"))


def _report(loaded: Recipe, root: Path, result: RunResult) -> Path | None:
    try:
        from jessyfile.report import write_report
    except ImportError:
        return None
    path: Path = write_report(loaded, root, result)
    return path


def _saved(path: Path, call: dict[str, Any], chosen: Selection) -> tuple[dict[str, Any], Selection, str]:
    from jessyfile.planning.saved import load_saved

    if call["arg"] or call["variant"] or call["set_"] or chosen != selection((), (), ()):
        raise click.UsageError("a saved plan is applied as it is; plan again to change it")
    return load_saved(path)


def _again(call: dict[str, Any], chosen: Selection) -> str:
    """Return the command line that does the same once more."""
    words = ["jessy", "apply", str(call["recipe"])]
    for option, values in (
        ("--arg", call["arg"]),
        ("--set", call["set_"]),
        ("--only", chosen.only),
        ("--skip", chosen.skip),
    ):
        words += [word for value in values for word in (option, value)]
    if call["variant"]:
        words += ["--variant", call["variant"]]
    return shlex.join(words)
