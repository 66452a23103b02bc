"""The steps `baseline`, `start`, `evaluate` and `judge`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jessyfile.engines.serving import described, engine_of, loaded, served_model, served_with_rows
from jessyfile.errors import EngineError, Interrupted
from jessyfile.evaluation.answers import (
    ANSWERS,
    FULL,
    Answered,
    Asker,
    answer_all,
    answers_of,
    known_answers,
    write_answers,
)
from jessyfile.evaluation.suite_inputs import TIMED
from jessyfile.fsops import staged_folder, write_text
from jessyfile.planning.canonical import digest, normal, readable
from jessyfile.project import jessy_folder
from jessyfile.results.facts import (
    AnswersFacts,
    BaseFacts,
    GgufFacts,
    ImportFacts,
    JudgeFacts,
    Opinion,
    TrainFacts,
    cold_seconds,
)
from jessyfile.results.quality import CONTRAST_FILE, Contrasts
from jessyfile.results.typed_json import load_as

if TYPE_CHECKING:
    from jessyfile.engines.engine import Engine, ServedModel
    from jessyfile.evaluation.cases import Case
    from jessyfile.evaluation.verdict import Verdict
    from jessyfile.evaluation.ways import Ways
    from jessyfile.planning.steps import Progress, StepContext, Stop
    from jessyfile.results.served import Retrieval, Served

OTHER_WAY = "evaluate.other"
BEHIND_ROWS = "start.rows"
ENGINE, KEPT = "engine.json", "kept.jsonl"
BASE_TIMED = 20  # the base's latency stands beside the candidate's; few claims rest on it


def run_evaluate(context: StepContext) -> AnswersFacts:
    """Answer every suite with NAME:candidate through the engine that serves it, asked as DEPLOY's clients ask; the step
    `evaluate.other` asks the other way, bare or behind retrieved rows. Raises EngineError, EvaluationError, DamagedError."""
    from jessyfile.evaluation.cases import load_suites
    from jessyfile.export.registry import CANDIDATE, check_answering, lookup

    entry = lookup(context.root, context.recipe.name, CANDIDATE)
    if entry is None or entry.digest != context.facts_of("import", ImportFacts).digest:
        raise EngineError(f"`{context.recipe.name}:candidate` is not what was imported", hint="run `jessy apply` again")
    check_answering(context.root, entry, context.stop)
    model = served_model(entry, context.recipe.evaluation.max_tokens)
    served = served_with_rows(entry)
    retrieved = served if served is None or context.name != OTHER_WAY else not served
    engine = engine_of(entry, context.stop, evaluating=True, retrieving=bool(retrieved))
    asker = Asker(engine, context.recipe.complexity, model.settings, None, entry.digest)
    cases = load_suites(context.recipe, context.root)
    answered = ask_suites(asker, model, cases, context.work / KEPT, context.progress, context.stop)
    return replace(write_answered(context, answered, asker, model), retrieved=retrieved)


def run_baseline(context: StepContext) -> AnswersFacts:
    """Answer every suite with the base model, the same system prompt and the same sampling.

    An answer that runs into a loop is cut there: an untuned base loops in most of its answers, and the rest of one
    changes no verdict. Every answer is kept in `.jessy/cache/baseline/`, so that no recipe asks the same base the same again.
    Raises EngineError, EvaluationError, ExportError.
    """
    from jessyfile.evaluation.cases import load_suites
    from jessyfile.text.repetition import looping

    engine, model = _base_model(context)
    base = context.facts_of(_untouched(context), BaseFacts)
    asker = Asker(engine, context.recipe.complexity, model.settings, looping, digest([base.digest, base.adapter]))
    cases = load_suites(context.recipe, context.root)
    shelf = _shelf(context, asker, model)
    if model.path is not None and not _all_known(asker, cases, context.work / KEPT if context.replaced else shelf):
        _write_base(context, model.path)
    return write_answered(context, _asked_once(context, asker, model, cases, shelf), asker, model)


def _untouched(context: StepContext) -> str:
    """Return the step that left the base as nobody has tuned it."""
    return "from" if "from" in context.inputs else "base"


def run_start(context: StepContext) -> AnswersFacts:
    """Answer every suite with the model that training starts from, bare or, in the step `start.rows`, behind the rows that it knows.

    It is asked as the candidate is: the same prompt and sampling, and no answer is cut. What it was asked is kept as the base's is.
    Raises EngineError, EvaluationError, DamagedError.
    """
    from jessyfile.engines.llamacpp_engine import LlamaCpp
    from jessyfile.engines.retriever import retrieving
    from jessyfile.evaluation.cases import load_suites
    from jessyfile.export.export_steps import GGUF_FILE, retrieval_of
    from jessyfile.retrieval.index_step import OF_START

    path, facts = context.inputs["gguf.start"] / GGUF_FILE, context.facts_of("gguf.start", GgufFacts)
    model = described(
        f"{context.recipe.name}:start", path, _served_base(context, "base"), context.recipe.evaluation.max_tokens
    )
    shown = retrieval_of(context, OF_START) if context.name == BEHIND_ROWS else None
    plain = LlamaCpp(evaluating=True)
    behind = replace(shown, folder=str(context.root / shown.folder)) if shown is not None else None
    engine = retrieving(plain, behind) if behind is not None else plain
    asker = Asker(engine, context.recipe.complexity, model.settings, None, facts.digest)
    shelf = _shelf(context, asker, model, shown)
    answered = _asked_once(context, asker, model, load_suites(context.recipe, context.root), shelf)
    return replace(write_answered(context, answered, asker, model), retrieved=shown is not None)


def _asked_once(
    context: StepContext, asker: Asker, model: ServedModel, cases: Sequence[Case], shelf: Path
) -> SuiteAnswers:
    """Ask what the shelf does not answer, everything where the user replaces it, and keep the answers there."""
    kept = context.work / KEPT if context.replaced else shelf
    answered = ask_suites(asker, model, cases, kept, context.progress, context.stop, BASE_TIMED)
    if context.replaced:
        write_answers(shelf, {**known_answers(shelf, asker.model), **known_answers(kept, asker.model)}.values())
    return answered


def _shelf(context: StepContext, asker: Asker, model: ServedModel, shown: Retrieval | None = None) -> Path:
    """Return where answers are kept that were given so: by this model, type, engine, prompt and sampling, behind these rows, and read by
    these levels."""
    weighed = context.inputs["encode"].parent.name if "encode" in context.inputs else ""
    marker = {"marker": asker.complexity.marker, "levels": [level.name for level in asker.complexity.levels]}
    how = {
        **marker,
        "model": asker.model,
        "engine": asker.engine.name,
        "type": context.recipe.export.quantize,
        "weighed": weighed,
        **({"rows": normal(replace(shown, folder=""))} if shown is not None else {}),
    }
    served = normal(replace(model, path=None, name=""))
    return jessy_folder(context.root) / "cache" / "baseline" / f"{digest({**how, 'served': served})}.jsonl"


def _all_known(asker: Asker, cases: Sequence[Case], kept: Path) -> bool:
    known = known_answers(kept, asker.model)
    return all(asker.mark(case) in known for case in cases)


def _base_model(context: StepContext) -> tuple[Engine, ServedModel]:
    """Return the base as Ollama has it when the recipe took it from there, else as a GGUF of the export's type, which is still
    to be written."""
    from jessyfile.engines.llamacpp_engine import LlamaCpp
    from jessyfile.export.export_steps import GGUF_FILE
    from jessyfile.export.move_names import choose_engine

    recipe = context.recipe
    base = context.facts_of(_untouched(context), BaseFacts)
    description = _served_base(context, _untouched(context))
    limit = recipe.evaluation.max_tokens
    if choose_engine(recipe.deploy)[0] == "ollama" and base.ollama is not None:
        from jessyfile.engines.ollama_engine import Ollama

        note = context.progress.note
        note(
            f"the base answers as Ollama serves {recipe.base}: with its own template, not with the one that is trained"
        )
        engine = Ollama(recipe.deploy.ollama, keeps_examples=False, stop=context.stop, cold=True, note=note)
        return engine, described(recipe.base, None, description, limit)
    path = context.work / f"base-{recipe.export.quantize}" / GGUF_FILE
    return LlamaCpp(evaluating=True), described(recipe.base, path, description, limit)


def _served_base(context: StepContext, base: str) -> Served:
    """Return how the model of a step is served: as the candidate will be, in its chat format."""
    from jessyfile.export.modelfile import served
    from jessyfile.models.chat_format import chat_format

    return served(context.recipe, chat_format(context.facts_of(base, BaseFacts).chat_format))


def _write_base(context: StepContext, path: Path) -> None:
    from jessyfile.export.gguf_writer import write_gguf
    from jessyfile.export.imatrix import matrix_of

    if path.parent.is_dir():
        return
    report = _reporter(context)
    with staged_folder(path.parent) as staging:
        matrix = matrix_of(context, _untouched(context), report)
        write_gguf(
            context.inputs[_untouched(context)], staging / path.name, context.recipe.export.quantize, report, matrix
        )


def _reporter(context: StepContext) -> Any:  # noqa: ANN401 (a function of export's kind)
    def report(done: int, total: int, text: str) -> None:
        if context.stop.requested():
            raise Interrupted("stopped before the base model was written")
        context.progress.update(done, total or None, text=text)

    return report


@dataclass(frozen=True, slots=True)
class SuiteAnswers:
    """The answers to all cases, and what loading and the first token took; both None where nothing had to be asked."""

    answers: Sequence[Answered]
    load_seconds: float | None
    first_token_seconds: float | None

    @property
    def cold_seconds(self) -> float | None:
        """From an engine without a model to the first token, in seconds."""
        return cold_seconds(self.load_seconds, self.first_token_seconds)


def ask_suites(
    asker: Asker,
    model: ServedModel,
    cases: Sequence[Case],
    kept: Path,
    progress: Progress,
    stop: Stop,
    timed: int = TIMED,
) -> SuiteAnswers:
    """Load a model, ask it every case that the file `kept` does not answer, and let it go.

    Args:
        asker: the engine with its settings; it is loaded here.
        model: the model to load.
        cases: the evaluation cases.
        kept: a JSON lines file of answers, added to.
        progress: told the number of answers.
        stop: asked between two answers.
        timed: how many cases of a level are asked alone, for their latency.

    Returns:
        The answers, in the order of the cases.

    Raises:
        EngineError: the model cannot be loaded, or does not answer.
        Interrupted: a stop was requested; answers so far are kept.
    """
    if _all_known(asker, cases, kept):
        return SuiteAnswers(answer_all(asker, cases, kept, progress, stop), None, None)
    with loaded(asker.engine, model) as load_seconds:
        first = _warm_up(asker, cases)
        answers = answer_all(asker, cases, kept, progress, stop, timed)
    return SuiteAnswers(answers, round(load_seconds, 3), first)


def write_answered(context: StepContext, answered: SuiteAnswers, asker: Asker, model: ServedModel) -> AnswersFacts:
    """Write a step's answers, and who gave them, as the steps do that ask a model.

    Args:
        context: the step's run.
        answered: the answers, with what loading took.
        asker: who was asked.
        model: how it was served.

    Returns:
        The step's facts.
    """
    answers = answered.answers
    write_answers(context.output / ANSWERS, answers)
    facts = AnswersFacts(
        engine=asker.engine.name,
        model=model.name,
        cases=len(answers),
        tokens=sum(answer.tokens for answer in answers),
        load_seconds=answered.load_seconds,
        cold_first_token_seconds=answered.first_token_seconds,
        parallel=asker.engine.parallel,
        work_units=len(answers),
        digest=asker.model,
        alone=sum(answer.alone for answer in answers),
    )
    write_text(context.output / ENGINE, readable({**normal(facts), "settings": model.settings}))
    return facts


def _warm_up(asker: Asker, cases: Sequence[Case]) -> float | None:
    """Ask for one token and throw it away, so that no measured answer pays for the first; return its seconds."""
    short = replace(asker, settings=replace(asker.settings, max_tokens=1))
    # a row's own answer, given as it stands, has not warmed the model
    fitting = (one for one in map(short.ask, cases) if one.stopped != FULL and not one.is_row)
    return next((one.first_token_seconds for one in fitting), None)


def run_judge(context: StepContext) -> JudgeFacts:
    """Compare stored answers with the checks, the metrics and the criteria.

    No model is asked unless the recipe names a `judge`; its numbers are reported separately. Raises EvaluationError.
    """
    from jessyfile.evaluation.cases import load_suites
    from jessyfile.evaluation.previous_step import previous_answers
    from jessyfile.evaluation.thoughts import THOUGHTS, loop_seconds
    from jessyfile.evaluation.verdict import Took, judge, write_verdict

    cases = load_suites(context.recipe, context.root)
    after, before = (context.facts_of(name, AnswersFacts) for name in ("evaluate", "baseline"))
    candidate, baseline = _answers(context, "evaluate", after), _answers(context, "baseline", before)
    taken = ("train",) if context.recipe.lora.trained else ()
    names = [name for name in ("train", "prefer") if name in context.facts and name not in taken]
    seconds = [context.facts_of(name, TrainFacts).training_seconds for name in names]
    loops = loop_seconds(context.inputs["think"] / THOUGHTS) if "think" in context.inputs else {}
    took = Took(sum(seconds) if seconds else None, after.cold_seconds, before.cold_seconds, loops)
    opinion = _opinion(context, cases, candidate, baseline)
    contrasts = load_as(Contrasts, context.inputs["contrast"] / CONTRAST_FILE) if "contrast" in context.inputs else None
    start, previous = _start(context, bool(after.retrieved)), previous_answers(context)
    verdict = judge(context.recipe, cases, candidate, baseline, took, contrasts, start, previous)
    verdict = replace(verdict, opinion=opinion)
    if OTHER_WAY in context.inputs:
        verdict = replace(verdict, ways=_ways(context, cases, verdict, bool(after.retrieved)))
    write_verdict(context.output, verdict)
    return verdict.facts()


def _ways(context: StepContext, cases: Sequence[Case], verdict: Verdict, retrieved: bool) -> Ways:
    from jessyfile.evaluation.metrics import ModelScores
    from jessyfile.evaluation.verdict import beside_all, score_all
    from jessyfile.evaluation.ways import two_ways

    answers = _answers(context, OTHER_WAY, context.facts_of(OTHER_WAY, AnswersFacts))
    served, other = [case.after for case in verdict.cases], list(score_all(context.recipe, cases, answers).values())
    often = context.recipe.personality.often
    found = two_ways("retrieved", other, served, often) if retrieved else two_ways("bare", served, other, often)
    start = _start(context, not retrieved)
    if not start:
        return found
    asked, known = ModelScores(other, None, often), [*score_all(context.recipe, cases, start).values()]
    return replace(found, others={"start": beside_all(asked, ModelScores(known, None, often), found.shares)})


def _start(context: StepContext, retrieved: bool) -> Mapping[str, Answered]:
    """Return the answers of the model that training started from, asked behind rows or bare; where it knows no rows, bare ones stand for
    both. Nothing without ADAPTER.
    """
    names = [name for name in ("start", BEHIND_ROWS) if name in context.inputs]
    if not names:
        return {}
    name = names[-1] if retrieved else names[0]
    return _answers(context, name, context.facts_of(name, AnswersFacts))


def _opinion(
    context: StepContext, cases: Sequence[Case], after: Mapping[str, Answered], before: Mapping[str, Answered]
) -> Opinion | None:
    if context.recipe.evaluation.judge is None:
        return None
    from jessyfile.dataset.completions import KeptAnswers
    from jessyfile.evaluation.llm_judge import JudgedPairs, answer_pairs, ask_opinion, reference_pairs
    from jessyfile.evaluation.references import load_references

    asked, kept = context.recipe.evaluation.judge, KeptAnswers(jessy_folder(context.root) / "cache" / "judge")
    known = load_references(context.recipe, context.root) if "contrast" in context.inputs else []
    pairs = JudgedPairs(answer_pairs(cases, after, before), reference_pairs(known))
    found = ask_opinion(asked, pairs, kept, context.progress, context.stop)
    if found.problem:
        context.progress.note(f"{asked.model} did not judge everything: {found.problem}")
    return found


def _answers(context: StepContext, name: str, facts: AnswersFacts) -> Mapping[str, Answered]:
    return answers_of(context.inputs[name] / ANSWERS, facts.digest)
