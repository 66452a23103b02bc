"""`jessy status`: what is promoted, what was last applied, what it scored."""

from __future__ import annotations

import datetime as dt
import itertools
from pathlib import Path
from typing import TYPE_CHECKING

import click

from jessyfile.commands.history import here
from jessyfile.commands.recipe_file import nothing_yet
from jessyfile.text.printable import json_text, printable

if TYPE_CHECKING:
    from jessyfile.export.registry import Registration
    from jessyfile.planning.state import State
    from jessyfile.results.outcome import Outcome


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON (format 1).")
def status(as_json: bool) -> None:
    """Show what is promoted, what was last applied, what it scored."""
    from jessyfile.planning.state import load_state, state_names

    root = here()
    found = [load_state(root, name) for name in state_names(root)]
    if as_json:
        click.echo(json_text({"format": 1, "recipes": [_as_json(root, state) for state in found]}, indent=1))
        return
    if not found:
        click.echo(nothing_yet())
    for state in found:
        click.echo(printable("\n".join(_lines(root, state))))


def _as_json(root: Path, state: State) -> dict[str, object]:
    from jessyfile.planning.canonical import normal
    from jessyfile.results.facts import JudgeFacts, ParityFacts, PromoteFacts

    promote, judge = state.facts_of("promote", PromoteFacts), state.facts_of("judge", JudgeFacts)
    parity = state.facts_of("parity", ParityFacts)
    return {
        "name": state.name,
        "recipe": state.recipe,
        "run": state.run or None,
        "applied": state.applied or None,
        "registered": {tag: normal(_registered(root, state.name, tag)) for tag in ("latest", "previous", "candidate")},
        "promoted": promote.promoted if promote else None,
        "reason": promote.withheld if promote else None,
        "parity": normal(parity) if parity else None,
        "criteria": [_criterion(one) for one in judge.criteria] if judge else [],
        "seconds": {name: action.seconds for name, action in state.steps.items()},
    }


def _criterion(one: Outcome) -> dict[str, object]:
    return {"claim": one.claim, "measured": one.measured, "rank": one.criterion.rank, "verdict": one.verdict}


def _lines(root: Path, state: State) -> list[str]:
    from jessyfile.export.registry import kept_back
    from jessyfile.report import summary_lines
    from jessyfile.results.facts import JudgeFacts, ParityFacts, PromoteFacts

    lines = [f"{state.name} · {state.recipe}"]
    for tag in ("latest", "previous"):
        entry = _registered(root, state.name, tag)
        if entry:
            lines.append(f"  {tag:<9} {entry.digest[:12]}  since {entry.since}  ({entry.engine})")
    promote = state.facts_of("promote", PromoteFacts)
    back = kept_back(root, state.name, promote) if promote else None
    lines += [f"  {back}"] if back else []
    lines.append(f"  last run  {_last_run(root, state)}")
    parity = state.facts_of("parity", ParityFacts)
    lines += [f"  export    {parity.summary}"] if parity else []
    judge = state.facts_of("judge", JudgeFacts)
    return lines + [f"  {line}" for line in (summary_lines(judge) if judge else ())]


def _last_run(root: Path, state: State) -> str:
    from jessyfile.commands.history import run_line
    from jessyfile.planning.plan_text import ago
    from jessyfile.planning.runs import all_runs

    mine = [
        run for run in all_runs(root) if any(event.name == state.name for event in itertools.islice(run.events(), 1))
    ]
    if mine:
        return run_line(mine[-1])
    return f"{ago(state.applied, dt.datetime.now(dt.UTC))}, its folder is gone" if state.applied else "never ended"


def _registered(root: Path, name: str, tag: str) -> Registration | None:
    from jessyfile.export.registry import lookup

    return lookup(root, name, tag)
