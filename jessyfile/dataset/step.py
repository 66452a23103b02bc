"""The data steps: `data.<category>` makes rows, `dataset` proves, splits and formats them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from jessyfile.dataset.collect import collect
from jessyfile.dataset.jsonl import Line, read_jsonl, write_jsonl
from jessyfile.dataset.rows import Row, store_row, stored_row
from jessyfile.dataset.seeds import load_markers
from jessyfile.dataset.select import sample, shares
from jessyfile.dataset.split import split_rows
from jessyfile.errors import DatasetError
from jessyfile.fsops import write_text
from jessyfile.language.recipe import Category, Recipe
from jessyfile.planning.steps import Facts, StepContext

ROWS = "rows.jsonl"
TRAIN = "train.jsonl"
VALID = "valid.jsonl"
CARD = "card.json"


def run_category(context: StepContext) -> Facts:
    """Write `rows.jsonl`: one category's rows, exactly as many of each topic as the recipe asks for."""
    category = _category(context)
    collected = collect(context.recipe, context.root, category)
    write_jsonl(context.output / ROWS, (store_row(row) for row in collected.rows))
    context.progress.note(f"{category.name}: {len(collected.rows)} rows")
    return {"rows": len(collected.rows), "topics": collected.sources, "dropped": collected.tally.to_json()}


def _category(context: StepContext) -> Category:
    name = context.name.removeprefix("data.")
    return next(category for category in context.recipe.dataset.categories if category.name == name)


def read_category(folder: Path) -> list[Row]:
    """Read back what `run_category` wrote."""
    return [stored_row(item.value) for item in read_jsonl(folder / ROWS) if isinstance(item, Line)]


def run_dataset(context: StepContext) -> Facts:
    """Write `train.jsonl`, `valid.jsonl` and `card.json` from every category's rows and the marker rows."""
    recipe, root = context.recipe, context.root
    rows = [row for name in context.inputs for row in read_category(context.inputs[name])]
    markers = marker_rows(recipe, root)
    split = split_rows(rows, recipe.dataset.validation, recipe.dataset.seed)
    signs = split_rows(markers, recipe.dataset.validation, recipe.dataset.seed)
    counts = {
        "train": write_jsonl(context.output / TRAIN, messages(recipe, [*split.train, *signs.train])),
        "valid": write_jsonl(context.output / VALID, messages(recipe, [*split.valid, *signs.valid])),
    }
    card = {"rows": len(rows), "markers": len(markers), **counts, **_counts(rows)}
    write_text(context.output / CARD, dump_card(card))
    return card


def marker_rows(recipe: Recipe, root: Path) -> list[Row]:
    """Return `dataset.markers` marker-only rows, drawn evenly by level; too few seeds are an error."""
    wanted = recipe.dataset.markers
    if not wanted:
        return []
    rows = load_markers(recipe, root)
    levels = [level.name for level in recipe.complexity.levels]
    drawn: list[Row] = []
    for level, count in zip(levels, shares(wanted, [1] * len(levels)), strict=True):
        own = [row for row in rows if row.example.complexity == level]
        if len(own) < count:
            raise DatasetError(
                f"{count} marker rows of level {level} are wanted and {len(own)} were found",
                hint=f"write more into data/seeds/markers/{level}.jsonl, or lower `markers` in the DATASET block",
            )
        drawn += sample(own, count, recipe.dataset.seed, f"markers/{level}")
    return drawn


def messages(recipe: Recipe, rows: Iterable[Row]) -> Iterable[Mapping[str, Any]]:
    """Yield the rows as training reads them: messages with their marker lines, and what they are."""
    for row in rows:
        example = row.example
        yield {
            **example.to_mlx_format(recipe.complexity.marker),
            "kind": "marker" if example.is_marker else "chat",
            "category": example.category,
            "topic": example.topic,
            "level": example.complexity,
            "iterations": example.iterations,
            "language": example.language,
            "tags": list(example.tags),
            "id": row.id,
        }


def _counts(rows: Sequence[Row]) -> dict[str, Any]:
    topics = Counter(f"{row.example.category}/{row.example.topic}" for row in rows)
    levels = Counter(row.example.complexity for row in rows)
    languages = Counter(row.example.language for row in rows)
    return {"topics": dict(topics), "levels": dict(levels), "languages": dict(languages)}


def dump_card(card: Mapping[str, Any]) -> str:
    """Return a report card as JSON text, the same bytes for the same card."""
    import json

    return json.dumps(card, ensure_ascii=False, indent=2, sort_keys=True) + "\n"
