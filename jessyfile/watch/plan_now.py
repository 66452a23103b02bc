"""Load, plan, and name the revision: what a change means."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from jessyfile.errors import JessyError, RecipeError
from jessyfile.export.registry import kept_back
from jessyfile.planning.canonical import digest
from jessyfile.planning.change_text import shown, spelled
from jessyfile.planning.plan import Plan, make_plan
from jessyfile.project import find_root, relative
from jessyfile.watch.machine import Revision

if TYPE_CHECKING:
    from jessyfile.language.recipe import Recipe
    from jessyfile.planning.steps import Step

Load = Callable[[], "Recipe"]
Compile = Callable[["Recipe"], Sequence["Step"]]


@dataclass(frozen=True, slots=True)
class PlannedRecipe:
    """A recipe that could be planned: its plan, its revision, and every file that decided about it; `kept_back` says
    that its model was taken back by a rollback."""

    recipe: Recipe
    plan: Plan
    revision: Revision
    files: frozenset[Path]
    kept_back: str | None = None


@dataclass(frozen=True, slots=True)
class BrokenRecipe:
    """A recipe with mistakes; `text` is what to show."""

    text: str


def plan_now(load: Load, compile_steps: Compile) -> PlannedRecipe | BrokenRecipe:
    """Load and plan the recipe as it is on the disk now."""
    try:
        recipe = load()
        root = find_root(recipe.path)
        steps = compile_steps(recipe)
        plan = make_plan(recipe, root, steps)
        files = {*recipe.read_files, *(path for step in steps for path in step.files(recipe, root))}
    except RecipeError as error:
        return BrokenRecipe("\n".join([*(str(entry) for entry in error.diagnostics), error.message]))
    except JessyError as error:
        return BrokenRecipe(f"error[{error.code}]: {error.message}")
    back = kept_back(root, recipe.name, plan.promotion) if plan.promotion else None
    return PlannedRecipe(recipe, plan, revision_of(plan), frozenset(path.resolve() for path in files), back)


def revision_of(plan: Plan) -> Revision:
    """Name what the steps would read now. Comments, order and times of files are no part of the name."""
    name = digest([[step.name, step.own] for step in plan.steps])
    return Revision(name, plan.effect if plan.changes else None, about(plan), f"{dt.datetime.now().astimezone():%H:%M}")


def about(plan: Plan) -> str:
    """Say in a few words what changed: `learning_rate 1e-4`, `SYSTEM`, `3 files`."""
    reasons = [reason for step in plan.steps for reason in step.reasons]
    values = {reason.what: reason for reason in reasons if reason.kind == "value"}
    files = {reason.what for reason in reasons if reason.kind == "file"}
    words = [_value(reason.what, reason.new) for reason in values.values()]
    words += [relative(Path(name), Path()) if len(files) == 1 else f"{len(files)} files" for name in sorted(files)[:1]]
    if len(words) > 2:
        words = [*words[:2], f"{len(words) - 2} more"]
    return ", ".join(words)


def _value(address: str, new: object) -> str:
    text = shown(new, address)
    return f"{spelled(address)} {text}" if len(text) <= 24 and "\n" not in text else spelled(address)
