"""Gather what the steps left behind and render it as one page that loads nothing."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jessyfile import __version__
from jessyfile.evaluation.criteria import spell
from jessyfile.fsops import read_bytes
from jessyfile.planning.change_text import duration, size
from jessyfile.report.charts import latency_lanes, loss_curve
from jessyfile.resources import resource
from jessyfile.text.printable import printable

if TYPE_CHECKING:
    from jinja2 import Environment

    from jessyfile.language.recipe import Recipe
    from jessyfile.planning.run import RunResult

_FILES = {
    "verdict": ("judge", "verdict.json"),
    "curve": ("train", "curve.json"),
    "card": ("dataset", "card.json"),
    "mask": ("encode", "mask.json"),
}


def render_page(recipe: Recipe, result: RunResult) -> str:
    """Return the whole report as HTML; parts whose step was left out are missing."""
    found = {name: _read(result, step, file) for name, (step, file) in _FILES.items()}
    verdict, curve = found["verdict"], found["curve"]
    bars, matrix = _bars(verdict), _matrix(recipe, verdict)
    template = _environment().get_template("report.html.j2")
    return template.render(
        recipe=recipe,
        where=result.plan.recipe,
        version=__version__,
        run=result.run.number if result.run is not None else None,
        withheld=result.withheld,
        promoted=_facts(result, "promote").get("promoted"),
        steps=result.steps,
        sections=_sections(found, bars, matrix),
        trained=_facts(result, "train"),
        evaluated=_facts(result, "evaluate"),
        parity={
            f"parity {name}": value
            for name, value in _facts(result, "parity").items()
            if not isinstance(value, list | dict)
        },
        verdict=verdict,
        card=found["card"],
        mask=found["mask"],
        loss=loss_curve(curve.get("curve", ()), curve.get("validations", ())),
        latency=latency_lanes(_lanes(recipe, verdict)),
        bars=bars,
        matrix=matrix,
        efficiency=verdict.get("measured", {}).get("iteration_efficiency", {}).get("value"),
        suites=sorted({case["suite"] for case in verdict.get("cases", ())}),
        changes=_changes(verdict),
    )


def _read(result: RunResult, step: str, file: str) -> dict[str, Any]:
    found = result.step(step)
    try:
        body = json.loads(read_bytes(found.folder / file)) if found is not None else {}
    except (FileNotFoundError, ValueError):
        return {}
    return body if isinstance(body, dict) else {}


def _facts(result: RunResult, step: str) -> Mapping[str, Any]:
    found = result.step(step)
    return found.facts if found is not None else {}


def _sections(found: Mapping[str, Any], bars: Sequence[Bar], matrix: Matrix | None) -> list[tuple[str, str]]:
    """Return id and title of every part that this page has."""
    parts = (
        ("verdict", "Verdict", found["verdict"]),
        ("before", "Before and after", bars),
        ("levels", "Levels", matrix),
        ("latency", "Latency", found["verdict"]),
        ("training", "Training", found["curve"]),
        ("answers", "Answers", found["verdict"]),
        ("data", "Data", found["card"] or found["mask"]),
        ("made", "Made of", True),
    )
    return [(name, title) for name, title, there in parts if there]


@dataclass(frozen=True, slots=True)
class Bar:
    """One metric before and after, as shares; `low` and `high` bound the second.

    `suite` says that it is one of the pairs that every suite has, and that no criterion asks for it.
    """

    metric: str
    before: float | None
    after: float
    low: float
    high: float
    n: int
    better: int
    worse: int
    p: float | None
    suite: bool


def _bars(verdict: Mapping[str, Any]) -> list[Bar]:
    measured = verdict.get("measured", {})
    claimed = {criterion["metric"] for criterion in verdict.get("judged", ())}
    return [_bar(name, found, claimed) for name, found in measured.items() if found["unit"] == "share" and found["n"]]


def _bar(name: str, found: Mapping[str, Any], claimed: Collection[str]) -> Bar:
    compared = found.get("compared") or {}
    return Bar(
        metric=name,
        before=found.get("baseline"),
        after=found["value"],
        low=found["low"],
        high=found["high"],
        n=found["n"],
        better=len(compared.get("better", ())),
        worse=len(compared.get("worse", ())),
        p=compared.get("p"),
        suite=name.endswith((".form", ".relevance")) and name not in claimed,
    )


def _lanes(recipe: Recipe, verdict: Mapping[str, Any]) -> list[tuple[str, Sequence[float], float | None, float | None]]:
    measured = verdict.get("measured", {})
    found = []
    for level in recipe.complexity.levels:
        entry = measured.get(f"latency.{level.name}") or {}
        found.append((level.name, entry.get("samples") or (), entry.get("value"), level.within))
    return found


@dataclass(frozen=True, slots=True)
class Matrix:
    """How often each level was answered with each marker; `rows` holds level, counts by `columns`, and the total."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[int, ...], int], ...]


def _matrix(recipe: Recipe, verdict: Mapping[str, Any]) -> Matrix | None:
    table = verdict.get("confusion") or {}
    if not table:
        return None
    levels = [level.name for level in recipe.complexity.levels]
    columns = (*levels, "none")
    rows = [(name, tuple(table[name].get(column, 0) for column in columns)) for name in levels if name in table]
    return Matrix(columns, tuple((name, counts, sum(counts)) for name, counts in rows))


def _changes(verdict: Mapping[str, Any]) -> dict[str, int]:
    cases = verdict.get("cases", ())
    return {kind: sum(case["change"] == kind for case in cases) for kind in ("better", "worse", "same")}


def chance(p: float) -> str:
    """Return a p-value as readers want it: `= 0.03`, `< 0.001`."""
    return "< 0.001" if p < 0.001 else f"= {p:.2g}"


def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    made = Environment(
        loader=FileSystemLoader(resource("templates", "report")),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(clean=printable, duration=duration, size=size, spell=spell, chance=chance)
    made.filters["percent"] = lambda share: spell(share, "share")
    return made
