"""Which files the data steps read, so that the plan can tell whether one of them changed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from jessyfile.dataset.rows import MARKERS
from jessyfile.dataset.seeds import seed_files
from jessyfile.language.recipe import Recipe
from jessyfile.resources import resource

Files = Callable[[Recipe, Path], Sequence[Path]]


def category_files(name: str) -> Files:
    """Return the function that lists the files of `data.<name>`: the category's seeds, and what tops them up."""

    def files(recipe: Recipe, root: Path) -> Sequence[Path]:
        return seed_files(recipe, root, name)

    return files


def dataset_files(recipe: Recipe, root: Path) -> Sequence[Path]:
    """List what `dataset` reads besides its inputs: marker rows, the suites it must not meet, rows to replay."""
    markers = seed_files(recipe, root, MARKERS) if recipe.dataset.markers else ()
    replay = (replay_file(recipe, root),) if recipe.dataset.replay else ()
    return (*markers, *suite_paths(recipe, root), *replay)


def suite_paths(recipe: Recipe, root: Path) -> tuple[Path, ...]:
    """Return the evaluation suites' files: the recipe's own, the project's and the shipped ones, each once."""
    named = (_first_existing(suite.file, recipe, root) for suite in recipe.evaluation.suites)
    found = [path for path in named if path is not None]
    for folder in (root / "data" / "eval", resource("data", "eval")):
        found += sorted(folder.resolve().glob("*.jsonl"))
    return tuple(dict.fromkeys(found))


def _first_existing(file: str, recipe: Recipe, root: Path) -> Path | None:
    for base in (root, recipe.path.parent, resource("data").parent):
        path = (base / file).resolve()
        if path.is_file():
            return path
    return None


def replay_file(recipe: Recipe, root: Path) -> Path:
    """Return the file of general rows that REPLAY names, from the root or beside the recipe."""
    name = recipe.dataset.replay.file if recipe.dataset.replay else ""
    return _first_existing(name, recipe, root) or root / name
