"""A sweep's table and plot: lines for a terminal, and one HTML page that loads nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from jessyfile.planning.change_text import duration, size
from jessyfile.report.charts import DotRow, dot_rows
from jessyfile.text.html import render_template

if TYPE_CHECKING:
    from jessyfile.sweep.noise import Standing
    from jessyfile.sweep.run import SweepResult, Trial


def render_sweep(told: SweepResult) -> str:
    """Return the page of a sweep."""
    rows = [DotRow(one.point, one.values, one.mean, one.point == told.outcome.winner) for one in told.outcome.ranking]
    return render_template(
        "sweep.html.j2",
        told=told,
        conclusion=conclusion(told),
        table=list(table(told)),
        chart=dot_rows(rows, f"{told.by}, {'lower' if told.lower else 'higher'} is better", told.outcome.floor),
    )


def conclusion(told: SweepResult) -> str:
    """Say in a sentence which point won, or that none did."""
    outcome = told.outcome
    if outcome.winner is not None:
        return f"the winner is {outcome.winner}: {outcome.why}"
    best = f"; the best seen is {outcome.ranking[0].point}" if outcome.ranking else ""
    return f"no winner: {outcome.why}{best}"


HEAD = ("point", "mean", "lowest", "highest", "seeds", "seconds", "memory")


def table(told: SweepResult) -> Iterator[tuple[str, ...]]:
    """Yield a row for each point, best first: its mean, its lowest and highest value, its seeds, and what a training of it took."""
    for one in told.outcome.ranking:
        yield _row(one, [trial for trial in told.trials if trial.point == one.point])


def _row(one: Standing, trials: list[Trial]) -> tuple[str, ...]:
    took = sum(trial.seconds for trial in trials) / len(trials)
    values = (f"{one.mean:.4f}", f"{min(one.values):.4f}", f"{max(one.values):.4f}")
    return (one.point, *values, str(len(trials)), duration(took), size(max(trial.peak for trial in trials)))
