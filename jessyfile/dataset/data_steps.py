"""The data steps: `data.<category>` makes rows, `dataset` proves, splits and formats them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from jessyfile.dataset.card import card_json, make_card
from jessyfile.dataset.card_html import card_html
from jessyfile.dataset.collect import collect, distinct
from jessyfile.dataset.corrections import is_correction
from jessyfile.dataset.filters import Tally, apply_checks, row_checks
from jessyfile.dataset.formatted import formatted, write_formatted
from jessyfile.dataset.leaks import listed, refuse_leaks
from jessyfile.dataset.places import markers_to_write
from jessyfile.dataset.refinement import is_refined
from jessyfile.dataset.replay import replay_rows
from jessyfile.dataset.rows import Row, store_row, stored_row
from jessyfile.dataset.seeds import load_markers
from jessyfile.dataset.select import sample
from jessyfile.dataset.similarity import near_pairs
from jessyfile.dataset.split import Split, split_rows
from jessyfile.errors import DatasetError
from jessyfile.fsops import write_text
from jessyfile.results.facts import DatasetFacts, RowsFacts
from jessyfile.text.json_lines import read_result, write_jsonl

if TYPE_CHECKING:
    from jessyfile.dataset.settings import DataRecipe
    from jessyfile.language.recipe import Category
    from jessyfile.planning.steps import StepContext

ROWS = "rows.jsonl"
TRAIN = "train.jsonl"
VALID = "valid.jsonl"
CARD = "card.json"
CARD_HTML = "card.html"


def run_category(context: StepContext) -> RowsFacts:
    """Write `rows.jsonl`: one category's rows, exactly as many of each topic as the recipe asks for."""
    category = _category(context)
    asked = [row for name in category.refine for row in read_category(context.inputs[f"data.{name}"])]
    collected = collect(context.recipe, context.root, category, context.stop, asked)
    write_jsonl(context.output / ROWS, (store_row(row) for row in collected.rows))
    return RowsFacts(len(collected.rows), collected.sources, collected.tally.facts(), collected.teacher)


def _category(context: StepContext) -> Category:
    name = context.name.removeprefix("data.")
    return next(category for category in context.recipe.dataset.categories if category.name == name)


def read_category(folder: Path) -> list[Row]:
    """Read back what `run_category` wrote."""
    return [stored_row(value) for value in read_result(folder / ROWS)]


def run_dataset(context: StepContext) -> DatasetFacts:
    """Write `train.jsonl`, `valid.jsonl`, `card.json` and `card.html` from every category's rows and the marker rows.

    Raises DatasetError when a row gives an evaluation case away, or when two categories say the same.
    """
    recipe, root = context.recipe, context.root
    rows = [row for name in context.inputs for row in read_category(context.inputs[name])]
    tally = Tally()
    markers = marker_rows(recipe, root, rows, tally)
    refuse_leaks(recipe, root, [*rows, *markers])
    refuse_duplicates(rows, recipe.dataset.similarity)
    corrections = [row for row in rows if is_correction(row)]
    drawn = split_rows([row for row in rows if not is_correction(row)], recipe.dataset.validation, recipe.dataset.seed)
    split = Split([*drawn.train, *corrections], drawn.valid)
    signs = split_rows(markers, recipe.dataset.validation, recipe.dataset.seed)
    train = [*split.train, *signs.train]
    replayed = replay_rows(recipe, root, len(train), [*rows, *markers], tally)
    marker = recipe.complexity.marker
    write_formatted(context.output / TRAIN, chain((formatted(row, marker) for row in train), replayed))
    write_formatted(context.output / VALID, (formatted(row, marker) for row in [*split.valid, *signs.valid]))
    made = [context.facts_of(name, RowsFacts) for name in context.inputs]
    card = make_card(recipe, split, signs, len(replayed), made, tally)
    write_text(context.output / CARD, card_json(card))
    write_text(context.output / CARD_HTML, card_html(card))
    return DatasetFacts(
        rows=card.rows,
        train=card.train,
        valid=card.valid,
        markers=card.markers,
        replay=card.replay,
        leaks=card.leaks,
        balance=card.figures.balance,
        topics=card.figures.topics,
        levels=card.figures.levels,
        languages=card.figures.languages,
    )


def refuse_duplicates(rows: Sequence[Row], bound: float) -> None:
    """Raise DatasetError that names both places when rows of two categories are nearer than the bound; what is asked again behind a
    draft is meant to say the same."""
    rows = [row for row in rows if not is_refined(row.example)]
    left, right, similarity = near_pairs([row.text for row in rows], bound)
    pairs = zip(left.tolist(), right.tolist(), similarity.tolist(), strict=True)
    same = [f"{rows[j].place} says the same as {rows[i].place} ({alike:.0%} alike)" for i, j, alike in pairs]
    if same:
        raise DatasetError("rows of the dataset say the same" + listed(same), hint="reword or remove one of them")


def marker_rows(recipe: DataRecipe, root: Path, rows: Sequence[Row], tally: Tally) -> list[Row]:
    """Return `dataset.markers` marker-only rows that even out the levels of `rows`.

    Args:
        recipe: the recipe's data settings.
        root: the project's root folder.
        rows: the rows with answers.
        tally: counts what the filters drop.

    Returns:
        The marker rows, level by level.

    Raises:
        DatasetError: too few marker rows pass the filters.
    """
    wanted = recipe.dataset.markers
    if not wanted:
        return []
    levels = [level.name for level in recipe.complexity.levels]
    stock = [row for row in load_markers(recipe, root) if row.example.level in levels]
    sound = apply_checks(stock, row_checks(recipe.complexity, recipe.dataset.allow), tally)
    seeds = distinct(sound, recipe.dataset.similarity, tally)
    own = {level: [row for row in seeds if row.example.level == level] for level in levels}
    if len(seeds) < wanted:
        raise DatasetError(
            f"{wanted} marker rows are wanted and {len(seeds)} were found"
            + "".join(f"\n  {note}" for note in tally.notes()),
            hint=markers_to_write(recipe, root),
        )
    counts = levelled({level: sum(row.example.level == level for row in rows) for level in levels}, own, wanted)
    return [
        row for level in levels for row in sample(own[level], counts[level], recipe.dataset.seed, f"markers/{level}")
    ]


def levelled(present: Mapping[str, int], stock: Mapping[str, Sequence[object]], wanted: int) -> dict[str, int]:
    """Return how many to draw of each kind, always one more of the scarcest that has any left."""
    drawn = dict.fromkeys(present, 0)
    for _ in range(wanted):
        left = [kind for kind in present if drawn[kind] < len(stock[kind])]
        drawn[min(left, key=lambda kind: present[kind] + drawn[kind])] += 1
    return drawn
