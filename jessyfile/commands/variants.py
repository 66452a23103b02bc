"""`--variant all`: every VARIANT of a recipe planned, checked or applied one after the other, what they share once."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from jessyfile.commands.common import load_quietly, pairs, read_call_hosts, warn
from jessyfile.commands.say import say
from jessyfile.errors import JessyError, RecipeError
from jessyfile.language.inherit import EVERY_VARIANT
from jessyfile.planning.change_text import counted
from jessyfile.text.printable import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jessyfile.language.recipe import Recipe
    from jessyfile.planning.command_line import Call
    from jessyfile.planning.plan import Plan, Selection
    from jessyfile.planning.preflight import Reach
    from jessyfile.planning.run import RunResult


@dataclass(frozen=True, slots=True)
class Variant:
    """One VARIANT of a recipe: its name, how it is called alone, and the recipe that it makes."""

    name: str
    call: Call
    recipe: Recipe


@dataclass(frozen=True, slots=True)
class Look:
    """How plans are printed: with the unchanged steps, without the reasons."""

    everything: bool
    short: bool


def is_every(call: Call) -> bool:
    """Return whether a call means every VARIANT of its recipe."""
    return call.variant == EVERY_VARIANT


def variant_names(call: Call) -> tuple[str, ...]:
    """Return the names of a recipe's VARIANTs. Raises RecipeError when it has none, ProjectError when there is no recipe."""
    from jessyfile.commands.recipe_file import require_recipe
    from jessyfile.language import load_recipe

    path = Path(call.recipe)
    require_recipe(path)
    # what the recipe itself lacks is no fault here: a VARIANT may bring it
    loaded = load_recipe(path, args=pairs(call.arg, "--arg"))
    if not loaded.variants:
        hint = "write one as `VARIANT name { … }`, or leave --variant out"
        raise RecipeError(f"{printable(call.recipe)} has no VARIANT", loaded.diagnostics, hint=hint)
    return loaded.variants


def load_variants(call: Call) -> list[Variant]:
    """Load every VARIANT. Raises RecipeError for mistakes, and where two would make the same model."""
    from jessyfile.language.diagnostics import in_order

    calls = {name: replace(call, variant=name) for name in variant_names(call)}
    loaded = {name: load_quietly(one) for name, one in calls.items()}
    warn(in_order(one for _, found in loaded.values() for one in found))
    found = [Variant(name, calls[name], recipe) for name, (recipe, _) in loaded.items()]
    makers: dict[str, str] = {}
    for variant in found:
        other = makers.setdefault(variant.recipe.name, variant.name)
        if other != variant.name:
            said = f"the variants `{other}` and `{variant.name}` both make the model `{variant.recipe.name}`"
            hint = "leave NAME out of them (each is then named after its variant), or give each another NAME"
            raise RecipeError(said, hint=hint)
    return found


def plan_variants(variants: Sequence[Variant], chosen: Selection, reach: Reach = "machine") -> list[Plan]:
    """Plan every VARIANT as if those before it had been applied: a step that one of them makes is said to be made by it."""
    from jessyfile.pipeline import compile_steps
    from jessyfile.planning.plan import make_plan
    from jessyfile.planning.shared import Planned, without_repetition
    from jessyfile.project import find_root

    planned = []
    for one in variants:
        steps = compile_steps(one.recipe, read_call_hosts(one.call))
        planned.append(Planned(make_plan(one.recipe, find_root(one.recipe.path), steps, chosen, reach=reach), steps))
    return without_repetition(planned)


def show_plans(call: Call, chosen: Selection, allow: tuple[str, ...], plans: Sequence[Plan], look: Look) -> None:
    """Print the plan of every VARIANT, which steps they share, and what runs them all.

    Args:
        call: how all of them were asked for.
        chosen: which steps to take.
        allow: the hosts that were allowed.
        plans: the plans in the order of the VARIANTs.
        look: how they are printed.
    """
    from jessyfile.commands.plan import show_plan

    names = variant_names(call)
    for name, made in zip(names, plans, strict=True):
        say(f"VARIANT {name}")
        command = replace(call, variant=name).command(chosen, allow)
        show_plan(made, everything=look.everything, short=look.short, command=command)
        say("")
    say(_shared(plans))
    refused = [name for name, made in zip(names, plans, strict=True) if made.errors]
    if refused:
        say(f"Apply would refuse them all because of {' and '.join(refused)}: fix the errors above first.")
    else:
        say(f"All of them: {call.command(chosen, allow)}")


def plans_as_json(variants: Sequence[Variant], plans: Sequence[Plan]) -> dict[str, object]:
    """Return the plans as one JSON object of format 1: each as `jessy plan --json` prints it, with its VARIANT's name."""
    from jessyfile.planning.plan_json import plan_as_json
    from jessyfile.planning.shared import shared

    told = [{"variant": one.name, **plan_as_json(made)} for one, made in zip(variants, plans, strict=True)]
    return {"format": 1, "shared": shared(plans), "variants": told}


def _shared(plans: Sequence[Plan]) -> str:
    from jessyfile.planning.shared import shared

    head = f"{counted(len(plans), 'variant')} of {plans[0].recipe}: {', '.join(made.name for made in plans)}."
    common = shared(plans)
    if common:
        return f"{head} Run once for several of them: {', '.join(common)}."
    nothing = not any(made.changes for made in plans)
    return f"{head} {'Nothing is left to run.' if nothing else 'No step that runs is common to them.'}"


@dataclass(frozen=True, slots=True)
class Ended:
    """What became of one VARIANT in an apply of all: its result, or the error that ended it."""

    variant: Variant
    result: RunResult | None
    error: JessyError | None = None

    @property
    def exit_code(self) -> int:
        """The exit code of its own apply."""
        return self.result.exit_code if self.result is not None else self.error.exit_code if self.error else 1

    def told(self) -> str:
        """Say in a line what became of it."""
        name = self.variant.recipe.name
        if self.result is None:
            return f"failed: {self.error.message if self.error is not None else 'it was not applied'}"
        if self.result.withheld is not None:
            return f"{name} is not promoted: {self.result.withheld}"
        promote = self.result.step("promote")
        if promote is None:
            return f"{name}: done; promote was left out"
        return (
            f"{name}:latest is the new model" if promote.outcome == "ran" else f"{name}:latest is what the recipe says"
        )


def together(ended: Sequence[Ended]) -> int:
    """Return the exit code of an apply of several: that of an error before that of a model that was not promoted."""
    codes = [one.exit_code for one in ended]
    return next((code for code in codes if code not in (0, 3)), max(codes, default=0))


def summary(ended: Sequence[Ended]) -> list[str]:
    """Return a line for each VARIANT, and how many were promoted."""
    width = max(len(one.variant.name) for one in ended)
    good = sum(one.exit_code == 0 for one in ended)
    head = f"{good} of {counted(len(ended), 'variant')} as the recipe wants {'it' if len(ended) == 1 else 'them'}"
    return [f"{head}:", *(f"  {one.variant.name:<{width}}  {one.told()}" for one in ended)]


def narrowed(chosen: Selection, made: Plan, one: Variant) -> Selection:
    """Return the selection for one VARIANT: `--replace` makes again only what no VARIANT before it has just made again."""
    from jessyfile.pipeline import compile_steps
    from jessyfile.planning.graph import expand

    if not chosen.replace:
        return chosen
    done = {step.name for step in made.steps if step.made_by is not None}
    wanted = expand(compile_steps(one.recipe), chosen.replace)
    return replace(chosen, replace=tuple(sorted(wanted - done)))


def refuse_saved(out: Path | None) -> None:
    """Refuse to save the plans of several models as one. Raises UsageError."""
    if out is not None:
        raise click.UsageError("a saved plan is of one model: name one VARIANT with --variant to save it")
