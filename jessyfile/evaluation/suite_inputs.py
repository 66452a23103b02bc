"""Which suites a recipe answers, and where their files lie. Light on purpose: the plan reads it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from jessyfile.dataset.places import existing_file, reference_paths, suite_paths
from jessyfile.errors import EvaluationError
from jessyfile.language.metric_table import thought_levels
from jessyfile.language.project_files import cases_of_split
from jessyfile.language.recipe import Recipe, Suite
from jessyfile.language.suggest import help_for

T = TypeVar("T")
TIMED = 60  # of a level: a 95th percentile has an upper bound from 59 on


def suite_path(suite: Suite, recipe: Recipe, root: Path) -> Path:
    """Return a suite's file: from the root, beside the recipe, or shipped. Raises EvaluationError without one."""
    path = existing_file(suite.file, recipe, root)
    if path is not None:
        return path
    known = {found.stem for found in suite_paths(recipe, root)}
    hint = help_for(suite.name, known, "suite", 'name its file: SUITE name "cases.jsonl"')
    raise EvaluationError(f"the suite `{suite.name}` has no file `{suite.file}`", hint=hint)


def suite_files(recipe: Recipe, root: Path) -> Sequence[Path]:
    """Return every suite's file, as the fingerprint wants them. Raises EvaluationError when one is missing."""
    return tuple(suite_path(suite, recipe, root) for suite in recipe.evaluation.suites)


def reference_path(suite: Suite, recipe: Recipe, root: Path) -> Path | None:
    """Return where a suite's reference answers lie: `references/mine.jsonl` beside `mine.jsonl`; None where there are none."""
    try:
        path = suite_path(suite, recipe, root)
    except EvaluationError:
        return None
    return next(iter(reference_paths([path])), None)


def reference_files(recipe: Recipe, root: Path) -> Sequence[Path]:
    """Return the files of reference answers that the recipe's suites have."""
    found = (reference_path(suite, recipe, root) for suite in recipe.evaluation.suites)
    return tuple(path for path in found if path is not None)


def reference_inputs(recipe: Recipe, root: Path) -> Sequence[Path]:
    """Return what is read to measure by reference answers: these, and the suites."""
    return (*suite_files(recipe, root), *reference_files(recipe, root))


def trained_cases(path: Path, recipe: Recipe) -> frozenset[str]:
    """Return the ids of a suite's cases whose reference answers PREFER trains: a score on these would measure memory."""
    return cases_of_split(path, recipe.prefer.references if recipe.prefer else None)


def no_references(recipe: Recipe) -> EvaluationError:
    """Return the error for a recipe that answers no case with references in the split that it measures."""
    split = recipe.evaluation.contrast
    return EvaluationError(
        f"no case that is answered has reference answers in the split `{split}`",
        hint="answer more cases of a suite, or write `contrast none` in EVAL",
    )


def reference_bytes(recipe: Recipe, root: Path) -> float:
    """Return about how large the reference answers are whose cases are answered: reading them takes the longer the more there is."""
    total = 0.0
    for suite in recipe.evaluation.suites:
        path = reference_path(suite, recipe, root)
        if path is not None:
            data = path.read_bytes()
            total += len(data) * min(1.0, (suite.limit or len(data)) / max(1, data.count(b"\n")))
    return total


def loop_generations(recipe: Recipe, root: Path) -> float:
    """Return about how many generations the loops are that criteria time: at most so many cases of each level as are timed, each with the
    iterations in the middle of its band."""
    levels, total = thought_levels(one.metric for one in recipe.evaluation.criteria), 0.0
    texts = [suite_path(suite, recipe, root).read_bytes() for suite in recipe.evaluation.suites]
    for level in recipe.complexity.levels:
        if level.name in levels:
            named = re.compile(rb'"level"\s*:\s*"' + level.name.encode() + b'"')
            total += min(TIMED, sum(len(named.findall(text)) for text in texts)) * sum(level.iterations) / 2
    return total


def even_sample(cases: Sequence[T], limit: int | None) -> list[T]:
    """Return at most `limit` cases, spread evenly over the file; the same ones every time."""
    if limit is None or limit >= len(cases):
        return list(cases)
    return [cases[number * len(cases) // limit] for number in range(limit)]
