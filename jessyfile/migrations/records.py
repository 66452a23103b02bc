"""Records of finished steps and the states that hold them, format 1 to 2."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jessyfile.migrations.old_project import OldProject
from jessyfile.planning.canonical import digest

_CRITERION = "criterion"


def record_to_2(body: dict[str, Any], project: OldProject) -> dict[str, Any]:
    """Name shipped files from where jessy lies (`data/eval/x.jsonl`, before `eval/x.jsonl`), and give every criterion
    of `judge` its numbers."""
    files = {project.labels.get(name, name): value for name, value in body["files"].items()}
    own = digest({**_own(body), "files": files}) if body["own"] == digest(_own(body)) else body["own"]
    facts = body["facts"]
    if body["step"] == "judge" and _is_old(facts):
        facts = {**facts, "criteria": _criteria(facts, project.verdict(body["object"])) or facts["criteria"]}
    return {**body, "files": files if own != body["own"] else body["files"], "own": own, "facts": facts}


def state_to_2(body: dict[str, Any], project: OldProject) -> dict[str, Any]:
    """Bring every step's record along; a verdict whose numbers are gone is left to the next apply."""
    steps = {name: record_to_2(record, project) for name, record in body["steps"].items()}
    return {**body, "steps": {name: record for name, record in steps.items() if not _is_old(record["facts"])}}


def _own(body: Mapping[str, Any]) -> dict[str, Any]:
    return {key: body[key] for key in ("step", "version", "parameters", "files")}


def _is_old(facts: Mapping[str, Any]) -> bool:
    return any(_CRITERION not in one for one in facts.get("criteria", ()))


def _criteria(facts: Mapping[str, Any], verdict: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the outcomes of the criteria, their numbers out of the verdict; none when one has no numbers."""
    numbers = {one["claim"]: one for one in verdict.get("judged", ())}
    if any(one["claim"] not in numbers for one in facts["criteria"]):
        return []
    return [_outcome(one["claim"], numbers[one["claim"]]) for one in facts["criteria"]]


def _outcome(claim: str, judged: Mapping[str, Any]) -> dict[str, Any]:
    metric, comparison, value, *at = claim.split()
    criterion = {
        "rank": judged["rank"],
        "metric": metric,
        "comparison": comparison,
        "value": value if value == "baseline" else judged["bound"],
        "confidence": float(at[1].removesuffix("%")) / 100 if at else None,
    }
    same = ("unit", "value", "n", "low", "high", "passed", "baseline", "note")
    return {_CRITERION: criterion, **{key: judged[key] for key in same}}
