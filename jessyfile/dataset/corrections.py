"""The corrections that a person accepted: rows besides a category's count, in place of whatever asks the same.

They lie in `data/feedback/<category>.jsonl`, written by `jessy feedback accept` alone, and carry a tag by which they are known: each is
trained, none is held out for validation, whatever share of its category is learned.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from jessyfile.dataset.filters import Dropped, Tally
from jessyfile.dataset.leaks import asked_by
from jessyfile.dataset.places import correction_files, shown_path
from jessyfile.dataset.rows import Row, load_rows
from jessyfile.dataset.similarity import cross_pairs
from jessyfile.text.json_lines import raise_faults

if TYPE_CHECKING:
    from jessyfile.dataset.settings import DataRecipe

CORRECTION = "correction"


def load_corrections(recipe: DataRecipe, root: Path) -> list[Row]:
    """Return the corrections that the recipe's FEEDBACK takes. Raises DatasetError for a file that is malformed."""
    rows, faults = load_rows([(path, shown_path(path, root)) for path in correction_files(recipe, root)])
    raise_faults(
        faults, "the corrections are malformed", hint="`jessy feedback accept` writes them; edit no line by hand"
    )
    return rows


def is_correction(row: Row) -> bool:
    """Whether a row is a correction that a person accepted."""
    return CORRECTION in row.example.tags


def without_corrected(rows: Sequence[Row], corrections: Sequence[Row], bound: float, tally: Tally) -> list[Row]:
    """Return the rows that ask nothing which a correction answers; the others are counted as corrected.

    Args:
        rows: the rows.
        corrections: what people said in their place.
        bound: from which likeness on two questions are one.
        tally: counts what is left out.
    """
    told = [(index, text) for index, row in enumerate(corrections) for text in asked_by(row.example)]
    asked = [(index, text) for index, row in enumerate(rows) for text in asked_by(row.example)]
    if not told or not asked:
        return list(rows)
    left, right, _ = cross_pairs([text for _, text in asked], [text for _, text in told], bound)
    places = {asked[one][0]: told[other][0] for one, other in zip(left.tolist(), right.tolist(), strict=True)}
    for index, other in sorted(places.items()):
        tally.add(Dropped(rows[index], "corrected", f"is answered anew by {corrections[other].place}"))
    return [row for index, row in enumerate(rows) if index not in places]
