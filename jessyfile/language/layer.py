"""What one recipe says, or several merged: values by address, the things they open, what they drop."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from jessyfile.language.diagnostics import mistake
from jessyfile.language.table import is_entry

if TYPE_CHECKING:
    from collections.abc import Iterable
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


def merge(layers: Iterable[Layer], report: Reporter) -> Layer:
    """Lay layers over each other, the first at the bottom."""
    merged = Layer()
    for layer in layers:
        for drop in layer.drops:
            _drop(merged, drop, layer, report)
        for address in layer.entries:
            if address in merged.entries and is_entry(address):
                _remove(merged, address, keep_place=True)
        merged.entries.update(layer.entries)
        merged.settings.update(layer.settings)
        merged.failed |= layer.failed
    return merged


def _drop(merged: Layer, drop: Drop, layer: Layer, report: Reporter) -> None:
    if not _remove(merged, drop.address):
        own = any(address[: len(drop.address)] == drop.address for address in (*layer.settings, *layer.entries))
        why = (
            "it is written in this recipe itself: delete the lines"
            if own
            else "check the name against what EXTENDS brings"
        )
        report(mistake("J044", f"`DROP {drop.what}` finds nothing to remove", drop.span, "nothing below", helps=why))


def _remove(merged: Layer, address: Address, *, keep_place: bool = False) -> bool:
    inside = [a for a in merged.settings if a[: len(address)] == address]
    for a in inside:
        del merged.settings[a]
    entries = [a for a in merged.entries if a[: len(address)] == address and not (keep_place and a == address)]
    for a in entries:
        del merged.entries[a]
    return bool(inside or entries)
