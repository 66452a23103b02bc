"""`jessy compare`: two models on the same cases."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from jessyfile.commands.common import sending_options
from jessyfile.commands.evaluate import Asking, ask, find_asking, quick_option, spelled, suite_option
from jessyfile.commands.history import here
from jessyfile.commands.say import say
from jessyfile.results.outcome import chance
from jessyfile.text.fit import table, terminal_width
from jessyfile.text.printable import json_text

if TYPE_CHECKING:
    from jessyfile.evaluation.ask_model import ModelEvaluation
    from jessyfile.evaluation.paired import CasePair, MetricPair, PairedComparison

_SHOWN = 10
_LONGEST = 160


@click.command()
@click.argument("a", metavar="A")
@click.argument("b", metavar="B")
@sending_options
@suite_option
@quick_option
@click.option("--ask", "anew", is_flag=True, help="Ask both models now, also where answers are stored.")
@click.option("--json", "as_json", is_flag=True, help="Print the comparison as JSON (format 1).")
def compare(
    a: str,
    b: str,
    allow_host: tuple[str, ...],  # noqa: ARG001 (its callback puts it into the environment)
    suite: tuple[str, ...],
    quick: bool,
    anew: bool,
    as_json: bool,
) -> None:
    """Compare two models, recipes or runs on the same cases: every score with its interval, what got worse first.

    A and B are each NAME, NAME:TAG, a recipe or the number of a run. Stored answers of a model are taken where a run here has
    judged it; else it is asked now.
    """
    from jessyfile.evaluation.paired import compare_models

    now = anew or quick or bool(suite)
    both = [_stored_or_asking(what, anew=now) for what in (a, b)]
    first, second = (ask(one, suite, quick=quick, quiet=as_json) if isinstance(one, Asking) else one for one in both)
    found = compare_models(first, second)
    if as_json:
        click.echo(json_text(_as_json(found), indent=1))
    else:
        say("\n".join(_lines(found)))


def _stored_or_asking(what: str, *, anew: bool) -> ModelEvaluation | Asking:
    from jessyfile.evaluation.paired import run_evaluation, stored_evaluation
    from jessyfile.planning.runs import find_run

    if what.isascii() and what.isdigit() and not Path(what).exists():
        return run_evaluation(here(), find_run(here(), what))
    asking = find_asking(what, (), None, ())
    stored = None if anew else stored_evaluation(asking.root, asking.entry.name, asking.entry.digest, asking.name)
    return stored or asking


def _lines(found: PairedComparison) -> Iterator[str]:
    for letter, one in (("A", found.first), ("B", found.second)):
        yield f"{letter}  {one.name} · {one.digest[:12] or 'no digest'} · {one.engine}"
    apart = f"; {found.left_out} that only one answered, or was asked otherwise, are left out" if found.left_out else ""
    yield f"{len(found.cases)} cases of both{apart}"
    measured = [
        (pair.metric, f"{spelled(pair.first)} -> {spelled(pair.second)}{beside(pair)}") for pair in found.metrics
    ]
    yield from table(measured, terminal_width())
    worse = [pair for pair in found.cases if pair.change < 0]
    better = sum(pair.change > 0 for pair in found.cases)
    yield f"{len(worse)} answers got worse and {better} better from A to B"
    for case in worse[:_SHOWN]:
        yield from _case_lines(case)
    if len(worse) > _SHOWN:
        yield f"  and {len(worse) - _SHOWN} more (`--json` has all)"


def beside(pair: MetricPair) -> str:
    """Return how many cases got better and worse, the interval of the change, and whether that is chance; nothing for seconds."""
    if pair.compared is None:
        return ""
    found = pair.compared
    change = f"{found.low * 100:+.0f} to {found.high * 100:+.0f} points"
    return f"  +{len(found.better)} -{len(found.worse)}, {change}, p {chance(found.p)}"


def _case_lines(pair: CasePair) -> Iterator[str]:
    case = pair.second.case
    yield f"  {case.id}: {_short(case.prompt)}"
    yield f"    A: {_short(pair.first.answer.text)}"
    yield f"    B: {_short(pair.second.answer.text)}  ({'; '.join(pair.second.failures())})"


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 1]}…"


def _as_json(found: PairedComparison) -> object:
    return {
        "format": 1,
        "models": [{"model": m.name, "digest": m.digest, "engine": m.engine} for m in (found.first, found.second)],
        "left_out": found.left_out,
        "metrics": [_metric(pair) for pair in found.metrics],
        "cases": [_case(pair) for pair in found.cases],
    }


def _metric(pair: MetricPair) -> object:
    sides = [{"value": one.value, "low": one.low, "high": one.high, "n": one.n} for one in (pair.first, pair.second)]
    paired = None if pair.compared is None else asdict(pair.compared)
    return {"metric": pair.metric, "a": sides[0], "b": sides[1], "paired": paired}


def _case(pair: CasePair) -> object:
    sides = [{"text": one.answer.text, "failures": one.failures()} for one in (pair.first, pair.second)]
    return {"id": pair.second.case.id, "change": pair.change, "a": sides[0], "b": sides[1]}
