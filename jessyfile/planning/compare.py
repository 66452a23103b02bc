"""The differences between two recipes, or between two runs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from jessyfile.errors import ProjectError
from jessyfile.planning.canonical import normal
from jessyfile.planning.change_text import Change, change_block, duration, gathered
from jessyfile.planning.formats import require_format
from jessyfile.planning.runs import RESULT
from jessyfile.results.facts import JudgeFacts
from jessyfile.results.typed_json import read_as

if TYPE_CHECKING:
    from jessyfile.language.recipe import Recipe
    from jessyfile.planning.runs import RecordedStep, Run
    from jessyfile.results.typed_json import Record

_NOTHING = object()


def recipe_differences(old: Recipe, new: Recipe) -> Iterator[str]:
    """Yield a line, or a block of lines, for every value that differs between two recipes; places are the new one's."""
    before, after = normal(old.values(("*",))), normal(new.values(("*",)))
    changes = [
        Change(address, before.get(address), after.get(address), str(new.source(address) or old.source(address) or ""))
        for address in differing(before, after)
    ]
    yield from change_block(gathered(changes))


def run_differences(old: Run, new: Run) -> Iterator[str]:
    """Yield lines for every step whose result differs between two runs: its values, then its measures.

    Raises ProjectError for a run that did not end, StateError for one of a newer or an older jessy.
    """
    before, after = _steps(old), _steps(new)
    for name in [*before, *(name for name in after if name not in before)]:
        one, two = before.get(name), after.get(name)
        if one is None or two is None:
            yield f"  {name:<16} only in run {old.number if one else new.number}"
        elif one.object != two.object:
            yield f"  {name:<16} {duration(one.seconds)} -> {duration(two.seconds)}"
            yield from _step_lines(one, two)


def differing(old: Record, new: Record) -> list[str]:
    """Return the keys whose values differ, sorted."""
    return [key for key in sorted(old.keys() | new.keys()) if old.get(key, _NOTHING) != new.get(key, _NOTHING)]


def _step_lines(one: RecordedStep, two: RecordedStep) -> Iterator[str]:
    yield from _changes(one.parameters, two.parameters, "")
    yield from _changes(one.facts, two.facts, "(measured)")
    if one.name == "judge":
        before, after = (read_as(JudgeFacts, step.facts, "the record of `judge`").spelled() for step in (one, two))
        yield from _changes(before, after, "(measured)")


def _changes(old: Record, new: Record, note: str) -> Iterator[str]:
    for key in differing(old, new):
        before, after = old.get(key), new.get(key)
        if not isinstance(before, dict | list) and not isinstance(after, dict | list):
            yield from change_block([Change(key, before, after, note)])


def _steps(run: Run) -> dict[str, RecordedStep]:
    result = run.result()
    if result is None:
        raise ProjectError(f"run {run.number} did not end", hint="`jessy history` shows which did")
    require_format("run", {"format": result.format}, f".jessy/runs/{run.number}/{RESULT}")
    return {step.name: step for step in result.steps}
