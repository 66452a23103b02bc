"""Reading a recipe's hand-written rows."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from jessyfile.dataset.places import MARKERS, seed_files, shown_path
from jessyfile.dataset.rows import Row, load_rows
from jessyfile.text.json_lines import Fault, raise_faults

if TYPE_CHECKING:
    from jessyfile.dataset.settings import DataRecipe


def load_seeds(recipe: DataRecipe, root: Path, category: str) -> list[Row]:
    """Read a category's seeds; every fault of every file is reported at once as one DatasetError.

    A topic's rows are those of the nearest folder that has any, whatever the files there are called.
    """
    rows: list[Row] = []
    faults: list[Fault] = []
    for _, files in groupby(seed_files(recipe, root, category), key=lambda path: path.parent):
        found, wrong = load_rows([(path, shown_path(path, root)) for path in files])
        known = {row.example.topic for row in rows}
        rows += [row for row in found if row.example.topic not in known]
        faults += wrong
    raise_faults(faults, f"the seeds of `{category}` are malformed")
    return rows


def load_markers(recipe: DataRecipe, root: Path) -> list[Row]:
    """Read the marker-only rows: a question and its level."""
    return load_seeds(recipe, root, MARKERS)
