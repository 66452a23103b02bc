"""Which steps the plans of several recipes have in common: what one of them makes, the store gives to all that come after."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from jessyfile.planning.canonical import digest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jessyfile.planning.plan import Plan, PlannedStep
    from jessyfile.planning.steps import Step


@dataclass(frozen=True, slots=True)
class Planned:
    """The plan of one of several recipes, with the steps that it compiles into."""

    plan: Plan
    steps: tuple[Step, ...]


def without_repetition(planned: Sequence[Planned]) -> list[Plan]:
    """Return the plans, applied in this order, with every step named that a plan before it makes.

    Two steps make the same when their own values and files are the same, and those of all that they read from.
    """
    maker: dict[str, str] = {}
    told = []
    for one in planned:
        keys = result_keys(one)
        told.append(replace(one.plan, steps=tuple(_told(step, keys, maker) for step in one.plan.steps)))
        for step in one.plan.steps:
            if step.runs:
                maker.setdefault(keys[step.name], one.plan.name)
    return told


def shared(plans: Sequence[Plan]) -> list[str]:
    """Return the steps that are made once for several of the plans."""
    return list(dict.fromkeys(step.name for plan in plans for step in plan.steps if step.made_by is not None))


def _told(step: PlannedStep, keys: dict[str, str], maker: dict[str, str]) -> PlannedStep:
    made_by = maker.get(keys[step.name]) if step.runs else None
    return step if made_by is None else replace(step, made_by=made_by)


def result_keys(one: Planned) -> dict[str, str]:
    """Return what stands for each step's result before it is made: all that it will be made from."""
    inputs = {step.name: step.inputs for step in one.steps}
    keys: dict[str, str] = {}
    for step in one.plan.steps:
        keys[step.name] = digest({"own": step.own, "inputs": {name: keys[name] for name in inputs[step.name]}})
    return keys
