"""Which shares of the training rows stand without their own row, and how much longer neighbours make them. Light: a plan reads it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jessyfile.retrieval.questions import asked_about

if TYPE_CHECKING:
    from jessyfile.language.recipe import Recipe, Retrieve

LEFT_OUT = 0.15  # of the rows that stand behind others: those whose own is left out
NOT_THERE = 0.25  # of the questions to documents that stand behind passages: those whose own is left out


def trains_questions(retrieve: Retrieve | None) -> bool:
    """Return whether questions to documents are trained."""
    return bool(retrieve and retrieve.documents and retrieve.questions)


def trains_documents(retrieve: Retrieve | None) -> bool:
    """Return whether rows that are trained hold passages of the documents that are served: of questions that bring their own, none do."""
    return trains_questions(retrieve) and retrieve is not None and not asked_about(retrieve.questions or "").documents


def rows_read(retrieve: Retrieve | None) -> float:
    """Return how many rows a training reads for each that it learns, itself among them: a neighbour is as long as a row, on average."""
    return 1 + (1 - retrieve.alone) * retrieve.examples if retrieve is not None else 1.0


def known_to_start(recipe: Recipe) -> frozenset[str]:
    """Return the categories whose rows the model knows that training starts from: those of which only a share is learned again.

    None without examples of RETRIEVE, where no row stands before a question.
    """
    known = (category.name for category in recipe.dataset.categories if category.learn < 1)
    return frozenset(known) if recipe.retrieve is not None and recipe.retrieve.examples else frozenset()
