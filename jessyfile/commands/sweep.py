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
    from jessyfile.planning.plan import Plan, PlannedStep
    from jessyfile.sweep.crew import Crew
    from jessyfile.sweep.grid import Try
    from jessyfile.sweep.run import FailedTry, Sweep, SweepResult, Trial


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
@click.option(
    "--jobs",
    type=click.IntRange(1, 64),
    default=1,
    show_default=True,
    metavar="N",
    help="Train so many points side by side on a machine.",
)
@click.option(
    "--ray",
    metavar="ADDRESS",
    help="Train on the machines of a Ray cluster: HOST:PORT, auto for this machine's, or local to begin one here.",
)
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
    jobs: int,
    ray: str | None,
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
        _show(made, plans, jobs, ray)
    refuse([finding for plan in plans for finding in plan.findings])
    if only_plan:
        return
    told = _run(made, _crew(made, jobs, ray), quiet=as_json)
    page = made.folder / "report.html"
    if as_json:
        from jessyfile.planning.canonical import normal

        click.echo(json_text({**normal(told), "report": str(page)}, indent=1))
    else:
        _conclude(told)
        if opens:
            open_in_browser(page, "sweep")
        else:
            say(f"table and plot: {near(page)}")
    _refuse_failures(told)


def _load(call: Call, more: Mapping[str, str]) -> Recipe:
    from dataclasses import replace

    return load_quietly(replace(call, set_=(*call.set_, *(f"{address}={value}" for address, value in more.items()))))[0]


def _show(made: Sweep, plans: list[Plan], jobs: int, ray: str | None) -> None:
    """Print which steps run how often, about how long that takes, and the memory of trainings side by side."""
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
        say(f"  {about} on this machine" + (", one after the other" if jobs > 1 or ray else ""))
    if ray is not None:
        say(f"  trained by Ray ({ray}), {jobs} at a time on each of its GPUs, or machines without")
    elif jobs > 1:
        _show_memory(running, jobs)


def _show_memory(running: list[PlannedStep], jobs: int) -> None:
    """Print what so many trainings take at once, the largest each, and what this machine has."""
    from jessyfile import machine
    from jessyfile.planning.change_text import size
    from jessyfile.sweep.job import TRAININGS

    peaks = [step.forecast.peak for step in running if step.name in TRAININGS and step.forecast]
    peak, has = max((one for one in peaks if one), default=0), machine.memory()
    if not peak or not has:
        say(f"  {jobs} trainings at a time; what one takes in memory is not known before the first")
        return
    say(f"  {jobs} trainings at a time, up to {size(peak)} of memory each: {size(jobs * peak)} of {size(has)}")
    if jobs * peak > has:
        fits = max(1, has // peak)
        click.echo(f"warning: {jobs} trainings do not fit into memory side by side: take --jobs {fits}", err=True)


def _crew(made: Sweep, jobs: int, ray: str | None) -> Crew | None:
    """Return who trains side by side, None for one point after the other in this process."""
    from jessyfile.project import jessy_folder

    if ray is not None:
        from jessyfile.sweep.on_ray import RayCrew

        return RayCrew(ray, jobs, jessy_folder(made.root))
    if jobs == 1:
        return None
    from jessyfile.sweep.crew import ProcessCrew

    return ProcessCrew(jobs, jessy_folder(made.root))


def _run(made: Sweep, crew: Crew | None, *, quiet: bool) -> SweepResult:
    from jessyfile.commands.signals import stopping
    from jessyfile.sweep.run import Unheard

    with stopping(as_typed) as stop:
        return made.run(Unheard() if quiet else _Lines(), stop, crew)


class _Lines:
    """A line for each try that begins, and one for what it has reached; between them its steps."""

    def begins(self, one: Try, number: int, total: int) -> None:
        """Print the line."""
        say(f"try {number} of {total}: {one.point}, seed {one.seed}")

    def observer(self) -> Screen:
        """Return what draws the steps."""
        from jessyfile.commands.terminal import Screen

        return Screen(show=False)

    def reached(self, updates: Mapping[int, tuple[float, float]]) -> None:
        """Print how far those are that train beside each other."""
        if updates:
            say("    " + ", ".join(f"try {number} at {done:g}/{total:g}" for number, (done, total) in updates.items()))

    def done(self, number: int, trial: Trial) -> None:
        """Print what it has reached."""
        say(f"    try {number}: {trial.value:.4f} after {duration(trial.seconds)} of training")

    def failed(self, number: int, failure: FailedTry) -> None:
        """Print why it has reached nothing."""
        say(f"    try {number} failed: {failure.error}; the others go on")


def _refuse_failures(told: SweepResult) -> None:
    """Raise TrainingError where a try could not be trained: what was compared is not all that was asked for."""
    from jessyfile.errors import TrainingError

    if told.failed:
        first, tries = told.failed[0], counted(len(told.failed) + len(told.trials), "try", "tries")
        said = f"{len(told.failed)} of {tries} failed, the first {first.point}, seed {first.seed}: {first.error}"
        raise TrainingError(said, hint=first.hint)


def _conclude(told: SweepResult) -> None:
    from jessyfile.sweep.page import HEAD, conclusion, table

    say("\n".join(aligned([HEAD, *table(told)], terminal_width())))
    say(conclusion(told))
    if told.outcome.winner is not None:
        say(f"it is not promoted: write its values into {told.recipe}, then `jessy apply {told.recipe}`")
