"""The differences between two recipes, or between two runs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from jessyfile.errors import ProjectError
from jessyfile.planning.canonical import normal
from jessyfile.planning.change_text import Change, change_block, duration, gathered
from jessyfile.planning.formats import require_format
from jessyfile.planning.runs import RESULT, RecordedStep
from jessyfile.results.facts import JudgeFacts
from jessyfile.results.typed_json import read_as

if TYPE_CHECKING:
    from jessyfile.language.recipe import Recipe
    from jessyfile.planning.runs import Run
    from jessyfile.results.typed_json import Record

_NOTHING = object()
# of the facts of a step, those that tell two runs apart for people
_TOLD = ("rows", "updates", "final_loss", "best_validation_loss", "type", "bytes", "agreement", "survival", "cases")


def recipe_differences(old: Recipe, new: Recipe) -> Iterator[str]:
    """Yield a line, or a block of lines, for every value that differs between two recipes; places are the new one's."""
    before, after = normal(old.values(("*",))), normal(new.values(("*",)))
    changes = [
        Change(address, before.get(address), after.get(address), str(new.source(address) or old.source(address) or ""))
        for address in differing(before, after)
    ]
    yield from change_block(gathered(changes))


def run_differences(old: Run, new: Run) -> Iterator[str]:
    """Yield what the recipes of two runs said otherwise and where, then a line for every step whose result differs, and what was measured.

    A run that did not end is compared as far as it got. Raises ProjectError for one that began no step, StateError for one of a newer or
    an older jessy.
    """
    before, after = _steps(old), _steps(new)
    said, says = old.values(), new.values()
    if said is not None and says is not None:
        addresses = differing(said.values, says.values)
        places = {one: says.sources.get(one) or said.sources.get(one) or "" for one in addresses}
        yield from change_block(
            gathered([Change(one, said.values.get(one), says.values.get(one), places[one]) for one in addresses])
        )
    alike, only = [], dict[int, list[str]]()
    for name in [*before, *(name for name in after if name not in before)]:
        one, two = before.get(name), after.get(name)
        if one is None or two is None:
            only.setdefault(old.number if one else new.number, []).append(name)
        elif one.object != two.object:
            lines = list(_step_lines(one, two, told=said is not None and says is not None))
            took = f"{duration(one.seconds)} -> {duration(two.seconds)}"
            if lines or duration(one.seconds) != duration(two.seconds):
                yield from [f"  {name:<16} {took}", *lines]
            else:
                alike.append(name)
    yield from (f"  only in run {number}: {', '.join(names)}" for number, names in only.items())
    if alike:
        yield f"  made again, in the same time: {', '.join(alike)}"


def differing(old: Record, new: Record) -> list[str]:
    """Return the keys whose values differ, sorted."""
    return [key for key in sorted(old.keys() | new.keys()) if old.get(key, _NOTHING) != new.get(key, _NOTHING)]


def _step_lines(one: RecordedStep, two: RecordedStep, *, told: bool) -> Iterator[str]:
    if not told:
        yield from _changes(one.parameters, two.parameters)
    yield from _changes(*({key: step.facts.get(key) for key in _TOLD} for step in (one, two)))
    if one.name == "judge" and one.facts and two.facts:
        before, after = (read_as(JudgeFacts, step.facts, "the record of `judge`").spelled() for step in (one, two))
        yield from _changes(before, after)


def _changes(old: Record, new: Record) -> Iterator[str]:
    pairs = ((key, old.get(key), new.get(key)) for key in differing(old, new))
    simple = [pair for pair in pairs if not isinstance(pair[1], dict | list) and not isinstance(pair[2], dict | list)]
    yield from change_block(Change(key, before, after, None) for key, before, after in simple)


def _steps(run: Run) -> dict[str, RecordedStep]:
    result = run.result()
    if result is not None:
        require_format("run", {"format": result.format}, f".jessy/runs/{run.number}/{RESULT}")
        return {step.name: step for step in result.steps}
    events = list(run.events())
    if not events:
        raise ProjectError(f"run {run.number} did not end", hint="`jessy history` shows which did")
    return {
        event.step: RecordedStep(event.step, event.event, event.object, {}, event.seconds, event.peak, {})
        for event in events
        if event.object and event.event.startswith("step_")
    }
