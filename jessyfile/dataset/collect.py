"""One category's rows, exactly as many as asked: seeds first, then whatever the recipe allows, every row through every filter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from jessyfile.dataset.filters import Dropped, Tally, apply_checks, row_checks
from jessyfile.dataset.rows import Row
from jessyfile.dataset.seeds import load_seeds
from jessyfile.dataset.select import Wanted, sample, wanted_topics
from jessyfile.dataset.similarity import first_of_each
from jessyfile.errors import DatasetError
from jessyfile.language.recipe import Category, Recipe


@dataclass(slots=True)
class Collected:
    """A category's rows and where they came from: {topic: {source: count}}, and what the filters dropped."""

    rows: list[Row] = field(default_factory=list)
    sources: dict[str, dict[str, int]] = field(default_factory=dict)
    tally: Tally = field(default_factory=Tally)


def collect(recipe: Recipe, root: Path, category: Category) -> Collected:
    """Make a category's rows, the exact count of every topic.

    Raises DatasetError that names every topic with too few rows, how many are missing, and the ways out.
    """
    collected = Collected()
    passed = apply_checks(load_seeds(recipe, root, category.name), row_checks(recipe.complexity), collected.tally)
    seeds = distinct(passed, recipe.dataset.similarity, collected.tally)
    short: list[str] = []
    for wanted in wanted_topics(category):
        own = sample([row for row in seeds if wanted.takes(row)], wanted.count, recipe.dataset.seed, wanted.name)
        if len(own) < wanted.count:
            short.append(_shortage(wanted, own))
        collected.sources[wanted.name] = {"hand": len(own)}
        collected.rows += own
    if short:
        raise _too_few(short)
    return collected


def distinct(rows: Sequence[Row], bound: float, tally: Tally) -> list[Row]:
    """Return the rows of which none is nearer to an earlier one than the bound; the others are counted as near duplicates."""
    kept, dropped = first_of_each([row.text for row in rows], bound)
    for index, near in sorted(dropped.items()):
        tally.add(Dropped(rows[index], "duplicate", f"says the same as {rows[near].place}"))
    return [rows[index] for index in kept]


def _shortage(wanted: Wanted, rows: Sequence[Row]) -> str:
    return f"`{wanted.name}` asks for {wanted.count} rows and {len(rows)} were found: {wanted.count - len(rows)} are missing"


def _too_few(short: Sequence[str]) -> DatasetError:
    return DatasetError(
        "; ".join(short), hint="write the missing seeds, lower the TOPIC's count, or add a TEACHER to the DATASET block"
    )
