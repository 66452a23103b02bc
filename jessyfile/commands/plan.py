"""`jessy plan`, `why` and `graph`: what would be done, and why. Nothing is started."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace as replaced
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from jessyfile.commands.common import (
    hosts_option,
    load,
    load_call,
    open_in_browser,
    read_call_hosts,
    recipe_options,
    sample_option,
    sending_options,
)
from jessyfile.commands.say import say
from jessyfile.fsops import write_text
from jessyfile.text.fit import terminal_width
from jessyfile.text.printable import json_text

if TYPE_CHECKING:
    from jessyfile.language.recipe import Recipe
    from jessyfile.planning.plan import Plan, Selection
    from jessyfile.planning.preflight import Reach
    from jessyfile.training.hosts import Hosts

_LONG = 1800.0
_FIRST_LOOK = 100
_STEPS = (
    click.option("--replace", multiple=True, metavar="STEP", help="Run a step again although it would be kept."),
    click.option("--skip", multiple=True, metavar="STEP", help="Leave a step out, and what needs it."),
    click.option(
        "--only", multiple=True, metavar="STEP", help="Take only a step and what it needs; `data` means every category."
    ),
)


def step_options(command: Any) -> Any:  # noqa: ANN401 (click's decorators keep what they decorate)
    """Add `--only`, `--skip` and `--replace` to a command."""
    for decorate in _STEPS:
        command = decorate(command)
    return command


def selection(only: tuple[str, ...], skip: tuple[str, ...], replace: tuple[str, ...]) -> Selection:
    """Return the options of `step_options` as one value."""
    from jessyfile.planning.plan import Selection

    return Selection(only, skip, replace)


def plan_recipe(
    recipe: Recipe, chosen: Selection | None = None, reach: Reach = "machine", hosts: Hosts | None = None
) -> Plan:
    """Plan a loaded recipe in its project.

    Args:
        recipe: the loaded recipe.
        chosen: which steps to take; all are taken unless given.
        reach: how far to look for what is wrong.
        hosts: the processes that train; this one alone unless given.

    Returns:
        The plan.
    """
    from jessyfile.pipeline import compile_steps
    from jessyfile.planning.plan import make_plan
    from jessyfile.project import find_root

    return make_plan(recipe, find_root(recipe.path), compile_steps(recipe, hosts), chosen, reach=reach)


@click.command()
@recipe_options
@step_options
@sample_option
@hosts_option
@sending_options
@click.option("--all", "everything", is_flag=True, help="List the unchanged steps too.")
@click.option("--short", is_flag=True, help="Leave the reasons' details out.")
@click.option("--json", "as_json", is_flag=True, help="Print the plan as JSON (format 1).")
@click.option(
    "-o", "--out", type=click.Path(path_type=Path), metavar="FILE", help="Save the plan for `jessy apply FILE`."
)
@click.option("--probe", is_flag=True, help="Ask the network too: engine, teacher, judge, hub.")
@click.option("--detailed-exitcode", is_flag=True, help="Exit 2 when there are changes, 0 when there are none.")
def plan(
    recipe: Path,
    arg: tuple[str, ...],
    variant: str | None,
    set_: tuple[str, ...],
    only: tuple[str, ...],
    skip: tuple[str, ...],
    replace: tuple[str, ...],
    sample: int | None,
    hosts: str | None,
    allow_host: tuple[str, ...],
    everything: bool,
    short: bool,
    as_json: bool,
    out: Path | None,
    probe: bool,
    detailed_exitcode: bool,
) -> int:
    """Show what apply would do, why, and what would stop it. Starts nothing; exits 1 when apply would refuse."""
    from jessyfile.commands import variants
    from jessyfile.planning.command_line import Call
    from jessyfile.planning.plan_json import plan_as_json, save_plan

    call, chosen = Call(str(recipe), arg, variant, set_, sample, hosts), selection(only, skip, replace)
    if variants.is_every(call):
        variants.refuse_saved(out)
        found = variants.load_variants(call)
        plans = variants.plan_variants(found, chosen, "network" if probe else "machine")
        if as_json:
            click.echo(json_text(variants.plans_as_json(found, plans), indent=1))
        else:
            variants.show_plans(call, chosen, allow_host, plans, variants.Look(everything, short))
        return _code(plans, detailed=detailed_exitcode)
    made = plan_recipe(load_call(call), chosen, "network" if probe else "machine", read_call_hosts(call))
    if out is not None:
        save_plan(out, made, call)
    if as_json:
        click.echo(json_text(plan_as_json(made), indent=1))
    else:
        saved = out is not None and out.suffix == ".json"
        command = (
            Call(str(out)).command(selection((), (), ()), allow_host) if saved else call.command(chosen, allow_host)
        )
        show_plan(made, everything=everything, short=short, command=command)
        if sample is None and not saved and takes_long(made):
            first = replaced(call, sample=_FIRST_LOOK).command(chosen, allow_host)
            say(f"A first look at {_FIRST_LOOK} rows, as a model of its own: {first}")
    return _code([made], detailed=detailed_exitcode)


def _code(plans: Sequence[Plan], *, detailed: bool) -> int:
    if any(made.errors for made in plans):
        return 1
    return 2 if detailed and any(made.changes for made in plans) else 0


def takes_long(made: Plan) -> bool:
    """Return whether a plan's training and answers take more than half an hour, by what was measured or at best by sizes."""
    known = [step.between[0] for step in made.steps if step.between is not None]
    return not made.errors and sum(known) > _LONG


def show_plan(made: Plan, *, everything: bool = False, short: bool = False, command: str | None = None) -> None:
    """Print a plan, with colours where the terminal wants them.

    Args:
        made: the plan.
        everything: list the unchanged steps too.
        short: leave the reasons out.
        command: the command that runs this plan, for the last line; None when an apply is about to run it.
    """
    from jessyfile.export.registry import kept_back
    from jessyfile.planning.plan_text import render_plan

    text = render_plan(made, everything=everything, short=short, command=command, width=terminal_width())
    back = kept_back(made.root, made.name, made.promotion) if made.promotion else None
    said = text + (back or "")
    say(
        said.rstrip("\n") if command is not None else said, tint
    )  # while an apply goes on, a blank line stands before its steps


def tint(line: str) -> str:
    """Return a plan's or a diff's line in the colour of its mark, where the terminal wants colours."""
    colours = {"+": "green", "-": "red", "~": "yellow", "?": "cyan", ">": "cyan"}
    bare = line.strip()
    colour = colours.get(bare[:1]) if bare[1:2] == " " else None
    return click.style(line, fg=colour) if colour and not os.environ.get("NO_COLOR") else line


@click.command()
@click.argument("step")
@recipe_options
def why(step: str, recipe: Path, arg: tuple[str, ...], variant: str | None, set_: tuple[str, ...]) -> None:
    """Say why a step runs again, or does not."""
    from jessyfile.planning.graph import expand
    from jessyfile.planning.plan_text import render_why

    loaded = load(recipe, arg, variant, set_)
    from jessyfile.pipeline import compile_steps

    names = expand(compile_steps(loaded), [step])
    made = plan_recipe(loaded)
    for planned in made.steps:
        if planned.name in names:
            say(render_why(made, planned).rstrip("\n"))


@click.command()
@recipe_options
@click.option(
    "--format",
    "form",
    type=click.Choice(["mermaid", "dot", "svg"]),
    default="mermaid",
    show_default=True,
    help="The picture's language.",
)
@click.option("--open", "opens", is_flag=True, help="Write it to .jessy/graph.svg and open it in the browser.")
def graph(
    recipe: Path, arg: tuple[str, ...], variant: str | None, set_: tuple[str, ...], form: str, opens: bool
) -> None:
    """Draw the steps as Mermaid, DOT or SVG: what runs, what follows and what stays, each in a colour and with what it costs."""
    from jessyfile.pipeline import compile_steps
    from jessyfile.planning.picture import dot, mermaid, nodes
    from jessyfile.planning.svg import svg
    from jessyfile.project import find_root, jessy_folder

    loaded = load(recipe, arg, variant, set_)
    boxes = nodes(compile_steps(loaded), plan_recipe(loaded).steps)
    if opens:
        picture = jessy_folder(find_root(loaded.path)) / "graph.svg"
        write_text(picture, svg(boxes))
        open_in_browser(picture, "graph")
    else:
        click.echo({"mermaid": mermaid, "dot": dot, "svg": svg}[form](boxes), nl=False)
