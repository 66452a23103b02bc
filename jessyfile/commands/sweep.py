"""`jessy sweep`: values of settings tried side by side, a table, a plot, and a winner where one stands out."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from jessyfile.commands.common import as_typed, load_quietly, open_in_browser, recipe_options, sending_options, warn
from jessyfile.commands.say import near, say
from jessyfile.commands.variants import is_every
from jessyfile.planning.change_text import counted, duration
from jessyfile.text.fit import table as aligned
from jessyfile.text.fit import terminal_width
from jessyfile.text.printable import json_text

if TYPE_CHECKING:
    from jessyfile.commands.terminal import Screen
    from jessyfile.language.recipe import Recipe
    from jessyfile.planning.command_line import Call
    from jessyfile.planning.plan import Plan
    from jessyfile.sweep.grid import Try
    from jessyfile.sweep.run import Sweep, SweepResult, Trial


@click.command()
@recipe_options
@click.option(
    "--over",
    multiple=True,
    required=True,
    metavar="ADDRESS=VALUE,…",
    help="Values to try; several --over are tried in every combination.",
)
@click.option(
    "--seeds", type=click.IntRange(1, 100), default=1, show_default=True, help="Train each point with this many seeds."
)
@click.option(
    "--by",
    default="validation_loss",
    show_default=True,
    metavar="CRITERION",
    help="What points are compared by: validation_loss, or knows, fits, voice, kind of the development split.",
)
@sending_options
@click.option("--plan", "only_plan", is_flag=True, help="Show what would run, and how long it takes. Starts nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print what came of it as JSON (format 1).")
@click.option("--open", "opens", is_flag=True, help="Open the table and the plot in the browser.")
def sweep(
    recipe: Path,
    arg: tuple[str, ...],
    variant: str | None,
    set_: tuple[str, ...],
    over: tuple[str, ...],
    seeds: int,
    by: str,
    allow_host: tuple[str, ...],  # noqa: ARG001 (the steps find it in the environment)
    only_plan: bool,
    as_json: bool,
    opens: bool,
) -> None:
    """Try values of settings side by side and say which is best, if one stands out from what another seed would bring.

    What the points share runs once, and a stopped sweep goes on where it was. Nothing is promoted.
    """
    from jessyfile.planning.command_line import Call
    from jessyfile.planning.preflight import refuse
    from jessyfile.sweep.run import Sweep, SweepCall

    call = Call(str(recipe), arg, variant, set_)
    if is_every(call):
        raise click.UsageError("a sweep is of one model: name one VARIANT")
    made = Sweep(partial(_load, call), SweepCall(over, seeds, by))
    plans = made.plans()
    if not as_json:
        warn(load_quietly(call)[1])
        _show(made, plans)
    refuse([finding for plan in plans for finding in plan.findings])
    if only_plan:
        return
    told = _run(made, quiet=as_json)
    page = made.folder / "report.html"
    if as_json:
        from jessyfile.planning.canonical import normal

        click.echo(json_text({**normal(told), "report": str(page)}, indent=1))
        return
    _conclude(told)
    if opens:
        open_in_browser(page, "sweep")
    else:
        say(f"table and plot: {near(page)}")


def _load(call: Call, more: Mapping[str, str]) -> Recipe:
    from dataclasses import replace

    return load_quietly(replace(call, set_=(*call.set_, *(f"{address}={value}" for address, value in more.items()))))[0]


def _show(made: Sweep, plans: list[Plan]) -> None:
    """Print which steps run how often, and about how long that takes."""
    running = [step for plan in plans for step in plan.steps if step.runs]
    times: dict[str, int] = {}
    for step in running:
        times[step.name] = times.get(step.name, 0) + 1
    once = [name for name, count in times.items() if count == 1]
    often = [f"{name} {count} times" for name, count in times.items() if count > 1]
    tries = f"{counted(len(made.points), 'point')}" + (
        f" with {made.wanted.seeds} seeds" if made.wanted.seeds > 1 else ""
    )
    say(f"{made.recipe.name}: {tries}, compared by {made.what.name} on {made.what.split}. Nothing is promoted.")
    if not running:
        say("Every one of them is trained already.")
        return
    say(f"  run once: {', '.join(once)}" if once else "  nothing that they share is left to run")
    if often:
        say(f"  run for each that is not done: {', '.join(often)}")
    known = [step.between for step in running if step.between is not None]
    if known:
        low, high = (sum(span[side] for span in known) for side in (0, 1))
        about = f"about {duration(low)}" if low == high else f"{duration(low)} to {duration(high)}"
        say(f"  {about} on this machine")


def _run(made: Sweep, *, quiet: bool) -> SweepResult:
    from jessyfile.commands.signals import stopping
    from jessyfile.planning.run import Silent

    with stopping(as_typed) as stop:
        if quiet:
            return made.run(lambda *_: Silent(), stop)
        screens: list[Screen] = []
        return made.run(partial(_next, screens), stop, partial(_done, screens))


def _next(screens: list[Screen], one: Try, number: int, total: int) -> Screen:
    """Say which try begins, and return what draws its steps."""
    from jessyfile.commands.terminal import Screen

    say(f"try {number} of {total}: {one.point}, seed {one.seed}")
    screens.append(Screen(show=False))
    return screens[-1]


def _done(screens: list[Screen], trial: Trial) -> None:
    screens.pop().__exit__(None, None, None)
    say(f"    {trial.value:.4f} after {duration(trial.seconds)} of training")


def _conclude(told: SweepResult) -> None:
    from jessyfile.sweep.page import HEAD, conclusion, table

    say("\n".join(aligned([HEAD, *table(told)], terminal_width())))
    say(conclusion(told))
    if told.outcome.winner is not None:
        say(f"it is not promoted: write its values into {told.recipe}, then `jessy apply {told.recipe}`")
