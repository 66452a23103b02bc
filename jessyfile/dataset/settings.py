"""The part of a recipe that the data steps need. Callers without a Jessyfile can give it too."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from jessyfile.language.build import default_complexity
from jessyfile.language.recipe import Augment, Category, Complexity, Dataset, Evaluation, Teacher


class DataRecipe(Protocol):
    """The parts of a recipe that decide its rows; `language.recipe.Recipe` has them all."""

    @property
    def dataset(self) -> Dataset:
        """What to learn from."""

    @property
    def complexity(self) -> Complexity:
        """Levels, their bands of iterations, the marker."""

    @property
    def evaluation(self) -> Evaluation:
        """The suites that no row may give away."""

    @property
    def path(self) -> Path:
        """The recipe's file; relative paths are looked up beside it too."""


@dataclass(frozen=True, slots=True)
class PlainRecipe:
    """A `DataRecipe` made in code."""

    dataset: Dataset
    complexity: Complexity
    evaluation: Evaluation
    path: Path


def plain_recipe(
    root: Path,
    *categories: Category,
    seed: int = 42,
    similarity: float = 0.85,
    augment: Augment | None = None,
    teacher: Teacher | None = None,
) -> PlainRecipe:
    """Return a recipe for data alone, with the default levels, no marker and no suites of its own.

    Args:
        root: the project's root folder.
        *categories: the categories to make.
        seed: the seed of every random choice.
        similarity: two rows are near duplicates above this similarity, from 0 to 1.
        augment: shares of rewritten rows; None rewrites none.
        teacher: the model that writes missing rows, or None.

    Returns:
        What the functions of this package take for a recipe.
    """
    dataset = Dataset(seed, 0.1, "", 0, similarity, categories, augment or Augment(), teacher, None)
    levels = default_complexity().levels
    return PlainRecipe(dataset, Complexity(levels, None), Evaluation((), None, (), None, 256), root / "recipe.jessy")
