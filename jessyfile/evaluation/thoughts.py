"""The step `think`: the whole loop over the cases of those levels that a criterion asks `thinking.LEVEL` of, one at a time.

Answers of `evaluate` are single ones; here each case gets the iterations that its marker says, through the loop that serves.
Each is kept as soon as it is there, so that an interrupted run loses one at most. The recipe's own model thinks: ROUTE sends
no question of a suite elsewhere.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from jessyfile.engines.serving import engine_of, loaded, served_model
from jessyfile.errors import ContextFullError, EngineError, Interrupted, StateError
from jessyfile.evaluation.answers import conversation, timed_cases
from jessyfile.evaluation.suite_inputs import TIMED
from jessyfile.fsops import append_line
from jessyfile.language.metric_table import thought_levels
from jessyfile.language.recipe import Message
from jessyfile.planning.canonical import digest
from jessyfile.results.facts import ImportFacts, ThinkFacts
from jessyfile.results.typed_json import read_as
from jessyfile.text.json_lines import read_log, write_jsonl
from jessyfile.text.printable import json_text

if TYPE_CHECKING:
    from jessyfile.evaluation.cases import Case
    from jessyfile.export.registry import Registration
    from jessyfile.language.recipe import Recipe
    from jessyfile.planning.steps import StepContext
    from jessyfile.thinking.thinker import Thinker
    from jessyfile.thinking.thought import Thought

THOUGHTS = "thoughts.jsonl"
_KEPT = "kept.jsonl"


@dataclass(frozen=True, slots=True)
class LoopTaken:
    """What the loop took over one case: `iterations` spent of those `asked`, why it ended, and its seconds of wall time, with the first
    draft's first token. `model` is the digest of who thought, `put` that of what it was asked.
    """

    id: str
    level: str
    asked: int
    iterations: int
    ended: str
    seconds: float
    first_token_seconds: float | None
    model: str
    put: str


def thought_cases(recipe: Recipe, cases: Sequence[Case]) -> list[Case]:
    """Return the cases of those levels that are thought about: as many as are timed of each."""
    levels = thought_levels(one.metric for one in recipe.evaluation.criteria)
    return timed_cases([case for case in cases if case.level in levels], TIMED)


def run_think(context: StepContext) -> ThinkFacts:
    """Think about the cases with NAME:candidate. Raises EngineError, EvaluationError, DamagedError, Interrupted."""
    from jessyfile.engines.promoted import Registered
    from jessyfile.evaluation.cases import load_suites
    from jessyfile.thinking.route import Deadline
    from jessyfile.thinking.thinker import thinker_of

    entry = replace(_candidate(context), routes=())
    model = served_model(entry, context.recipe.evaluation.max_tokens)
    cases, kept, deadline = (
        thought_cases(context.recipe, load_suites(context.recipe, context.root)),
        context.work / _KEPT,
        Deadline(),
    )
    done = {one.put: one for one in read_loops(kept) if one.model == entry.digest}
    engine = engine_of(entry, deadline)
    with loaded(engine, model) as seconds:
        engine.chat(
            [Message("user", cases[0].prompt)], replace(model.settings, max_tokens=1)
        )  # no loop pays for the first
        thinker = thinker_of(context.root, Registered(entry, context.recipe.complexity), engine, model, deadline)
        for number, case in enumerate(cases):
            context.progress.update(number, len(cases), text=case.id)
            put = digest(conversation(case, context.recipe.complexity))
            if put not in done:
                done[put] = _taken(thinker, case, context.recipe, put)
                append_line(kept, json_text(asdict(done[put])))
            if context.stop.requested():
                raise Interrupted("stopped between two thoughts; those finished are kept")
    taken = [replace(done[digest(conversation(case, context.recipe.complexity))], id=case.id) for case in cases]
    write_jsonl(context.output / THOUGHTS, map(asdict, taken))
    whole = sum(one.iterations == one.asked for one in taken)
    return ThinkFacts(engine.name, model.name, len(taken), whole, round(seconds, 3), len(taken), entry.digest)


def _candidate(context: StepContext) -> Registration:
    from jessyfile.export.registry import CANDIDATE, check_answering, lookup

    entry = lookup(context.root, context.recipe.name, CANDIDATE)
    if entry is None or entry.digest != context.facts_of("import", ImportFacts).digest:
        raise EngineError(f"`{context.recipe.name}:candidate` is not what was imported", hint="run `jessy apply` again")
    check_answering(context.root, entry, context.stop)
    return entry


def _taken(thinker: Thinker, case: Case, recipe: Recipe, put: str) -> LoopTaken:
    try:
        thought: Thought | None = thinker.answer(conversation(case, recipe.complexity))
    except ContextFullError:
        thought = None
    if thought is None:
        return LoopTaken(case.id, case.level, 1, 0, "room", 0.0, None, thinker.digest, put)
    first = None if thought.first_token_seconds is None else round(thought.first_token_seconds, 4)
    return LoopTaken(
        id=case.id,
        level=case.level,
        asked=thought.asked,
        iterations=thought.iterations,
        ended=thought.ended,
        seconds=round(thought.seconds, 4),
        first_token_seconds=first,
        model=thinker.digest,
        put=put,
    )


def read_loops(path: Path) -> list[LoopTaken]:
    """Return what a file holds of loops; an absent file holds none, and what is none is passed over."""
    found = []
    for value in read_log(path):
        with contextlib.suppress(TypeError, StateError):
            found.append(read_as(LoopTaken, value, f"a line of `{path.name}`"))
    return found


def loop_seconds(path: Path) -> Mapping[str, Mapping[str, float]]:
    """Return the seconds of every loop by level and case; one that had no room has none."""
    seconds: dict[str, dict[str, float]] = {}
    for one in read_loops(path):
        if one.iterations or one.ended != "room":
            seconds.setdefault(one.level, {})[one.id] = one.seconds
    return seconds
