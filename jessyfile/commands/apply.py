"""`jessy apply`: do what the plan says, show how far it is, and say what came of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from jessyfile.commands.common import load, recipe_options
from jessyfile.commands.plan import selection, step_options
from jessyfile.text.printable import printable

if TYPE_CHECKING:
    from jessyfile.language.recipe import Recipe
    from jessyfile.planning.plan import Selection
    from jessyfile.planning.plan_json import Call
    from jessyfile.planning.run import Observer, RunResult


@click.command()
@recipe_options
@step_options
@click.option("--json", "as_json", is_flag=True, help="Print what happens as JSON lines (format 1).")
def apply(
    recipe: Path,
    arg: tuple[str, ...],
    variant: str | None,
    set_: tuple[str, ...],
    only: tuple[str, ...],
    skip: tuple[str, ...],
    replace: tuple[str, ...],
    as_json: bool,
) -> int:
    """Make data, train, export, evaluate, promote: whatever the plan says. RECIPE may be a saved plan (plan.json)."""
    from jessyfile.planning.plan_json import Call

    call, chosen, saved = Call(str(recipe), arg, variant, set_), selection(only, skip, replace), None
    if recipe.suffix == ".json":
        call, chosen, saved = _saved(recipe, call, chosen)
    loaded = load(Path(call.recipe), call.arg, call.variant, call.set_)
    if as_json:
        from jessyfile.commands.json_events import JsonLines, emit

        result = run_apply(loaded, chosen, JsonLines(), saved=saved, again=call.command(chosen))
        report = _finish(loaded, result, call)
        emit("done", exit=result.exit_code, withheld=result.withheld, report=str(report) if report else None)
        return result.exit_code
    from jessyfile.commands.terminal import Screen

    with Screen() as screen:
        result = run_apply(loaded, chosen, screen, saved=saved, again=call.command(chosen))
    _conclude(result, _finish(loaded, result, call))
    return result.exit_code


def run_apply(
    loaded: Recipe, chosen: Selection, observer: Observer, *, saved: str | None = None, again: str
) -> RunResult:
    """Apply a loaded recipe with signals heard; `again` is the command that resumes it.

    Raises Interrupted, with that command as its hint, when the user or the system asked to stop.
    """
    from jessyfile.commands.signals import stopping
    from jessyfile.errors import Interrupted
    from jessyfile.pipeline import compile_steps
    from jessyfile.planning.run import apply as apply_steps
    from jessyfile.project import find_root

    root, steps = find_root(loaded.path), compile_steps(loaded)
    with stopping() as stop:
        try:
            return apply_steps(loaded, root, steps, chosen, saved=saved, observer=observer, stop=stop, what=again)
        except Interrupted as error:
            raise Interrupted(error.message, hint=f"resume with: {again}") from error
        except KeyboardInterrupt as error:
            raise Interrupted("stopped at once; what was done before is kept", hint=f"resume with: {again}") from error


def _finish(loaded: Recipe, result: RunResult, call: Call) -> Path | None:
    """Write the lock file and the report; return where the report lies, None when nothing ran."""
    from jessyfile.planning.lockfile import write_lock
    from jessyfile.project import find_root
    from jessyfile.report import write_report

    root = find_root(loaded.path)
    if not (call.arg or call.set_) and len(result.steps) == len(result.graph):
        write_lock(loaded, root, result, variant=call.variant)
    return write_report(loaded, root, result) if result.run is not None else None


def _conclude(result: RunResult, report: Path | None) -> None:
    from jessyfile.report import summary_lines

    judge = result.step("judge")
    if judge is not None and result.run is not None:
        click.echo(printable("\n".join(summary_lines(judge.facts))))
    if report is not None:
        click.echo(f"report: {printable(str(report))}")
    if result.withheld is not None:
        click.echo(printable(f"{result.name} is not promoted: {result.withheld}"))
    elif (promote := result.step("promote")) is not None and promote.outcome == "ran":
        click.echo(printable(f"{result.name}:latest is the new model. Ask it: jessy chat {result.name}"))


def _saved(path: Path, call: Call, chosen: Selection) -> tuple[Call, Selection, str]:
    from jessyfile.planning.plan_json import load_saved

    if call.arg or call.variant or call.set_ or chosen != selection((), (), ()):
        raise click.UsageError("a saved plan is applied as it is; plan again to change it")
    return load_saved(path)
