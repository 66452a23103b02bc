"""Checks of the suites and the judge before anything runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from jessyfile.dataset.supply import unanswered
from jessyfile.errors import ContextFullError, EvaluationError
from jessyfile.evaluation.suite_inputs import even_sample, suite_path, trained_cases
from jessyfile.planning.consent import judge_sends
from jessyfile.planning.preflight import Finding
from jessyfile.resources import resource
from jessyfile.retrieval.shares import known_to_start
from jessyfile.text.json_lines import read_shipped

if TYPE_CHECKING:
    from pathlib import Path

    from jessyfile.language.recipe import Recipe, Suite
    from jessyfile.planning.preflight import Outlook

_CHARACTERS = 3  # of a token, about: nothing is tokenized before work begins


def suites_preflight(outlook: Outlook) -> Iterator[Finding]:
    """Yield suites that cannot be read, hold no case or fewer than their limit, and cases that the context window hardly holds."""
    yield from outlook.once(_suites)


def columns_preflight(outlook: Outlook) -> Iterator[Finding]:
    """Yield which three models will stand side by side, and behind which rows the middle one is asked."""
    recipe, known = outlook.recipe, known_to_start(outlook.recipe)
    new = ", ".join(one.name for one in recipe.dataset.categories if one.name not in known)
    behind = f" behind the rows that it knows, those of {new} left out" if known and new else ""
    start = f"start (with {recipe.adapter}{behind})"
    said = (
        f"three columns: base ({recipe.base} untouched, asked bare), {start}, candidate (after the rows of this recipe)"
    )
    yield Finding("note", "", outlook.step, said)


def _suites(outlook: Outlook) -> list[Finding]:
    recipe, found, ids, sizes = outlook.recipe, list[Finding](), Counter[str](), list[int]()
    asked: dict[str, int] = {}
    for suite in recipe.evaluation.suites:
        at = f"eval.suite.{suite.name}"
        try:
            cases = _sizes(suite, recipe, outlook.root)
        except EvaluationError as error:
            found.append(outlook.error(error, at))
            continue
        answered = even_sample(cases, suite.limit)
        asked[suite.name] = len(answered)
        ids.update(name for name, _ in answered)
        sizes += [size for _, size in answered]
        if suite.limit is not None and len(cases) < suite.limit:
            message = f"the suite `{suite.name}` holds {len(cases)} cases, fewer than its limit of {suite.limit}"
            short = EvaluationError(message, hint="lower the limit, or write more cases")
            found.append(outlook.warning(short, f"{at}.limit"))
    twice = [name for name, times in ids.items() if times > 1]
    if twice:
        same = EvaluationError(
            f"{ids[twice[0]]} cases are called `{twice[0]}`", hint="give every case an id of its own"
        )
        found.append(outlook.error(same, "eval"))
    return [*found, *_unnamed(outlook, asked), *_too_long(outlook, sizes)]


def _unnamed(outlook: Outlook, asked: Mapping[str, int]) -> Iterator[Finding]:
    """Yield which suites are answered, and how many cases they are, where the recipe names none."""
    if not outlook.machine or any(name.startswith("eval.suite.") for name in outlook.recipe.sources):
        return
    cases, suites = sum(asked.values()), ", ".join(f"{name} {count}" for name, count in asked.items())
    said = (
        f"no SUITE is written, so {cases} cases of the suites that come with jessy are asked, of both models: {suites}"
    )
    hint = "name those you want, as in `SUITE turkish { limit 20 }`, or a file of your own"
    yield Finding("note", "", outlook.step, said, hint)


def _too_long(outlook: Outlook, sizes: Sequence[int]) -> Iterator[Finding]:
    """Yield a warning where conversations of so many characters are likely to be longer than the context window."""
    recipe = outlook.recipe
    window = next((int(one.value) for one in recipe.parameters if one.key == "num_ctx"), None) or _window_unasked()
    before = len(recipe.system or "") + sum(len(message.content) for message in recipe.messages)
    long = [tokens for size in sizes if (tokens := (before + size) // _CHARACTERS) > window]
    if long:
        message = (
            f"num_ctx {window} is too small for {len(long)} of {len(sizes)} cases, which will fail unasked: "
            f"the longest has about {max(long)} tokens, estimated at {_CHARACTERS} characters each"
        )
        full = ContextFullError(message, hint="raise PARAMETER num_ctx, or leave those cases out")
        yield outlook.warning(full, "parameter.num_ctx")


def _window_unasked() -> int:
    from jessyfile.engines.engine import GenerationSettings

    return GenerationSettings().num_ctx


def _sizes(suite: Suite, recipe: Recipe, root: Path) -> list[tuple[str, int]]:
    """Return the id of each of a suite's cases with the characters of its conversation. The cases that come with jessy are right; others
    are held against the schema."""
    path = suite_path(suite, recipe, root)
    said: list[tuple[str, ...]]
    if path.is_relative_to(resource("data").resolve()):
        lines = read_shipped(path)
        trained = trained_cases(path, recipe)
        said = [
            (one["id"], one["prompt"], *(turn["content"] for turn in one.get("turns", ())))
            for one in lines
            if one["id"] not in trained
        ]
    else:
        from jessyfile.evaluation.cases import load_suite

        cases = load_suite(replace(suite, limit=None), recipe, root)
        said = [(case.id, case.prompt, *(turn.content for turn in case.turns)) for case in cases]
    return [(name, sum(map(len, texts))) for name, *texts in said]


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
