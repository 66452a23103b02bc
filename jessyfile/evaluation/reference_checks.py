"""Checks of reference answers before anything runs. Light on purpose: the plan asks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from jessyfile.errors import EvaluationError
from jessyfile.evaluation.suite_inputs import (
    even_sample,
    no_references,
    reference_files,
    reference_path,
    trained_cases,
)
from jessyfile.language.metric_table import needs_references
from jessyfile.resources import is_shipped
from jessyfile.text.json_lines import Line, read_jsonl

if TYPE_CHECKING:
    from pathlib import Path

    from jessyfile.language.recipe import Recipe, Suite
    from jessyfile.planning.preflight import Finding, Outlook


def are_measured(recipe: Recipe, root: Path) -> bool:
    """Return whether the recipe measures by references: a criterion asks for them, or a case has some in the split of `contrast`."""
    if recipe.evaluation.contrast is None:
        return False
    if any(needs_references(criterion.metric) for criterion in recipe.evaluation.criteria):
        return bool(reference_files(recipe, root))
    known = (suite for suite in recipe.evaluation.suites if reference_path(suite, recipe, root) is not None)
    return any(suite.limit is None or _measures(suite, recipe, root) for suite in known)


def references_preflight(outlook: Outlook) -> Iterator[Finding]:
    """Yield reference answers that cannot be read, and a recipe that answers no case that has any."""
    yield from outlook.once(_references)


def _references(outlook: Outlook) -> list[Finding]:
    recipe = outlook.recipe
    found: list[Finding] = []
    for suite in recipe.evaluation.suites:
        path = reference_path(suite, recipe, outlook.root)
        try:
            if path is not None and not is_shipped(path):  # those that come with jessy are right
                _read(suite, recipe, outlook.root)
        except EvaluationError as error:
            found.append(outlook.error(error, f"eval.suite.{suite.name}"))
    if not found and not any(_measures(suite, recipe, outlook.root) for suite in recipe.evaluation.suites):
        found.append(outlook.error(no_references(recipe), "eval.contrast"))
    return found


def _read(suite: Suite, recipe: Recipe, root: Path) -> None:
    from jessyfile.evaluation.references import suite_references

    suite_references(suite, recipe, root)


def _measures(suite: Suite, recipe: Recipe, root: Path) -> bool:
    """Return whether a case of a suite that is answered has references in the split that is measured."""
    path = reference_path(suite, recipe, root)
    if path is None:
        return False
    splits = {str(line.get("case")): line.get("split") for line in _objects(path)}
    suite_file = path.parent.parent / path.name
    trained = trained_cases(suite_file, recipe)
    names = [name for name in (str(line.get("id")) for line in _objects(suite_file)) if name not in trained]
    answered = even_sample(names, suite.limit)
    return any(splits.get(case) == recipe.evaluation.contrast for case in answered)


def _objects(path: Path) -> Iterator[Mapping[str, object]]:
    return (item.value for item in read_jsonl(path) if isinstance(item, Line))


def metrics_preflight(outlook: Outlook) -> Iterator[Finding]:
    """Yield criteria that need reference answers where no suite has any."""
    recipe = outlook.recipe
    if recipe.evaluation.contrast is None or reference_files(recipe, outlook.root):
        return
    for criterion in recipe.evaluation.criteria:
        if needs_references(criterion.metric):
            missing = EvaluationError(
                f"`{criterion.metric}` is measured by reference answers, and no suite of this recipe has any",
                hint="write some (docs/evaluation.md says where), or delete the criterion",
            )
            yield outlook.error(missing, f"eval.criterion.{criterion.metric}")
