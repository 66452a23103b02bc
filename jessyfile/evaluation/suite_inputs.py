"""Which suites a recipe answers, and where their files lie. Light on purpose: the plan reads it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from jessyfile.dataset.places import existing_file
from jessyfile.errors import EvaluationError
from jessyfile.language.recipe import Recipe, Suite


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
