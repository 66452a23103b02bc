"""The user's mistakes as values: a code, one sentence, where it is, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from jessyfile.language.source import Span

_LONGEST = 400  # a message may quote what was written, and that has no limit

Severity = Literal["error", "warning"]


@dataclass(frozen=True, slots=True)
class Place:
    """A stretch of one file with a label; lines and columns count from 1, the end is exclusive.

    `text` is the source line on which it starts, so that it can be shown without reading the file again.
    """

    file: str
    line: int
    column: int
    end_line: int
    end_column: int
    text: str
    label: str = ""


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One mistake or warning. `fix` is the text that would take the place of the marked one, when that is known."""

    severity: Severity
    code: str
    message: str
    place: Place | None = None
    second: Place | None = None
    helps: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    fix: str | None = None

    @property
    def file(self) -> str | None:
        """The file it is in, as printed; None for a mistake outside any file."""
        return self.place.file if self.place else None

    @property
    def line(self) -> int:
        """The line it starts on; 0 outside any file."""
        return self.place.line if self.place else 0

    @property
    def column(self) -> int:
        """The column it starts at; 0 outside any file."""
        return self.place.column if self.place else 0

    @property
    def span(self) -> tuple[int, int, int, int]:
        """Start line and column, end line and column; zeros outside any file."""
        place = self.place
        return (place.line, place.column, place.end_line, place.end_column) if place else (0, 0, 0, 0)

    @property
    def label(self) -> str:
        """What stands beside the caret."""
        return self.place.label if self.place else ""


def place(span: Span, label: str = "") -> Place:
    """Return a span as a place with its source line."""
    line, column = span.file.position(span.start)
    end_line, end_column = span.file.position(max(span.end, span.start))
    return Place(span.file.name, line, column, end_line, end_column, span.file.line(line), label)


def mistake(
    code: str,
    message: str,
    at: Span | None = None,
    label: str = "",
    *,
    second: tuple[Span, str] | None = None,
    helps: str | Sequence[str] = (),
    notes: str | Sequence[str] = (),
    fix: str | None = None,
) -> Diagnostic:
    """Return a diagnostic: an error, or a warning when its code begins with `J2`.

    Args:
        code: the stable code, such as `J001`.
        message: one sentence.
        at: the text to point at.
        label: a few words beside the pointer.
        second: another text that explains the first, with its label.
        helps: what to do, one line each.
        notes: what to know, one line each.
        fix: the text that an editor offers in place of `at`.

    Returns:
        The diagnostic.
    """
    return Diagnostic(
        severity="warning" if code.startswith("J2") else "error",
        code=code,
        message=message if len(message) <= _LONGEST else message[: _LONGEST - 1] + "…",
        place=place(at, label) if at else None,
        second=place(*second) if second else None,
        helps=(helps,) if isinstance(helps, str) else tuple(helps),
        notes=(notes,) if isinstance(notes, str) else tuple(notes),
        fix=fix,
    )


def in_order(diagnostics: Iterable[Diagnostic]) -> tuple[Diagnostic, ...]:
    """Return them by file and place, errors before warnings at one place, none twice."""
    unique = dict.fromkeys(diagnostics)
    files = {name: at for at, name in enumerate(dict.fromkeys(d.file for d in unique))}
    return tuple(sorted(unique, key=lambda d: (files[d.file], d.line, d.column, d.severity, d.code)))


def has_errors(diagnostics: Iterable[Diagnostic]) -> bool:
    """Return whether any of them stops the recipe."""
    return any(d.severity == "error" for d in diagnostics)


def as_errors(diagnostics: Iterable[Diagnostic]) -> tuple[Diagnostic, ...]:
    """Return them with every warning raised to an error (`jessy check --strict`)."""
    return tuple(replace(d, severity="error") for d in diagnostics)
