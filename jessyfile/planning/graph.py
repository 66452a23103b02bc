"""Questions about the graph of steps: what needs what, and what a selection leaves over."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jessyfile.errors import ProjectError
from jessyfile.language.suggest import help_for

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from jessyfile.planning.steps import Step


def needs(steps: Sequence[Step], names: Iterable[str]) -> set[str]:
    """Return the named steps and every step that they need."""
    found = set(names)
    for step in reversed(steps):
        if step.name in found:
            found.update(step.inputs)
    return found


def followers(steps: Sequence[Step], names: Iterable[str]) -> set[str]:
    """Return the named steps and every step that needs one of them."""
    found = set(names)
    for step in steps:
        if found.intersection(step.inputs):
            found.add(step.name)
    return found


def select(steps: Sequence[Step], only: Collection[str] = (), skip: Collection[str] = ()) -> tuple[Step, ...]:
    """Return the steps that remain: `only` keeps steps and what they need, `skip` drops steps and what needs them.

    `data` stands for every `data.*` step. Raises ProjectError for a name that no step has.
    """
    wanted = needs(steps, expand(steps, only)) if only else {step.name for step in steps}
    dropped = followers(steps, expand(steps, skip))
    return tuple(step for step in steps if step.name in wanted - dropped)


def expand(steps: Sequence[Step], names: Iterable[str]) -> set[str]:
    """Return the steps that the given names mean; `data` means all of `data.*`."""
    known = [step.name for step in steps]
    found: set[str] = set()
    for name in names:
        group = {step for step in known if step == name or step.startswith(f"{name}.")}
        if not group:
            raise _unknown(name, known)
        found |= group
    return found


def _unknown(name: str, known: Sequence[str]) -> ProjectError:
    hint = help_for(name, known, "step", f"the steps are {', '.join(known)}")
    return ProjectError(f"no step is called `{name}`", hint=hint)
