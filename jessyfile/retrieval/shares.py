"""Which shares of the training rows stand bare and without their own row, and how much longer neighbours make them. Light: a plan reads it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jessyfile.language.recipe import Recipe, Retrieve

BARE, LEFT_OUT = 0.2, 0.12


def rows_read(retrieve: Retrieve | None) -> float:
    """Return how many rows a training reads for each that it learns, itself among them: a neighbour is as long as a row, on average."""
    return 1 + (1 - BARE) * retrieve.examples if retrieve is not None else 1.0


def known_to_start(recipe: Recipe) -> frozenset[str]:
    """Return the categories whose rows the model knows that training starts from: those of which only a share is learned again.

    None without RETRIEVE, where no row stands before a question.
    """
    known = (category.name for category in recipe.dataset.categories if category.learn < 1)
    return frozenset(known) if recipe.retrieve is not None else frozenset()
