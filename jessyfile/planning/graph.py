"""Questions about the graph of steps: what needs what, what a selection leaves over, and its picture."""

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


def mermaid(steps: Sequence[Step], marked: Collection[str] = ()) -> str:
    """Return the graph as a Mermaid flowchart; `marked` steps are those that run again."""
    ids = {step.name: f"s{number}" for number, step in enumerate(steps)}
    lines = ["flowchart LR", *(f'  {ids[step.name]}["{_label(step.name)}"]' for step in steps)]
    lines += [f"  {ids[name]} --> {ids[step.name]}" for step in steps for name in step.inputs if name in ids]
    marks = [ids[step.name] for step in steps if step.name in marked]
    if marks:
        lines += ["  classDef runs stroke-width:3px", f"  class {','.join(marks)} runs"]
    return "\n".join(lines) + "\n"


def dot(steps: Sequence[Step], marked: Collection[str] = ()) -> str:
    """Return the graph in Graphviz's DOT; `marked` steps are those that run again."""
    lines = ["digraph jessy {", "  rankdir=LR;", "  node [shape=box];"]
    lines += [f'  "{_label(step.name)}"{" [penwidth=3]" if step.name in marked else ""};' for step in steps]
    lines += [f'  "{_label(name)}" -> "{_label(step.name)}";' for step in steps for name in step.inputs]
    return "\n".join([*lines, "}"]) + "\n"


def _label(name: str) -> str:
    return "".join(c if c.isprintable() and c not in '"\\<>' else "_" for c in name)


def _unknown(name: str, known: Sequence[str]) -> ProjectError:
    hint = help_for(name, known, "step", f"the steps are {', '.join(known)}")
    return ProjectError(f"no step is called `{name}`", hint=hint)
