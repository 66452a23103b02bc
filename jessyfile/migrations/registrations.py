"""Registrations of models, format 1 to 2: the levels stand in them, and that of `previous` in that of `latest`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jessyfile.migrations.old_project import OldProject
from jessyfile.planning.formats import FORMATS

_LEVEL, _ITERATIONS, _MARKER = "complexity.level.", ".iterations", "complexity.marker"
_NEW = {FORMATS["registration"].key: 2}


def registration_to_2(body: dict[str, Any], project: OldProject) -> dict[str, Any]:
    """Add the levels and the marker that the model was evaluated with, and to `latest` the registration of
    `previous`."""
    before = body.get("previous") or (
        project.registration(body["name"], "previous") if body.get("tag") == "latest" else None
    )
    previous = {**_with_levels(before, project), **_NEW} if before else None
    return {**_with_levels(body, project), "previous": previous}


def is_carried(previous: Mapping[str, Any], latest: Mapping[str, Any]) -> bool:
    """Return whether the file of `previous` says nothing that `latest` does not."""
    kept = latest.get("previous") or {}
    return all(kept.get(key) == previous.get(key) for key in ("engine", "digest", "gguf", "ollama"))


def _with_levels(body: Mapping[str, Any], project: OldProject) -> dict[str, Any]:
    served = body.get("served") or {}
    if "complexity" in served:
        return dict(body)
    complexity = _complexity(project.evaluated(body["name"], body.get("digest", "")))
    return {**body, "served": {**served, "complexity": complexity}} if complexity else dict(body)


def _complexity(evaluated: Mapping[str, Any]) -> dict[str, Any] | None:
    named = {
        address[len(_LEVEL) : -len(_ITERATIONS)]: iterations
        for address, iterations in evaluated.items()
        if address.startswith(_LEVEL) and address.endswith(_ITERATIONS)
    }
    levels = [
        {"name": name, "iterations": iterations, "within": None}
        for name, iterations in sorted(named.items(), key=lambda entry: entry[1])
    ]
    return {"levels": levels, "marker": evaluated.get(_MARKER)} if levels else None
