"""How well the prompt's length alone would predict the level. The report shows it beside iteration efficiency: a
model that does no better has learned length."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations_with_replacement
from typing import TYPE_CHECKING

from jessyfile.evaluation.metrics import CONFIDENCE, Measurement
from jessyfile.evaluation.statistics import wilson

if TYPE_CHECKING:
    from jessyfile.evaluation.cases import Case
    from jessyfile.language.recipe import Complexity

_SUITE = "iteration_control"


def level_by_length(cases: Sequence[Case], complexity: Complexity) -> Measurement:
    """Return how many levels of the iteration control suite (of all cases without it) cuts of the prompt's length hit.

    The cuts are the best for these very cases, which is as generous to the heuristic as can be: a model that
    does no better has learned length, not complexity.
    """
    names = [level.name for level in complexity.levels]
    own = [case for case in cases if case.suite == _SUITE] or cases
    known = [case for case in own if case.level in names]
    if not known or not names:
        return Measurement("level_by_prompt_length", "share", None, 0)
    outcomes = max(
        (_outcomes(known, names, cuts) for cuts in combinations_with_replacement(_candidates(known), len(names) - 1)),
        key=lambda found: sum(found.values()),
    )
    n, passed = len(outcomes), sum(outcomes.values())
    low, high = wilson(passed, n, CONFIDENCE)
    return Measurement("level_by_prompt_length", "share", passed / n, n, low, high, outcomes)


def _candidates(cases: Sequence[Case]) -> list[int]:
    """Return lengths to cut at: every twentieth of the sorted lengths, which is as fine as these numbers bear."""
    lengths = sorted(len(case.prompt) for case in cases)
    return sorted({lengths[len(lengths) * part // 20] for part in range(20)} | {lengths[-1] + 1})


def _outcomes(cases: Sequence[Case], names: Sequence[str], cuts: Sequence[int]) -> dict[str, bool]:
    return {case.id: names[sum(len(case.prompt) >= cut for cut in cuts)] == case.level for case in cases}
