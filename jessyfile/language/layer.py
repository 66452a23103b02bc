"""What one recipe says, or several merged: values by address, the things they open, what they drop."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from jessyfile.language.project_files import Project
    from jessyfile.language.source import SourceFile, Span
    from jessyfile.language.table import Address
    from jessyfile.language.values import Json
    from jessyfile.language.variables import Reporter, Scope


@dataclass(frozen=True, slots=True)
class Setting:
    """One value and where it was written."""

    value: Json
    span: Span


@dataclass(frozen=True, slots=True)
class Drop:
    """One DROP: the address it removes, in the words it was written with."""

    address: Address
    what: str
    span: Span


@dataclass
class Layer:
    """The values of one recipe with its INCLUDE parts, where nothing is set twice, or those of all recipes merged.

    `failed` are addresses whose value could not be read: nothing is concluded from their absence.
    """

    settings: dict[Address, Setting] = field(default_factory=dict)
    entries: dict[Address, Span] = field(default_factory=dict)
    drops: list[Drop] = field(default_factory=list)
    failed: set[Address] = field(default_factory=set)


@dataclass(frozen=True)
class FileContext:
    """One file being read into a layer: its text, the folder its paths count from, its names, where reports go."""

    file: SourceFile
    folder: Path
    scope: Scope
    project: Project
    layer: Layer
    report: Reporter
    read_files: list[Path]
