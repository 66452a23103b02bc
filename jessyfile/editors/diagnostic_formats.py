"""Diagnostics for machines: SARIF 2.1.0 for code scanning, and the language server protocol's form for editors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jessyfile.language.diagnostics import Diagnostic, Place

Json = dict[str, Any]

_SEVERITY = {"error": 1, "warning": 2}


def as_sarif(diagnostics: Sequence[Diagnostic]) -> Json:
    """Return a SARIF log with one run; columns count UTF-16 code units from 1."""
    from jessyfile import __version__
    from jessyfile.language.codes import CODES

    rules = [
        {"id": code, "shortDescription": {"text": CODES[code].title}} for code in sorted({d.code for d in diagnostics})
    ]
    driver = {"name": "jessy", "version": __version__, "rules": rules}
    run = {"tool": {"driver": driver}, "columnKind": "utf16CodeUnits", "results": [_result(d) for d in diagnostics]}
    return {"$schema": "https://json.schemastore.org/sarif-2.1.0.json", "version": "2.1.0", "runs": [run]}


def _result(diagnostic: Diagnostic) -> Json:
    text = ". ".join((diagnostic.message, *diagnostic.helps, *diagnostic.notes))
    result: Json = {"ruleId": diagnostic.code, "level": diagnostic.severity, "message": {"text": text}}
    if diagnostic.place:
        result["locations"] = [_location(diagnostic.place)]
    if diagnostic.second:
        result["relatedLocations"] = [_location(diagnostic.second)]
    if diagnostic.place and diagnostic.fix is not None:
        replacement = {"deletedRegion": _region(diagnostic.place), "insertedContent": {"text": diagnostic.fix}}
        change = {"artifactLocation": {"uri": _uri(diagnostic.place.file)}, "replacements": [replacement]}
        result["fixes"] = [
            {
                "description": {"text": diagnostic.helps[0] if diagnostic.helps else diagnostic.message},
                "artifactChanges": [change],
            }
        ]
    return result


def _location(place: Place) -> Json:
    found: Json = {"physicalLocation": {"artifactLocation": {"uri": _uri(place.file)}, "region": _region(place)}}
    if place.label:
        found["message"] = {"text": place.label}
    return found


def _uri(file: str) -> str:
    from urllib.parse import quote

    return quote(file)


def _region(place: Place) -> Json:
    return {
        "startLine": place.line,
        "startColumn": utf16(place.text, place.column - 1) + 1,
        "endLine": place.end_line,
        "endColumn": utf16(place.text, place.end_column - 1) + 1 if place.end_line == place.line else place.end_column,
    }


def utf16(text: str, column: int) -> int:
    """Return how many UTF-16 code units stand before a column counted from 0."""
    return column + sum(ord(c) > 0xFFFF for c in text[:column])


def as_lsp(diagnostics: Sequence[Diagnostic]) -> list[Json]:
    """Return diagnostics as the language server protocol has them, each with its file; positions count from 0."""
    return [_lsp(d) for d in diagnostics]


def _lsp(diagnostic: Diagnostic) -> Json:
    found: Json = {
        "file": diagnostic.file,
        "range": _range(diagnostic.place),
        "severity": _SEVERITY[diagnostic.severity],
        "code": diagnostic.code,
        "source": "jessy",
        "message": diagnostic.message,
        "data": {"helps": list(diagnostic.helps), "notes": list(diagnostic.notes), "fix": diagnostic.fix},
    }
    if diagnostic.second:
        found["relatedInformation"] = [
            {
                "location": {"file": diagnostic.second.file, "range": _range(diagnostic.second)},
                "message": diagnostic.second.label,
            }
        ]
    return found


def _range(place: Place | None) -> Json:
    if place is None:
        return {"start": {"line": 0, "character": 0}, "end": {"line": 0, "character": 0}}
    end = place.end_column - 1 if place.end_line != place.line else utf16(place.text, place.end_column - 1)
    start = {"line": place.line - 1, "character": utf16(place.text, place.column - 1)}
    return {"start": start, "end": {"line": place.end_line - 1, "character": end}}
