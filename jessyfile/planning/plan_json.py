"""A plan as JSON: for `--json`, for `-o plan.json`, and for the run's folder."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from jessyfile.errors import ProjectError
from jessyfile.planning.command_line import Call
from jessyfile.planning.plan import PLAN_FORMAT, Plan, PlannedStep, Selection
from jessyfile.user_files import read_plain, write_own

if TYPE_CHECKING:
    from pathlib import Path


_WRITE_ONE = "`jessy plan RECIPE -o plan.json` writes one"


def plan_as_json(plan: Plan) -> dict[str, Any]:
    """Return a plan as a JSON object of format 1: `steps` in order with answer, effect, reasons and forecast."""
    return {
        "format": PLAN_FORMAT,
        "name": plan.name,
        "recipe": plan.recipe,
        "digest": plan.digest,
        "state": {"lineage": plan.state.lineage, "serial": plan.state.serial, "run": plan.state.run},
        "selection": {name: list(getattr(plan.selection, name)) for name in ("only", "skip", "replace")},
        "changes": plan.changes,
        "effect": plan.effect if plan.changes else None,
        "withheld": plan.withheld,
        "about": list(plan.about),
        "disk": plan.disk,
        "findings": [finding.as_json() for finding in plan.findings],
        "steps": [_step(step) for step in plan.steps],
    }


def _step(step: PlannedStep) -> dict[str, Any]:
    forecast = step.forecast
    return {
        "name": step.name,
        "answer": step.answer,
        "effect": step.effect,
        "cause": step.cause,
        "resumes": step.resumes,
        "fingerprint": step.fingerprint,
        **({"made_by": step.made_by} if step.made_by is not None else {}),
        "reasons": [reason.as_json() for reason in step.reasons],
        "forecast": {
            "seconds": forecast.seconds,
            "peak": forecast.peak,
            "runs": forecast.runs,
            "between": forecast.between,
        }
        if forecast
        else None,
    }


def save_plan(path: Path, plan: Plan, call: Call) -> None:
    """Write a plan to a file, with how its recipe was loaded.

    Raises ProjectError when something other than a saved plan stands there.
    """
    body = {**plan_as_json(plan), "call": call.as_json()}
    write_own(path, (json.dumps(body, ensure_ascii=False, indent=1) + "\n").encode("utf-8", "surrogatepass"), is_plan)


def is_plan(data: bytes) -> bool:
    """Return whether these are the bytes of a saved plan, of whatever format."""
    try:
        body = json.loads(data)
    except (ValueError, RecursionError):
        return False
    return isinstance(body, dict) and {"format", "digest", "selection", "call"} <= body.keys()


def load_saved(path: Path) -> tuple[Call, Selection, str]:
    """Read a saved plan: how to load its recipe, the selection, the digest.

    Raises ProjectError when the file is no plan of this format.
    """
    try:
        body = json.loads(read_plain(path))
        if body["format"] != PLAN_FORMAT:
            text = f"`{path}` is a plan of format {body['format']}, this jessy knows {PLAN_FORMAT}"
            raise ProjectError(text, hint="plan again with this jessy")
        selection = Selection(**{name: tuple(body["selection"][name]) for name in ("only", "skip", "replace")})
        return Call.from_json(body["call"]), selection, str(body["digest"])
    except FileNotFoundError:
        raise ProjectError(f"there is no plan `{path}`", hint=_WRITE_ONE) from None
    except (ValueError, KeyError, TypeError):
        raise ProjectError(f"`{path}` is not a saved plan", hint=_WRITE_ONE) from None
