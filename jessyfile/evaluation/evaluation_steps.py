"""The steps `baseline`, `evaluate` and `judge`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jessyfile.engines.serving import described, engine_of, loaded, served_model
from jessyfile.errors import EngineError, Interrupted
from jessyfile.evaluation.answers import ANSWERS, Answered, Asker, answer_all, read_answers, write_answers
from jessyfile.fsops import staged_folder, write_text
from jessyfile.planning.canonical import normal, readable
from jessyfile.project import jessy_folder
from jessyfile.results.facts import AnswersFacts, BaseFacts, ImportFacts, JudgeFacts, Opinion, TrainFacts

if TYPE_CHECKING:
    from jessyfile.engines.engine import Engine, OnPiece, ServedModel
    from jessyfile.evaluation.cases import Case
    from jessyfile.planning.steps import StepContext

ENGINE, KEPT = "engine.json", "kept.jsonl"


def run_evaluate(context: StepContext) -> AnswersFacts:
    """Answer every suite with NAME:candidate through the engine that serves it. Raises EngineError, EvaluationError,
    DamagedError."""
    from jessyfile.export.registry import CANDIDATE, check_served, lookup

    entry = lookup(context.root, context.recipe.name, CANDIDATE)
    if entry is None or entry.digest != context.facts_of("import", ImportFacts).digest:
        raise EngineError(f"`{context.recipe.name}:candidate` is not what was imported", hint="run `jessy apply` again")
    check_served(context.root, entry, thorough=True)
    model = served_model(entry, context.recipe.evaluation.max_tokens)
    return _answer_suites(context, engine_of(entry, context.stop), model, None)


def run_baseline(context: StepContext) -> AnswersFacts:
    """Answer every suite with the base model, the same system prompt and the same sampling.

    An answer that runs into a loop is cut there: an untuned base loops in most of its answers, and the rest of one
    changes no verdict. Raises EngineError, EvaluationError, ExportError.
    """
    from jessyfile.evaluation.repetition import looping

    engine, model = _base_model(context)
    return _answer_suites(context, engine, model, looping)


def _base_model(context: StepContext) -> tuple[Engine, ServedModel]:
    """Return the base as Ollama has it when the recipe took it from there, else as a GGUF of the export's type."""
    from jessyfile.engines.llamacpp_engine import LlamaCpp
    from jessyfile.export.modelfile import served
    from jessyfile.export.move_names import choose_engine
    from jessyfile.models.chat_format import chat_format

    recipe = context.recipe
    base = context.facts_of("base", BaseFacts)
    form = chat_format(base.chat_format)
    description = served(recipe, form)
    limit = recipe.evaluation.max_tokens
    if choose_engine(recipe.deploy)[0] == "ollama" and base.ollama is not None:
        from jessyfile.engines.ollama_engine import Ollama

        engine = Ollama(recipe.deploy.ollama, keeps_examples=False, stop=context.stop)
        return engine, described(recipe.base, None, description, limit)
    return LlamaCpp(), described(recipe.base, _base_gguf(context), description, limit)


def _base_gguf(context: StepContext) -> Path:
    from jessyfile.export.export_steps import GGUF_FILE
    from jessyfile.export.gguf_writer import write_gguf
    from jessyfile.export.imatrix import matrix_of

    wanted, report = context.recipe.export.quantize, _reporter(context)
    folder = context.work / f"base-{wanted}"
    if not folder.is_dir():
        with staged_folder(folder) as staging:
            matrix = matrix_of(context, "base", report)
            write_gguf(context.inputs["base"], staging / GGUF_FILE, wanted, report, matrix)
    return folder / GGUF_FILE


def _reporter(context: StepContext) -> Any:  # noqa: ANN401 (a function of export's kind)
    def report(done: int, total: int, text: str) -> None:
        if context.stop.requested():
            raise Interrupted("stopped before the base model was written")
        context.progress.update(done, total or None, text=text)

    return report


def _answer_suites(context: StepContext, engine: Engine, model: ServedModel, on_piece: OnPiece | None) -> AnswersFacts:
    from jessyfile.evaluation.cases import load_suites

    cases = load_suites(context.recipe, context.root)
    asker = Asker(engine, context.recipe.complexity, model.settings, on_piece)
    with loaded(engine, model) as load_seconds:
        cold = _warm_up(asker, cases)
        answers = answer_all(asker, cases, context.work / KEPT, context.progress, context.stop)
    write_answers(context.output / ANSWERS, answers)
    facts = AnswersFacts(
        engine=engine.name,
        model=model.name,
        cases=len(answers),
        tokens=sum(answer.tokens for answer in answers),
        load_seconds=round(load_seconds, 3),
        cold_first_token_seconds=cold,
        parallel=engine.parallel,
        work_units=len(answers),
    )
    write_text(context.output / ENGINE, readable({**normal(facts), "settings": model.settings}))
    return facts


def _warm_up(asker: Asker, cases: Sequence[Case]) -> float | None:
    """Ask for one token and throw it away, so that no measured answer pays for the first; return its seconds."""
    short = replace(asker, settings=replace(asker.settings, max_tokens=1))
    return short.ask(cases[0]).first_token_seconds


def run_judge(context: StepContext) -> JudgeFacts:
    """Compare stored answers with the checks, the metrics and the criteria.

    No model is asked unless the recipe names a `judge`; its numbers are reported separately. Raises EvaluationError.
    """
    from jessyfile.evaluation.cases import load_suites
    from jessyfile.evaluation.verdict import judge, write_verdict

    cases = load_suites(context.recipe, context.root)
    candidate, baseline = _answers(context, "evaluate"), _answers(context, "baseline")
    seconds = context.facts_of("train", TrainFacts).training_seconds
    opinion = _opinion(context, cases, candidate, baseline)
    verdict = replace(judge(context.recipe, cases, candidate, baseline, seconds), opinion=opinion)
    write_verdict(context.output, verdict)
    return verdict.facts()


def _opinion(
    context: StepContext, cases: Sequence[Case], after: Mapping[str, Answered], before: Mapping[str, Answered]
) -> Opinion | None:
    if context.recipe.evaluation.judge is None:
        return None
    from jessyfile.dataset.completions import KeptAnswers
    from jessyfile.evaluation.llm_judge import ask_opinion

    asked, kept = context.recipe.evaluation.judge, KeptAnswers(jessy_folder(context.root) / "cache" / "judge")
    found = ask_opinion(asked, cases, after, before, kept, context.progress, context.stop).mean()
    if found.problem:
        context.progress.note(f"{asked.model} did not score everything: {found.problem}")
    return found


def _answers(context: StepContext, name: str) -> Mapping[str, Answered]:
    return {answer.id: answer for answer in read_answers(context.inputs[name] / ANSWERS)}
