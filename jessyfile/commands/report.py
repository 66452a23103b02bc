"""`jessy report`: write a run's report again, and open it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from jessyfile.commands.common import open_in_browser
from jessyfile.commands.history import here
from jessyfile.commands.recipe_file import nothing_yet
from jessyfile.errors import ProjectError
from jessyfile.text.printable import printable

if TYPE_CHECKING:
    from pathlib import Path

    from jessyfile.planning.runs import Run


@click.command()
@click.argument("what", required=False, metavar="[NAME|RUN]")
@click.option("--open", "opens", is_flag=True, help="Open it in the browser.")
def report(what: str | None, opens: bool) -> None:
    """Write the report of a run again: the last one, the last of a model, or the one of a number.

    It tells what is still stored; parts whose results `jessy gc` has removed are missing.
    """
    from jessyfile.planning.runs import find_run
    from jessyfile.report import rewrite_report

    root = here()
    run = find_run(root, what) if what is not None and what.isascii() and what.isdigit() else _last(root, what)
    if run is None:
        click.echo(nothing_yet())
        return
    path = rewrite_report(root, run)
    if opens:
        open_in_browser(path, "report")
    else:
        click.echo(f"report: {printable(str(path))}")


def _last(root: Path, name: str | None) -> Run | None:
    """Return the last run that ended, of one model when it is named. Raises ProjectError for a model that no run has made."""
    from jessyfile.planning.runs import all_runs
    from jessyfile.planning.state import state_names

    runs = [run for run in reversed(all_runs(root)) if (run.folder / "result.json").is_file()]
    mine = [run for run in runs if name is None or _name(run) == name]
    if not mine and name is not None:
        names = ", ".join(state_names(root))
        hint = f"there are {names}" if names else "run `jessy apply RECIPE` first"
        raise ProjectError(f"no run here has made a model `{name}`", hint=hint)
    return mine[0] if mine else None


def _name(run: Run) -> str:
    return next((event.name for event in run.events()), "")
