"""A recipe planned or applied in one call, as `jessy plan` and `jessy apply` do it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from jessyfile.errors import RecipeError
from jessyfile.language.recipe import Recipe
from jessyfile.project import file_path, find_root

if TYPE_CHECKING:
    from jessyfile.planning.plan import Plan
    from jessyfile.planning.run import Observer, RunResult
    from jessyfile.planning.steps import Stop

Source = str | os.PathLike[str] | Recipe


def plan(
    recipe: Source,
    *,
    args: Mapping[str, str] | None = None,
    variant: str | None = None,
    sets: Mapping[str, str] | None = None,
    only: Sequence[str] = (),
    skip: Sequence[str] = (),
    replace: Sequence[str] = (),
) -> Plan:
    """Return what `apply` would do, and why; nothing is started.

    Args:
        recipe: A recipe's file, or one that `load_recipe` has read.
        args: Values of its ARG instructions by name.
        variant: The VARIANT to apply.
        sets: Values that replace the recipe's, by address: `{"lora.rank": "8"}`.
        only: Steps to take, with what they need.
        skip: Steps to leave out, with what needs them.
        replace: Steps to run although they would be kept.

    Raises:
        RecipeError: The recipe has mistakes; `diagnostics` lists them.
    """
    from jessyfile.pipeline import compile_steps
    from jessyfile.planning.plan import Selection, make_plan

    read = _read(recipe, args, variant, sets)
    chosen = Selection(tuple(only), tuple(skip), tuple(replace))
    return make_plan(read, find_root(read.path), compile_steps(read), chosen)


def apply(
    recipe: Source,
    *,
    args: Mapping[str, str] | None = None,
    variant: str | None = None,
    sets: Mapping[str, str] | None = None,
    only: Sequence[str] = (),
    skip: Sequence[str] = (),
    replace: Sequence[str] = (),
    observer: Observer | None = None,
    stop: Stop | None = None,
) -> RunResult:
    """Run what the plan says: make data, train, export, evaluate, promote. Write the lock file and the report too.

    Args:
        recipe: A recipe's file, or one that `load_recipe` has read.
        args: Values of its ARG instructions by name.
        variant: The VARIANT to apply.
        sets: Values that replace the recipe's, by address: `{"lora.rank": "8"}`.
        only: Steps to take, with what they need.
        skip: Steps to leave out, with what needs them.
        replace: Steps to run again although their results would be kept.
        observer: Told of the plan and of each step's progress.
        stop: Asked while steps run whether to stop; what is finished is kept.

    Returns:
        The result of each step, and whether the model was promoted.

    Raises:
        RecipeError: The recipe has mistakes; `diagnostics` lists them.
        LockedError: Another process writes in the project.
        Interrupted: `stop` was asked for.
        JessyError: Whatever a step raises.
    """
    from jessyfile.pipeline import compile_steps
    from jessyfile.planning.lockfile import lock_place
    from jessyfile.planning.plan import Selection
    from jessyfile.planning.run import apply as apply_steps

    read = _read(recipe, args, variant, sets)
    chosen = Selection(tuple(only), tuple(skip), tuple(replace))
    if not (args or sets or only or skip):
        lock_place(read, variant)
    result = apply_steps(
        read, find_root(read.path), compile_steps(read), chosen, observer=observer, stop=stop, what="jessyfile.apply"
    )
    write_outcome(read, result, variant=variant, as_written=not (args or sets))
    return result


def write_outcome(recipe: Recipe, result: RunResult, *, variant: str | None, as_written: bool) -> Path | None:
    """Write the report of a run, and the lock file when the whole recipe ran as it is written.

    Args:
        recipe: the recipe that was applied.
        result: what the run made.
        variant: the VARIANT that was applied.
        as_written: False when `--arg` or `--set` changed the recipe.

    Returns:
        The path of the report, None when nothing ran.
    """
    from jessyfile.planning.lockfile import write_lock
    from jessyfile.report import write_report

    root = find_root(recipe.path)
    if as_written and len(result.steps) == len(result.graph):
        write_lock(recipe, root, result, variant=variant)
    return write_report(recipe, root, result) if result.run is not None else None


def _read(
    recipe: Source, args: Mapping[str, str] | None, variant: str | None, sets: Mapping[str, str] | None
) -> Recipe:
    if isinstance(recipe, Recipe):
        if args or variant or sets:
            raise RecipeError("a recipe that is already read takes no args, variant or sets", hint="pass its path")
        return recipe
    from jessyfile.language.loading import load_recipe

    path = file_path(recipe)
    loaded = load_recipe(path, args=args, variant=variant, sets=sets)
    if loaded.recipe is None:
        errors = [diagnostic for diagnostic in loaded.diagnostics if diagnostic.severity == "error"]
        raise RecipeError(
            f"{path} has {len(errors)} mistake{'s' if len(errors) != 1 else ''}: {errors[0].message}",
            loaded.diagnostics,
            hint=f"`jessy check {path}` shows each with its line",
        )
    return loaded.recipe
