"""Checks of the suites and the judge before anything runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from jessyfile.dataset.supply import unanswered
from jessyfile.errors import EvaluationError
from jessyfile.evaluation.suite_inputs import even_sample, suite_path
from jessyfile.planning.consent import judge_sends
from jessyfile.planning.preflight import Finding
from jessyfile.resources import resource
from jessyfile.text.json_lines import Line, read_jsonl

if TYPE_CHECKING:
    from pathlib import Path

    from jessyfile.language.recipe import Recipe, Suite
    from jessyfile.planning.preflight import Outlook


def suites_preflight(outlook: Outlook) -> Iterator[Finding]:
    """Yield suites that cannot be read, hold no case, or hold fewer than their limit."""
    yield from outlook.once(_suites)


def _suites(outlook: Outlook) -> list[Finding]:
    recipe, found, ids = outlook.recipe, list[Finding](), Counter[str]()
    for suite in recipe.evaluation.suites:
        at = f"eval.suite.{suite.name}"
        try:
            names = _case_ids(suite, recipe, outlook.root)
        except EvaluationError as error:
            found.append(outlook.error(error, at))
            continue
        ids.update(even_sample(names, suite.limit))
        if suite.limit is not None and len(names) < suite.limit:
            message = f"the suite `{suite.name}` holds {len(names)} cases, fewer than its limit of {suite.limit}"
            short = EvaluationError(message, hint="lower the limit, or write more cases")
            found.append(outlook.warning(short, f"{at}.limit"))
    twice = [name for name, times in ids.items() if times > 1]
    if twice:
        same = EvaluationError(
            f"{ids[twice[0]]} cases are called `{twice[0]}`", hint="give every case an id of its own"
        )
        found.append(outlook.error(same, "eval"))
    return found


def _case_ids(suite: Suite, recipe: Recipe, root: Path) -> list[str]:
    """Return the ids of a suite's cases. The cases that come with jessy are right; others are held against the schema."""
    path = suite_path(suite, recipe, root)
    if path.is_relative_to(resource("data").resolve()):
        return [str(item.value["id"]) for item in read_jsonl(path, path.name) if isinstance(item, Line)]
    from jessyfile.evaluation.cases import load_suite

    return [case.id for case in load_suite(replace(suite, limit=None), recipe, root)]


def judge_preflight(outlook: Outlook) -> Iterator[Finding]:
    """Yield a judge that was allowed and cannot be asked. It decides nothing, so nothing stops for it."""
    judge = outlook.recipe.evaluation.judge
    if judge is None or not outlook.network or not all(one.is_allowed() for one in judge_sends(outlook.recipe)):
        return
    reason = unanswered(judge.url, judge.key_env)
    if reason is not None:
        hint = "without it the verdict has no opinion beside it; nothing else changes"
        silent = EvaluationError(f"the judge at {judge.url} cannot be asked: {reason}", hint=hint)
        yield outlook.warning(silent, "eval.judge.url")
