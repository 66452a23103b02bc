"""`jessy diff`: two recipes, or two runs: what they were made of, what they measured, and where their reports lie."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from jessyfile.commands.common import load
from jessyfile.commands.history import here
from jessyfile.commands.plan import tint
from jessyfile.commands.say import say
from jessyfile.text.fit import table, terminal_width

if TYPE_CHECKING:
    from jessyfile.planning.runs import Run


@click.command()
@click.argument("a")
@click.argument("b")
def diff(a: str, b: str) -> None:
    """Compare two recipes, or two runs by their numbers; a run that was stopped is compared as far as it got."""
    from jessyfile.planning.compare import recipe_differences
    from jessyfile.planning.runs import find_run

    if a.isdigit() and b.isdigit():
        lines = list(_runs(find_run(here(), a), find_run(here(), b)))
    else:
        lines = list(recipe_differences(load(Path(a), (), None, ()), load(Path(b), (), None, ())))
    say("\n".join(lines) or "no differences", tint)


def _runs(old: Run, new: Run) -> Iterator[str]:
    from jessyfile.commands.runs_told import ToldRun, report_of
    from jessyfile.planning.compare import run_differences

    differences = list(run_differences(old, new))
    told = [ToldRun.of(run) for run in (old, new)]
    yield from table([(*one.line()[:4], one.name) for one in told], terminal_width(), "")
    yield from differences or ["  nothing differs"]
    yield from _losses(old, new)
    yield from _paired(old, new)
    reports = [(f"report of run {run.number}", path) for run in (old, new) if (path := report_of(run))]
    yield from table(reports, terminal_width())


def _losses(old: Run, new: Run) -> Iterator[str]:
    """Yield the training losses after the last update that both runs made."""
    from jessyfile.planning.change_text import duration
    from jessyfile.training.metrics import metrics_file, read_metrics

    for step in ("train", "prefer"):
        one, two = ({m.iteration: m for m in read_metrics(run.folder / metrics_file(step))} for run in (old, new))
        if shared := sorted(one.keys() & two.keys()):
            before, after = one[shared[-1]], two[shared[-1]]
            took = f"{duration(before.time_elapsed)} -> {duration(after.time_elapsed)}"
            yield f"  {step}, update {shared[-1]}: loss {before.loss:.3f} -> {after.loss:.3f}, after {took}"


def _paired(old: Run, new: Run) -> Iterator[str]:
    """Yield how the two models compare on the cases that both were asked: what got better, what got worse, and whether that is chance."""
    from jessyfile.commands.compare import beside
    from jessyfile.errors import EvaluationError, ProjectError
    from jessyfile.evaluation.paired import compare_models, run_evaluation

    try:
        found = compare_models(run_evaluation(here(), old), run_evaluation(here(), new))
    except (ProjectError, EvaluationError) as error:
        yield f"  not compared case by case: {error.message}"
        return
    shares = [(pair.metric, pair.compared, beside(pair).strip()) for pair in found.metrics if pair.compared is not None]
    yield f"  on the {len(found.cases)} cases of both (+ got better, - got worse):"
    moved = [(metric, text) for metric, one, text in shares if one.better or one.worse]
    yield from table(moved, terminal_width(), "    ")
    if still := [metric for metric, one, _ in shares if not (one.better or one.worse)]:
        yield f"    no case of {', '.join(still)} changed"
