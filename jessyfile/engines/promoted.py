"""A registered model, found by its name, with the levels and the marker that it was trained with."""

from __future__ import annotations

from dataclasses import dataclass
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
    return Registered(entry, served_of(entry).complexity)
