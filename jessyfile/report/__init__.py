"""What an apply brought about, for people: a self-contained HTML page and a summary for the terminal.

write_report(recipe, root, result) -> path of report.html
rewrite_report(root, run) -> the same for a run of before
summary_lines(judge_facts) -> lines for a terminal
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from jessyfile.errors import ProjectError
from jessyfile.planning.canonical import canonical
from jessyfile.report.terminal import summary_lines

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from jessyfile.language.recipe import Recipe
    from jessyfile.planning.run import RunResult
    from jessyfile.planning.runs import RecordedStep, Run

__all__ = ["REPORT", "rewrite_report", "summary_lines", "write_report"]
REPORT = "report.html"
_LEVEL, _WITHIN = "complexity.level.", ".within"


def write_report(recipe: Recipe, root: Path, result: RunResult) -> Path:
    """Write `report.html` into the run's folder, or beside the runs when nothing ran, and return its path."""
    from jessyfile.evaluation.paired import promoted_before
    from jessyfile.fsops import write_text
    from jessyfile.language.printer import flatten
    from jessyfile.planning.runs import RECIPE
    from jessyfile.project import runs_folder
    from jessyfile.report.page import render_page
    from jessyfile.results.facts import AnswersFacts

    folder = result.run.folder if result.run is not None else runs_folder(root)
    if result.run is not None:
        write_text(folder / RECIPE, flatten(recipe, everything=True))
    evaluated, run = result.facts_of("evaluate", AnswersFacts), result.run
    before = promoted_before(root, recipe.name, run.number, evaluated.digest) if run and evaluated else None
    return _write(folder, render_page(recipe, result, before))


def rewrite_report(root: Path, run: Run) -> Path:
    """Write the report of an earlier run anew, from what it has recorded and what is still stored, and return its path.

    Raises ProjectError for a run that did not end.
    """
    from jessyfile.evaluation.paired import promoted_before
    from jessyfile.planning.run import StepResult
    from jessyfile.planning.store import Store
    from jessyfile.report.origin import origin_of
    from jessyfile.report.page import Reported, render_reported
    from jessyfile.results.facts import AnswersFacts

    record = run.result()
    if record is None:
        raise ProjectError(f"run {run.number} did not end, so it has no report", hint="`jessy history` shows which did")
    store, steps = Store(root), {step.name: step for step in record.steps}
    results = tuple(
        StepResult(
            one.name,
            "reused" if one.outcome == "reused" else "ran",
            one.object,
            store.place(one.object),
            one.facts,
            one.seconds,
            one.peak,
        )
        for one in record.steps
    )
    base = str(steps["base"].parameters.get("from", "")) if "base" in steps else ""
    told = Reported(
        record.name,
        base,
        _recipe(run),
        run.number,
        dict(_levels(steps.get("judge"))),
        record.withheld,
        results,
        origin=origin_of(run, record.seconds),
    )
    evaluated = told.facts_of("evaluate", AnswersFacts)
    before = promoted_before(root, record.name, run.number, evaluated.digest) if evaluated else None
    return _write(run.folder, render_reported(replace(told, previous=before)))


def _write(folder: Path, page: str) -> Path:
    from jessyfile.fsops import write_text

    write_text(folder / REPORT, page)
    return folder / REPORT


def _levels(judge: RecordedStep | None) -> Iterator[tuple[str, float | None]]:
    """Yield the levels that a run was judged by, the least iterations first, with their limits in seconds."""
    values = judge.parameters if judge is not None else {}
    bands = {
        key.removeprefix(_LEVEL).removesuffix(".iterations"): value
        for key, value in values.items()
        if key.endswith(".iterations")
    }
    for name in sorted(bands, key=lambda level: canonical(bands[level])):
        within = values.get(f"{_LEVEL}{name}{_WITHIN}")
        yield name, float(within) if isinstance(within, int | float) else None


def _recipe(run: Run) -> str:
    """Return the recipe's file as the run has written it down."""
    started = next(iter(run.events()), None)
    return started.recipe if started is not None else ""
