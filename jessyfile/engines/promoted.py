"""A registered model, found by its name, with the levels and the marker that it was trained with."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from jessyfile.engines.serving import served_of
from jessyfile.export.registry import LATEST, Registration, check_served, registered
from jessyfile.language.recipe import Complexity


@dataclass(frozen=True, slots=True)
class Registered:
    """A registration (`export.registry`) and how its answers say their level."""

    entry: Registration
    complexity: Complexity


def find(root: Path, name: str, tag: str = LATEST) -> Registered:
    """Return a registered model whose file is whole.

    Raises EngineError that names what there is when it is not registered, DamagedError when its file is not the one
    that was registered.
    """
    entry = registered(root, name, tag)
    check_served(root, entry)
    return Registered(entry, thought_complexity(entry))


def thought_complexity(entry: Registration) -> Complexity:
    """Return the levels and the marker that a model was trained with, each level with the seconds that it may think. Raises EngineError."""
    served = served_of(entry).complexity
    levels = (replace(level, within=entry.within.get(level.name, level.within)) for level in served.levels)
    return replace(served, levels=tuple(levels))
