"""A registered model, found by its name, with the levels and the marker it was applied with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jessyfile.errors import EngineError
from jessyfile.export.registry import LATEST, lookup, registered_names
from jessyfile.language.build import default_complexity
from jessyfile.language.recipe import Complexity, Level

_PREFIX = "complexity.level."


@dataclass(frozen=True, slots=True)
class Registered:
    """A registration (`export.registered`) and how its answers say their level."""

    entry: Mapping[str, Any]
    complexity: Complexity


def find(root: Path, name: str, tag: str = LATEST) -> Registered:
    """Return a registered model. Raises EngineError that names what there is when it is not."""
    entry = lookup(root, name, tag)
    if entry is None:
        names = registered_names(root)
        hint = f"registered are {', '.join(names)}" if names else "run `jessy apply RECIPE` first"
        raise EngineError(f"there is no model `{name}:{tag}` in this project", hint=hint)
    return Registered(entry, _applied_complexity(root, name))


def _applied_complexity(root: Path, name: str) -> Complexity:
    """Return the levels and the marker of the last apply, from its state; the defaults when that is gone."""
    from jessyfile.planning.state import load_state

    step = load_state(root, name).steps.get("evaluate")
    values = step.parameters if step is not None else {}
    levels = tuple(
        Level(address.removeprefix(_PREFIX).removesuffix(".iterations"), (value[0], value[1]), None)
        for address, value in values.items()
        if address.startswith(_PREFIX) and address.endswith(".iterations")
    )
    if not levels:
        return default_complexity()
    # the state keeps addresses in alphabetical order; the lowest level is the one with the fewest iterations
    return Complexity(tuple(sorted(levels, key=lambda level: level.iterations)), values.get("complexity.marker"))
