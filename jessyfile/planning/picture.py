"""A plan as a picture: what runs, what follows and what stays, each with what it costs; the rows' steps as one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from jessyfile.planning.change_text import duration
from jessyfile.planning.graph import needs

if TYPE_CHECKING:
    from jessyfile.planning.plan import PlannedStep
    from jessyfile.planning.steps import Step

Kind = Literal["runs", "follows", "kept"]
COLOURS: Mapping[Kind, tuple[str, str]] = {
    "runs": ("#fde3b5", "#b26a00"),
    "follows": ("#dbe9fb", "#2f6db3"),
    "kept": ("#eeeeee", "#999999"),
}
_ROWS = "data.*"


@dataclass(frozen=True, slots=True)
class Box:
    """One box: the steps in it, what is written on it, and the boxes that it needs directly."""

    name: str
    label: str
    kind: Kind
    inputs: tuple[str, ...]


def nodes(steps: Sequence[Step], planned: Sequence[PlannedStep]) -> list[Box]:
    """Return the boxes of a plan; an input that another input needs already is left out."""
    by_name = {one.name: one for one in planned}
    rows = [step.name for step in steps if step.name.startswith("data.")]
    box = {step.name: _ROWS if step.name in rows and len(rows) > 1 else step.name for step in steps}
    found: dict[str, list[Step]] = {}
    for step in steps:
        found.setdefault(box[step.name], []).append(step)
    return [
        Box(name, _label(name, parts, by_name), _kind(parts, by_name), _inputs(steps, parts, box))
        for name, parts in found.items()
    ]


def _inputs(steps: Sequence[Step], parts: Sequence[Step], box: Mapping[str, str]) -> tuple[str, ...]:
    names = {name for step in parts for name in step.inputs}
    direct = [name for name in names if not any(name in needs(steps, [other]) for other in names - {name})]
    return tuple(dict.fromkeys(box[step.name] for step in steps if step.name in direct))


def _kind(parts: Sequence[Step], planned: Mapping[str, PlannedStep]) -> Kind:
    running = [planned[step.name] for step in parts if step.name in planned and planned[step.name].runs]
    return "kept" if not running else "runs" if any(one.cause for one in running) else "follows"


def _label(name: str, parts: Sequence[Step], planned: Mapping[str, PlannedStep]) -> str:
    seconds = [planned[step.name].seconds for step in parts if step.name in planned and planned[step.name].runs]
    known = sum(one for one in seconds if one is not None)
    cost = f" ~{duration(known)}".replace("~<", "<") if any(one is not None for one in seconds) else ""
    many = f" ({len(parts)})" if len(parts) > 1 else ""
    return "".join(c if c.isprintable() and c not in '"\\' else "_" for c in f"{name}{many}{cost}")


def mermaid(drawn: Sequence[Box]) -> str:
    """Return the boxes as a Mermaid flowchart."""
    ids = {node.name: f"s{number}" for number, node in enumerate(drawn)}
    lines = ["flowchart LR", *(f'  {ids[node.name]}["{_escaped(node.label)}"]' for node in drawn)]
    lines += [f"  {ids[name]} --> {ids[node.name]}" for node in drawn for name in node.inputs]
    for kind, (fill, edge) in COLOURS.items():
        if members := [ids[node.name] for node in drawn if node.kind == kind]:
            lines += [
                f"  classDef {kind} fill:{fill},stroke:{edge},color:#222222",
                f"  class {','.join(members)} {kind}",
            ]
    return "\n".join(lines) + "\n"


def dot(drawn: Sequence[Box]) -> str:
    """Return the boxes in Graphviz's DOT."""
    labels = {node.name: node.label for node in drawn}
    lines = ["digraph jessy {", "  rankdir=LR;", '  node [shape=box, style=filled, fontcolor="#222222"];']
    for node in drawn:
        fill, edge = COLOURS[node.kind]
        lines.append(f'  "{node.label}" [fillcolor="{fill}", color="{edge}", class="{node.kind}"];')
    lines += [f'  "{labels[name]}" -> "{node.label}";' for node in drawn for name in node.inputs]
    return "\n".join([*lines, "}"]) + "\n"


def _escaped(label: str) -> str:
    return label.replace("<", "&lt;").replace(">", "&gt;")
