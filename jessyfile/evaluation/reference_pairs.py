"""Reference answers as preferences: a good answer to a case beside a bad one, for PREFER's `references`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

from jessyfile.dataset.example import Turn
from jessyfile.dataset.places import shown_path
from jessyfile.dataset.preferences import Preference, preference_faults
from jessyfile.evaluation.cases import read_cases
from jessyfile.evaluation.references import suite_references
from jessyfile.evaluation.suite_inputs import reference_path, suite_path

if TYPE_CHECKING:
    from pathlib import Path

    from jessyfile.evaluation.cases import Case
    from jessyfile.evaluation.references import References
    from jessyfile.language.recipe import Complexity, Recipe, Suite


def reference_pairs(recipe: Recipe, root: Path) -> list[Preference]:
    """Return the pairs that PREFER takes from the recipe's suites, none unless it asks for them: each bad answer of the split
    once, beside the least used good one of its case, of these the nearest in length. Those that no file may hold are left out,
    as a case of thousands of characters.

    Raises EvaluationError for references that have mistakes.
    """
    split = recipe.prefer.references if recipe.prefer else None
    if split is None:
        return []
    found = (pair for suite in recipe.evaluation.suites for pair in _of_suite(suite, recipe, root, split))
    return [pair for pair in found if not any(preference_faults(pair, recipe.complexity, recipe.dataset.allow))]


def _of_suite(suite: Suite, recipe: Recipe, root: Path, split: str) -> Iterator[Preference]:
    references = reference_path(suite, recipe, root)
    if references is None:
        return
    cases = {case.id: case for case in read_cases(suite_path(suite, recipe, root))[0]}
    for line, one in enumerate(suite_references(suite, recipe, root), start=1):
        if one.split == split and one.case in cases:
            yield from _pairs(cases[one.case], one, recipe.complexity, f"{shown_path(references, root)}:{line}")


def _pairs(case: Case, references: References, complexity: Complexity, place: str) -> Iterator[Preference]:
    bands = {level.name: level.iterations for level in complexity.levels}
    level = case.level if case.level in bands else None
    taken: Counter[str] = Counter()
    for answer in (answer for answers in references.bad.values() for answer in answers):
        chosen = min(references.good, key=lambda good: (taken[good], abs(len(good) - len(answer))))
        taken[chosen] += 1
        yield Preference(
            messages=(*case.turns, Turn("user", case.prompt.strip())),
            chosen=chosen,
            rejected=answer,
            level=level,
            iterations=sum(bands[level]) // 2 if level else None,
            source="references",
            place=place,
        )
