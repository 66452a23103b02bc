"""A document on its way to a recipe: some of its values may not have been readable."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from jessyfile.language.layer import Layer
    from jessyfile.language.source import Span
    from jessyfile.language.table import Address


class Unknown(Exception):
    """A value is not known because what was written for it is a mistake."""


@dataclass(frozen=True)
class Draft:
    """A document, where its values stand, and which could not be read."""

    document: dict[str, Any]
    merged: Layer
    root: Path

    def known(self, *address: str) -> bool:
        """Return whether nothing at, around or inside an address failed to be read."""
        return not any(bad[: len(address)] == address[: len(bad)] for bad in self.merged.failed)

    def get(self, *address: str) -> Any:  # noqa: ANN401 (any JSON value)
        """Return a value. Raises Unknown when it, or something inside it, could not be read."""
        if not self.known(*address):
            raise Unknown
        value: Any = self.document
        for part in address:
            if not isinstance(value, dict) or part not in value:
                raise Unknown
            value = value[part]
        return value

    def get_names(self, *address: str) -> tuple[str, ...]:
        """Return the names of named things; those that could not be read are among them."""
        value: Any = self.document
        for part in address:
            value = value.get(part, {}) if isinstance(value, dict) else {}
        return tuple(value)

    def cases(self, suite: str) -> int | None:
        """Return how many cases of a suite are answered; None when its file is not found."""
        from jessyfile.language.project_files import count_cases

        named = self.get("eval", "suite", suite, "file") or f"data/eval/{suite}.jsonl"
        prefer = self.get("prefer")
        total = count_cases(named, self.root, prefer["references"] if prefer else None)
        limit = self.get("eval", "suite", suite, "limit")
        return total if total is None or limit is None else min(total, limit)

    def at(self, *address: str) -> Span | None:
        """Return where a value, or the nearest thing around it, was written; None when it is a default."""
        place: Address = address
        while place:
            setting = self.merged.settings.get(place)
            span = setting.span if setting else self.merged.entries.get(place)
            if span:
                return span
            place = place[:-1]
        return None
