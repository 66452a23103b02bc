"""The step `previous`: what is promoted answers the suites too, where a criterion holds the candidate against it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from jessyfile.errors import DamagedError
from jessyfile.evaluation.answers import ANSWERS, Answered, Asker, answers_of, read_answers, write_answers
from jessyfile.evaluation.ask_model import AskableModel, askable
from jessyfile.evaluation.cases import load_suites
from jessyfile.evaluation.evaluation_steps import ENGINE, KEPT, ask_suites, write_answered
from jessyfile.export.registry import before_candidate
from jessyfile.fsops import read_bytes, write_text
from jessyfile.planning.canonical import normal, readable
from jessyfile.planning.runs import all_runs
from jessyfile.planning.store import Store
from jessyfile.results.facts import AnswersFacts

if TYPE_CHECKING:
    from pathlib import Path

    from jessyfile.planning.steps import StepContext

PREVIOUS = "previous"


def run_previous(context: StepContext) -> AnswersFacts:
    """Answer every suite with the model that was promoted when the candidate was made, asked as it is served; no case where none was.

    What it answered as a candidate, asked the same way, is not asked again. Raises EngineError, EvaluationError, DamagedError.
    """
    entry = before_candidate(context.root, context.recipe.name)
    if entry is None:
        write_answers(context.output / ANSWERS, ())
        facts = AnswersFacts("", "", 0, 0, None, None, 0, 0)
        write_text(context.output / ENGINE, readable(facts))
        context.progress.note("nothing was promoted before: there is nothing to fall behind")
        return facts
    model = askable(context.root, entry, context.recipe.evaluation.max_tokens, context.stop)
    kept = context.work / KEPT
    if not kept.exists():
        write_answers(kept, _answered_before(context.root, model))
    asker = Asker(model.engine, model.complexity, model.served.settings, None, model.digest)
    cases = load_suites(context.recipe, context.root)
    answered = ask_suites(asker, model.served, cases, kept, context.progress, context.stop)
    return replace(write_answered(context, answered, asker, model.served), work_units=len(cases))


def previous_answers(context: StepContext) -> Mapping[str, Answered] | None:
    """Return the answers of the model promoted before, empty where there was none; None where no criterion asks for it."""
    if PREVIOUS not in context.inputs:
        return None
    return answers_of(context.inputs[PREVIOUS] / ANSWERS, context.facts_of(PREVIOUS, AnswersFacts).digest)


def _answered_before(root: Path, model: AskableModel) -> list[Answered]:
    """Return what a model answered as a candidate, where it was asked with the same settings by the same engine."""
    settings = normal(model.served.settings)
    for run in reversed(all_runs(root)):
        record = run.result()
        for step in record.steps if record is not None else ():
            if step.name == "evaluate" and step.facts.get("digest") == model.digest:
                try:
                    folder = Store(root).verified(step.object)
                    engine = json.loads(read_bytes(folder / ENGINE))
                except (DamagedError, FileNotFoundError, ValueError):
                    continue
                if engine.get("engine") == model.engine.name and engine.get("settings") == settings:
                    return read_answers(folder / ANSWERS)
    return []
