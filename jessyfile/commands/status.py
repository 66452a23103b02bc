"""`jessy status`: what is promoted, what was last applied, what it scored."""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from jessyfile.commands.history import here
from jessyfile.commands.recipe_file import nothing_yet
from jessyfile.commands.say import near, say
from jessyfile.planning.change_text import size
from jessyfile.planning.plan_text import ago
from jessyfile.text.fit import terminal_width
from jessyfile.text.printable import json_text

if TYPE_CHECKING:
    from jessyfile.commands.runs_told import ToldRun
    from jessyfile.export.registry import Registration
    from jessyfile.planning.runs import Run
    from jessyfile.planning.state import State
    from jessyfile.results.facts import JudgeFacts
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
        say("\n".join(_lines(root, state)))


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
        "criteria": [_criterion(judge, one) for one in judge.criteria] if judge else [],
        "seconds": {name: action.seconds for name, action in state.steps.items()},
    }


def _criterion(judge: JudgeFacts, one: Outcome) -> dict[str, object]:
    told: dict[str, object] = {
        "claim": one.claim,
        "measured": one.measured,
        "rank": one.criterion.rank,
        "verdict": one.verdict,
    }
    beside = {column: values.get(one.criterion.metric) for column, values in judge.beside.items()}
    return {**told, "beside": beside} if beside else told


def _lines(root: Path, state: State) -> Iterator[str]:
    """Yield what there is of a recipe's model: what answers, where it lies, how the last run ended, what was measured, what comes next."""
    from jessyfile.commands.runs_told import report_of, run_of
    from jessyfile.export.registry import kept_back
    from jessyfile.report import summary_lines
    from jessyfile.results.facts import JudgeFacts, ParityFacts, PromoteFacts
    from jessyfile.text.fit import table

    width, last = terminal_width(), run_of(root, state.name)
    yield f"{state.name} · {state.recipe}"
    parity, promote = state.facts_of("parity", ParityFacts), state.facts_of("promote", PromoteFacts)
    exported = [("export", parity.summary)] if parity else []
    yield from table([*_models(root, state), *exported, *_run(state, last)], width)
    back = kept_back(root, state.name, promote) if promote else None
    yield from [f"  {back}"] if back else []
    judge = state.facts_of("judge", JudgeFacts)
    if judge is not None and judge.criteria:
        candidate = " of its candidate, which is not promoted" if promote and promote.withheld else ""
        yield f"  run {state.steps['judge'].run} has measured{candidate}"
        yield from (f"  {line}" for line in summary_lines(judge))
    report = next((path for run in _reported(root, state, last) if (path := report_of(run))), None)
    steps = dict(last.next_steps()) if last is not None else {}
    if _registered(root, state.name, "latest"):
        steps.setdefault("ask it", f"jessy chat {state.name}")
    yield from table([(f"{name:<8}", text) for name, text in (("report", report or ""), *steps.items()) if text], width)


def _models(root: Path, state: State) -> Iterator[tuple[str, str]]:
    """Yield which models are registered: their digest, since when, and of the newest its file."""
    from jessyfile.results.facts import GgufFacts

    gguf, now = state.facts_of("gguf", GgufFacts), dt.datetime.now(dt.UTC)
    for tag in ("latest", "previous"):
        if entry := _registered(root, state.name, tag):
            yield tag, f"{entry.digest[:12]}, {entry.engine}, since {local(entry.since)} ({ago(entry.since, now)})"
        if entry and entry.gguf and tag == "latest":
            kind = f"{gguf.type}, " if gguf is not None and gguf.digest == entry.digest else ""
            with contextlib.suppress(OSError):
                yield "file", f"{size(Path(entry.gguf).stat().st_size)}, {kind}{near(Path(entry.gguf))}"


def _run(state: State, last: ToldRun | None) -> Iterator[tuple[str, str]]:
    if last is not None:
        number, *rest = last.line()
        yield "last run", " · ".join(part for part in (number, *rest[:-1]) if part)
        if last.holder is not None:
            yield "", str(last.holder)
        elif last.state in ("stopped", "failed"):
            yield "", rest[-1]
        elif last.options:
            yield "called", last.command
    elif state.applied:
        yield "last run", f"{ago(state.applied, dt.datetime.now(dt.UTC))}, its folder is gone"
    else:
        yield "last run", "never ended"


def _reported(root: Path, state: State, last: ToldRun | None) -> Iterator[Run]:
    """Yield the runs whose report tells of the model: the last, and the one that measured it."""
    from jessyfile.planning.runs import all_runs

    numbers = {last.run.number if last is not None else 0, state.steps["judge"].run if "judge" in state.steps else 0}
    yield from (run for run in reversed(all_runs(root)) if run.number in numbers)


def local(then: str) -> str:
    """Return an ISO 8601 time as a clock here shows it: `29 Nov 14:05`."""
    return f"{dt.datetime.fromisoformat(then).astimezone():%-d %b %H:%M}"


def _registered(root: Path, name: str, tag: str) -> Registration | None:
    from jessyfile.export.registry import lookup

    return lookup(root, name, tag)
