"""Which suites a recipe answers, and where their files lie. Light on purpose: the plan reads it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from jessyfile.dataset.places import existing_file
from jessyfile.errors import EvaluationError
from jessyfile.language.recipe import Recipe, Suite

T = TypeVar("T")


def suite_path(suite: Suite, recipe: Recipe, root: Path) -> Path:
    """Return a suite's file: from the root, beside the recipe, or shipped. Raises EvaluationError without one."""
    path = existing_file(suite.file, recipe, root)
    if path is not None:
        return path
    raise EvaluationError(
        f"the suite `{suite.name}` has no file `{suite.file}`", hint='name its file: SUITE name "cases.jsonl"'
    )


def suite_files(recipe: Recipe, root: Path) -> Sequence[Path]:
    """Return every suite's file, as the fingerprint wants them. Raises EvaluationError when one is missing."""
    return tuple(suite_path(suite, recipe, root) for suite in recipe.evaluation.suites)


def even_sample(cases: Sequence[T], limit: int | None) -> list[T]:
    """Return at most `limit` cases, spread evenly over the file; the same ones every time."""
    if limit is None or limit >= len(cases):
        return list(cases)
    return [cases[number * len(cases) // limit] for number in range(limit)]
