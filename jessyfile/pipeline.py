"""The steps from a recipe to a promoted model, in order: the table of contents of the whole program.

Each step is a pure function in the package that it names; it is imported when it runs, so that planning stays light.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from jessyfile.language.recipe import Lora, Prefer, Recipe, Train
from jessyfile.planning.preflight import Finding, Outlook
from jessyfile.planning.steps import Step, StepContext
from jessyfile.results.typed_json import Record, read_as

if TYPE_CHECKING:
    from jessyfile.planning.forecast import Between
    from jessyfile.results.facts import Facts
    from jessyfile.training.hosts import Hosts

_SHOWN = ("examples", "answer", "documents", "top", "quote", "questions")  # of RETRIEVE, what a registration holds
_LETTERS = 3.3  # bytes of text a token, about

# Each step's function is imported when the step runs: planning must start none of what training needs.


def _category(context: StepContext) -> Facts:
    from jessyfile.dataset.data_steps import run_category

    return run_category(context)


def _base(context: StepContext) -> Facts:
    from jessyfile.models.base_step import run_base

    return run_base(context)


def _adapted_base(context: StepContext) -> Facts:
    from jessyfile.models.base_step import run_adapted_base

    return run_adapted_base(context)


def _dataset(context: StepContext) -> Facts:
    from jessyfile.dataset.data_steps import run_dataset

    return run_dataset(context)


def _index(context: StepContext) -> Facts:
    from jessyfile.retrieval.index_step import run_index

    return run_index(context)


def _passages(context: StepContext) -> Facts:
    from jessyfile.retrieval.passage_index import run_passages

    return run_passages(context)


def _questions(context: StepContext) -> Facts:
    from jessyfile.retrieval.question_rows import run_questions

    return run_questions(context)


def _neighbours(context: StepContext) -> Facts:
    from jessyfile.retrieval.training_rows import run_neighbours

    return run_neighbours(context)


def _encode(context: StepContext) -> Facts:
    from jessyfile.training.train_steps import run_encode

    return run_encode(context)


def _train(context: StepContext, hosts: Hosts | None = None) -> Facts:
    if hosts is not None:
        from jessyfile.training.launch import train_together

        return train_together(context, hosts)
    from jessyfile.training.train_steps import run_train

    return run_train(context)


def _taken(context: StepContext) -> Facts:
    from jessyfile.training.taken import run_taken

    return run_taken(context)


def _preferences(context: StepContext) -> Facts:
    from jessyfile.dataset.preference_steps import run_preferences
    from jessyfile.evaluation.reference_pairs import reference_pairs

    return run_preferences(context, reference_pairs(context.recipe, context.root))


def _prefer(context: StepContext, hosts: Hosts | None = None) -> Facts:
    if hosts is not None:
        from jessyfile.training.launch import prefer_together

        return prefer_together(context, hosts)
    from jessyfile.training.prefer_step import run_prefer

    return run_prefer(context)


def _merge(context: StepContext) -> Facts:
    from jessyfile.export.export_steps import run_merge

    return run_merge(context)


def _gguf(context: StepContext) -> Facts:
    from jessyfile.export.export_steps import run_gguf

    return run_gguf(context)


def _modelfile(context: StepContext) -> Facts:
    from jessyfile.export.export_steps import run_modelfile

    return run_modelfile(context)


def _parity(context: StepContext) -> Facts:
    from jessyfile.parity.step import run_parity

    return run_parity(context)


def _import(context: StepContext) -> Facts:
    from jessyfile.export.export_steps import run_import
    from jessyfile.parity.served import check_served

    facts = run_import(context)
    check_served(context, facts)
    return facts


def _baseline(context: StepContext) -> Facts:
    from jessyfile.evaluation.evaluation_steps import run_baseline

    return run_baseline(context)


def _start(context: StepContext) -> Facts:
    from jessyfile.evaluation.evaluation_steps import run_start

    return run_start(context)


def _think(context: StepContext) -> Facts:
    from jessyfile.evaluation.thoughts import run_think

    return run_think(context)


def _evaluate(context: StepContext) -> Facts:
    from jessyfile.evaluation.evaluation_steps import run_evaluate

    return run_evaluate(context)


def _previous(context: StepContext) -> Facts:
    from jessyfile.evaluation.previous_step import run_previous

    return run_previous(context)


def _likelihood(context: StepContext) -> Facts:
    from jessyfile.evaluation.contrast_steps import run_likelihood

    return run_likelihood(context)


def _contrast(context: StepContext) -> Facts:
    from jessyfile.evaluation.contrast_steps import run_contrast

    return run_contrast(context)


def _judge(context: StepContext) -> Facts:
    from jessyfile.evaluation.evaluation_steps import run_judge

    return run_judge(context)


def _promote(context: StepContext) -> Facts:
    from jessyfile.export.export_steps import run_promote

    return run_promote(context)


def _teacher_allowed(outlook: Outlook) -> Iterator[Finding]:
    from jessyfile.planning.consent import findings, teacher_sends

    return findings(outlook, teacher_sends(outlook.recipe), "data")


def _judge_allowed(outlook: Outlook) -> Iterator[Finding]:
    from jessyfile.planning.consent import findings, judge_sends

    return findings(outlook, judge_sends(outlook.recipe), "judge")


def _engine_allowed(outlook: Outlook) -> Iterator[Finding]:
    from jessyfile.planning.consent import engine_sends, findings

    return findings(outlook, engine_sends(outlook.recipe), "import")


# What each step knows before any runs, and the bytes it will write.


def _base_known(outlook: Outlook) -> Iterator[Finding]:
    from jessyfile.models.base_checks import base_preflight

    return base_preflight(outlook)


def _base_about(outlook: Outlook) -> Iterator[Finding]:
    from jessyfile.models.origin import base_about

    return base_about(outlook)


def _category_known(outlook: Outlook) -> Iterator[Finding]:
    from jessyfile.dataset.supply import category_preflight

    yield from _teacher_allowed(outlook)
    yield from category_preflight(outlook)


def _dataset_known(outlook: Outlook) -> Iterator[Finding]:
    from jessyfile.dataset.supply import dataset_preflight

    return dataset_preflight(outlook)


def _passages_known(outlook: Outlook) -> Iterator[Finding]:
    from jessyfile.retrieval.passage_index import passages_preflight

    return passages_preflight(outlook)


def _questions_known(outlook: Outlook) -> Iterator[Finding]:
    from jessyfile.retrieval.passage_index import questions_preflight

    return questions_preflight(outlook)


def _train_known(outlook: Outlook, hosts: Hosts | None = None) -> Iterator[Finding]:
    from jessyfile.training.train_checks import train_preflight

    yield from train_preflight(outlook)
    if hosts is not None:
        from jessyfile.training.hosts import hosts_preflight

        yield from hosts_preflight(outlook, hosts)


def _taken_known(outlook: Outlook) -> Iterator[Finding]:
    from jessyfile.training.taken import taken_preflight

    return taken_preflight(outlook)


def _train_peak(outlook: Outlook, hosts: Hosts | None = None) -> int | None:
    from jessyfile.training.memory import train_peak

    return train_peak(outlook, hosts.here if hosts is not None else 1)


def _facts(outlook: Outlook) -> Mapping[str, Record]:
    return {name: kept.facts for name, kept in outlook.kept.items()}


def _train_time(outlook: Outlook) -> Between | None:
    from jessyfile.training.estimates import training_time

    return training_time(outlook, _rows_trained(outlook.recipe, outlook.root, _facts(outlook)) or 0)


def _answer_time(outlook: Outlook) -> Between | None:
    from jessyfile.training.estimates import answering_time

    return answering_time(outlook, _cases(outlook.recipe, outlook.root, {}) or 0)


def _loop_time(outlook: Outlook) -> Between | None:
    from jessyfile.training.estimates import answering_time

    return answering_time(outlook, _loops(outlook.recipe, outlook.root, {}) or 0)


def _reference_time(outlook: Outlook) -> Between | None:
    from jessyfile.training.estimates import reading_time

    return reading_time(outlook, (_reference_bytes(outlook.recipe, outlook.root, {}) or 0) / _LETTERS)


def _write_time(outlook: Outlook, disk: Callable[[Outlook], int]) -> Between | None:
    from jessyfile.training.estimates import writing_time

    return writing_time(disk(outlook))


def _train_smaller(outlook: Outlook, share: float) -> str:
    from jessyfile.training.memory import what_fits

    return what_fits(outlook, share)


def _prefer_peak(outlook: Outlook, hosts: Hosts | None = None) -> int | None:
    from jessyfile.training.memory import prefer_peak

    return prefer_peak(outlook, hosts.here if hosts is not None else 1)


def _prefer_smaller(outlook: Outlook, share: float) -> str:
    from jessyfile.training.memory import what_preferences_fit

    return what_preferences_fit(outlook, share)


def _learned() -> tuple[str, ...]:
    """Return the settings of TRAIN that decide what is learned; a tracker only looks on."""
    return tuple(f"train.{setting.name}" for setting in fields(Train) if setting.name != "tracker")


def _adapted() -> tuple[str, ...]:
    """Return the settings of LORA that a training reads; with `trained` there is none."""
    return tuple(f"lora.{setting.name}" for setting in fields(Lora) if setting.name != "trained")


def _precision(recipe: Recipe) -> Mapping[str, str]:
    """Return what `precision auto` is on this machine: a model that another chip would train otherwise is another model."""
    from jessyfile.machine import chip
    from jessyfile.models.precision import resolve

    return {"base.precision": str(resolve(recipe.precision, chip()))}


def _routed(recipe: Recipe) -> Mapping[str, str]:
    """Return which categories rows are to tell: where none is routed by, rows are found as they were."""
    return {"route": " ".join(recipe.routed_categories)} if recipe.routed_categories else {}


def _thought(recipe: Recipe) -> Mapping[str, str]:
    """Return the levels that are thought about; what a criterion asks of their seconds is the judge's business."""
    from jessyfile.language.metric_table import thought_levels

    return {"eval.thinking": " ".join(thought_levels(one.metric for one in recipe.evaluation.criteria))}


def _plugins(recipe: Recipe) -> Mapping[str, str]:
    from jessyfile.evaluation.plugin_rules import plugin_versions

    return plugin_versions(recipe)


def _preferences_known(outlook: Outlook) -> Iterator[Finding]:
    from jessyfile.dataset.preference_steps import preferences_preflight
    from jessyfile.evaluation.reference_pairs import reference_pairs

    return preferences_preflight(outlook, reference_pairs(outlook.recipe, outlook.root))


def _gguf_known(outlook: Outlook) -> Iterator[Finding]:
    from jessyfile.export.export_checks import gguf_preflight

    return gguf_preflight(outlook)


def _modelfile_known(outlook: Outlook) -> Iterator[Finding]:
    from jessyfile.export.export_checks import modelfile_preflight

    return modelfile_preflight(outlook)


def _parity_known(outlook: Outlook) -> Iterator[Finding]:
    from jessyfile.export.export_checks import parity_preflight

    return parity_preflight(outlook)


def _import_known(outlook: Outlook) -> Iterator[Finding]:
    from jessyfile.export.export_checks import import_preflight

    yield from _engine_allowed(outlook)
    yield from _routes_known(outlook)
    yield from import_preflight(outlook)


def _routes_known(outlook: Outlook) -> Iterator[Finding]:
    from jessyfile.export.export_checks import routes_preflight

    return routes_preflight(outlook)


def _name_writable(outlook: Outlook) -> Iterator[Finding]:
    from jessyfile.export.export_checks import promote_preflight

    return promote_preflight(outlook)


def _suites_known(outlook: Outlook) -> Iterator[Finding]:
    from jessyfile.evaluation.suite_checks import suites_preflight

    yield from _engine_allowed(outlook)
    yield from suites_preflight(outlook)


def _start_known(outlook: Outlook) -> Iterator[Finding]:
    from jessyfile.evaluation.suite_checks import columns_preflight, suites_preflight

    yield from suites_preflight(outlook)
    yield from columns_preflight(outlook)


def _references_known(outlook: Outlook) -> Iterator[Finding]:
    from jessyfile.evaluation.reference_checks import references_preflight

    return references_preflight(outlook)


def _judge_known(outlook: Outlook) -> Iterator[Finding]:
    from jessyfile.evaluation.plugin_rules import plugins_preflight
    from jessyfile.evaluation.reference_checks import metrics_preflight
    from jessyfile.evaluation.suite_checks import judge_preflight

    yield from metrics_preflight(outlook)
    yield from _judge_allowed(outlook)
    yield from plugins_preflight(outlook)
    yield from judge_preflight(outlook)


def _base_disk(outlook: Outlook) -> int:
    from jessyfile.models.base_checks import base_disk

    return base_disk(outlook)


def _merge_disk(outlook: Outlook) -> int:
    from jessyfile.models.base_checks import merge_disk

    return merge_disk(outlook)


def _gguf_disk(outlook: Outlook) -> int:
    from jessyfile.export.export_checks import gguf_disk

    return gguf_disk(outlook)


def _rows(recipe: Recipe, root: Path, facts: Mapping[str, Record]) -> float | None:  # noqa: ARG001 (`Step.units`)
    """Return how many rows the recipe asks for, those for training and those held out."""
    wanted = sum(category.count for category in recipe.dataset.categories) + recipe.dataset.markers
    return wanted / (1 - recipe.dataset.replay.share) if recipe.dataset.replay else float(wanted)


def _rows_trained(recipe: Recipe, root: Path, facts: Mapping[str, Record]) -> float | None:  # noqa: ARG001 (`Step.units`)
    """Return the rows that a training reads, epochs and neighbours counted: what its seconds are nearly proportional to."""
    from jessyfile.retrieval.shares import rows_read

    if "encode" in facts:
        from jessyfile.results.facts import EncodeFacts

        rows: float = read_as(EncodeFacts, facts["encode"], "the record of `encode`").rows
    else:
        learned = sum(one.count * one.learn for one in recipe.dataset.categories) + recipe.dataset.markers
        rows = learned * (1 - recipe.dataset.validation)
    return rows * recipe.train.epochs * rows_read(recipe.retrieve)


def _compared(recipe: Recipe, root: Path, facts: Mapping[str, Record]) -> float | None:  # noqa: ARG001 (`Step.units`)
    """Return the pairs or judged answers that PREFER's training sees, epochs counted; None while nobody has counted them."""
    if recipe.prefer is None or "preferences" not in facts:
        return None
    from jessyfile.results.facts import PreferencesFacts

    return (
        float(read_as(PreferencesFacts, facts["preferences"], "the record of `preferences`").train)
        * recipe.prefer.epochs
    )


def _cases(recipe: Recipe, root: Path, facts: Mapping[str, Record]) -> float | None:  # noqa: ARG001 (`Step.units`)
    """Return how many cases the suites hold."""
    from jessyfile.evaluation.suite_inputs import suite_path

    lines = {suite: suite_path(suite, recipe, root).read_bytes().count(b"\n") for suite in recipe.evaluation.suites}
    return float(sum(min(count, suite.limit or count) for suite, count in lines.items()))


def _loops(recipe: Recipe, root: Path, facts: Mapping[str, Record]) -> float | None:  # noqa: ARG001 (`Step.units`)
    """Return about how many generations the loops are that are timed."""
    from jessyfile.evaluation.suite_inputs import loop_generations

    return loop_generations(recipe, root)


def _reference_bytes(recipe: Recipe, root: Path, facts: Mapping[str, Record]) -> float | None:  # noqa: ARG001 (`Step.units`)
    """Return how large the reference answers are."""
    from jessyfile.evaluation.suite_inputs import reference_bytes

    return reference_bytes(recipe, root)


def _contrast_steps(recipe: Recipe, reading: tuple[str, ...]) -> tuple[Step, ...]:
    """Return the steps that measure by reference answers: none where no case has some, no criterion asks, or the recipe says so."""
    from jessyfile.evaluation.reference_checks import are_measured
    from jessyfile.evaluation.suite_inputs import reference_inputs
    from jessyfile.project import find_root

    if not are_measured(recipe, find_root(recipe.path)):
        return ()
    common = partial(
        Step,
        reads=(*reading, "eval.contrast"),
        files=reference_inputs,
        preflight=_references_known,
        resumable=True,
        version=2,
        units=_reference_bytes,
        estimate=_reference_time,
    )
    own, started = _untouched(recipe), bool(recipe.adapter)
    read = [
        common("likelihood.base", "read how likely the base finds reference answers", _likelihood, (own,)),
        common("likelihood.start", "read how likely the start finds them", _likelihood, ("base",)),
        common("likelihood.tuned", "read how likely the trained model finds them", _likelihood, ("base", "merge")),
    ]
    read = read if started else [read[0], read[2]]
    contrast = common(
        "contrast",
        "hold good answers against bad ones, and ask the GGUF",
        _contrast,
        ("base", "gguf", *(step.name for step in read)),
        version=3,
    )
    return (*read, contrast)


def _passage_steps(recipe: Recipe) -> tuple[Step, ...]:
    """Return the step that finds passages of documents; none without them."""
    if recipe.retrieve is None or recipe.retrieve.documents is None:
        return ()
    return (
        Step(
            "passages",
            "make the documents findable by a question",
            _passages,
            version=2,
            reads=("retrieve.documents",),
            files=_documents,
            preflight=_passages_known,
        ),
    )


def _documents(recipe: Recipe, root: Path) -> Sequence[Path]:
    from jessyfile.retrieval.documents import document_files

    found = recipe.retrieve and recipe.retrieve.documents
    return document_files(found, root) if found else ()


def _question_files(recipe: Recipe, root: Path) -> Sequence[Path]:
    from jessyfile.dataset.dataset_inputs import question_files
    from jessyfile.retrieval.questions import asked_files

    assert recipe.retrieve and recipe.retrieve.questions  # noqa: S101 (there is no such step without questions)
    return (*asked_files(recipe.retrieve.questions, root), *question_files(recipe, root))


def _question_steps(recipe: Recipe, composed: str) -> tuple[Step, ...]:
    """Return the step that trains questions to documents: answers behind passages, or, where these are quoted, whether one says it."""
    from jessyfile.retrieval.shares import trains_documents, trains_questions

    if not trains_questions(recipe.retrieve):
        return ()
    quotes = recipe.retrieve is not None and recipe.retrieve.quote is not None
    answers = ("train.max_length", "complexity.level.*.iterations", "complexity.marker", *_bare(recipe))
    return (
        Step(
            "questions",
            "judge passages by the questions to documents"
            if quotes
            else "put passages before the questions to documents",
            _questions,
            inputs=(composed, "passages") if trains_documents(recipe.retrieve) else (composed,),
            reads=(
                *("retrieve.top", "retrieve.questions", "dataset.seed", "dataset.validation", "dataset.similarity"),
                *(() if quotes else answers),
            ),
            files=_question_files,
            preflight=_questions_known,
        ),
    )


def _row_steps(recipe: Recipe, data: tuple[Step, ...]) -> tuple[Step, ...]:
    """Return the steps that find the rows nearest to a question and train with them; none without examples."""
    if recipe.retrieve is None or not recipe.retrieve.examples:
        return ()
    from jessyfile.dataset.dataset_inputs import neighbour_files

    return (
        Step(
            "index",
            "make the rows findable by a question",
            _index,
            inputs=("dataset",),
            version=4,
            reads=("complexity.level.*.iterations", *(("retrieve.serve",) if recipe.retrieve.serve else ())),
            resolved=_routed,
            files=_index_files,
            units=_rows,
        ),
        Step(
            "neighbours",
            "put the nearest rows before the questions that are trained",
            _neighbours,
            version=2,
            inputs=(*(step.name for step in data), "dataset", "index"),
            reads=(
                *("dataset.seed", "dataset.similarity", "dataset.learn", "dataset.category.*.learn"),
                "retrieve.examples",
                *_bare(recipe),
            ),
            files=neighbour_files,
            units=_rows,
        ),
    )


def _bare(recipe: Recipe) -> tuple[str, ...]:
    """Return the share of bare rows where the recipe says it: results of before it could be said stay what they are."""
    return ("retrieve.bare",) if recipe.retrieve and recipe.retrieve.bare is not None else ()


def _index_files(recipe: Recipe, root: Path) -> Sequence[Path]:
    from jessyfile.dataset.dataset_inputs import index_files

    served = recipe.retrieve.serve if recipe.retrieve else None
    return (*index_files(recipe, root), *((root / served,) if served else ()))


def _preference_steps(recipe: Recipe, hosts: Hosts | None, encoding: tuple[str, ...]) -> tuple[Step, ...]:
    """Return the step that reads and splits what PREFER names, and the one that learns from it: none without it."""
    from jessyfile.dataset.dataset_inputs import preference_inputs

    if recipe.prefer is None:
        return ()
    rows = ("files", "feedback", "references", "validation", "limit")  # which are learned from, and not how
    own = tuple(f"prefer.{one.name}" for one in fields(Prefer) if one.name not in rows)
    # what PREFER has no setting for is TRAIN's
    common = ("max_grad_norm", "end_weight", "on_memory", "retries", "checkpoint_every", "grad_checkpointing")
    return (
        Step(
            "preferences",
            "read, compare and split the preferences",
            _preferences,
            reads=(
                *("prefer.method", "prefer.seed", *(f"prefer.{name}" for name in rows)),
                *("dataset.similarity", "complexity.level.*.iterations", "complexity.marker"),
                *(f"dataset.{part}" for part in _allowed(recipe)),
                *(("eval.suite.*.file",) if recipe.prefer.references else ()),
            ),
            files=preference_inputs,
            preflight=_preferences_known,
        ),
        Step(
            "prefer",
            "train the adapter onward on preferences",
            partial(_prefer, hosts=hosts),
            inputs=("base", "train", "preferences"),
            reads=(
                *(*own, *(f"train.{name}" for name in common), *_adapted(), "base.precision", *encoding),
                "complexity.level.*.iterations",  # the marker of a row without a level
            ),
            resolved=_precision,
            resumable=True,
            units=_compared,
            peak=partial(_prefer_peak, hosts=hosts),
            smaller=_prefer_smaller,
        ),
    )


@dataclass(frozen=True, slots=True)
class _Read:
    """Which addresses of a recipe several steps read, and which of them follow from what it leaves out.

    rows      what a level means; its time limit is a criterion's business: a change of it must not make rows anew
    system    the system prompt, where rows are trained with it
    sampling  how a model is asked
    suites    the cases that are asked; those whose references are trained are not
    trained   the setting that takes cases out, where the recipe has it
    packing   how weights are rounded; weighing, the rows by which errors are weighed: what they do not change is kept when they change
    encoding  how rows become tokens
    learned   whether rows are encoded at all: where an adapter is taken, only those by which errors are weighed
    """

    rows: tuple[str, ...]
    system: tuple[str, ...]
    sampling: tuple[str, ...]
    suites: tuple[str, ...]
    trained: tuple[str, ...]
    packing: tuple[str, ...]
    weighing: tuple[str, ...]
    encoding: tuple[str, ...]
    learned: bool

    @staticmethod
    def of(recipe: Recipe) -> _Read:
        from jessyfile.export.tensor_types import weighs

        weighed = recipe.export.imatrix and weighs(recipe.export.quantize)
        trained = ("prefer.references",) if recipe.prefer and recipe.prefer.references else ()
        system = ("system",) if recipe.train.include_system else ()
        return _Read(
            rows=("complexity.level.*.iterations", "complexity.marker"),
            system=system,
            sampling=("system", "template", "message.*", "parameter.*", "eval.max_tokens"),
            suites=("eval.suite.*", *trained),
            trained=trained,
            packing=("export.quantize", *(("export.imatrix",) if weighed else ())),
            weighing=("encode",) if weighed else (),
            encoding=("train.max_length", "train.include_system", "complexity.marker", *system),
            learned=weighed or not recipe.lora.trained,
        )


def compile_steps(recipe: Recipe, hosts: Hosts | None = None) -> tuple[Step, ...]:
    """Return the recipe's steps in an order in which every step comes after its inputs; `hosts` are the processes that train."""
    read = _Read.of(recipe)
    data = _data_steps(recipe, read)
    rows, passages = _row_steps(recipe, data), _passage_steps(recipe)
    retrieval = tuple(step.name for step in (*rows[:1], *passages))  # the steps that serve
    before = rows[1:] if read.learned else ()
    # without RETRIEVE the rows are trained as `dataset` leaves them
    composed = before[0].name if before else "dataset"
    questions = _question_steps(recipe, composed) if read.learned else ()
    composed = questions[0].name if questions else composed
    preferences = _preference_steps(recipe, hosts, ("train.include_system", "complexity.marker", *read.system))
    # the step whose adapter is merged, compared and served
    adapted = "prefer" if preferences else "train"
    return (
        *_base_steps(recipe),
        *data,
        *preferences[:1],
        _dataset_step(recipe, data, read),
        *passages,
        *rows[:1],
        *before,
        *questions,
        *_training_steps(recipe, read, composed, hosts),
        *preferences[1:],
        *_export_steps(recipe, read, _proof_step(recipe, read, composed, adapted), adapted, retrieval),
        *_evaluation_steps(recipe, read, adapted, retrieval),
        _promote_step(recipe.name),
    )


def _untouched(recipe: Recipe) -> str:
    """Return the step that leaves the base as nobody has tuned it: with ADAPTER, training starts from another model."""
    return "from" if recipe.adapter else "base"


def _base_steps(recipe: Recipe) -> tuple[Step, ...]:
    from jessyfile.models.base_inputs import base_files, named_files

    base = Step(
        "base",
        "find the base model and bring it to an MLX folder",
        _base,
        reads=("from", "adapter"),
        files=base_files,
        version=2,
        preflight=_base_known,
        about=_base_about,
        disk=_base_disk,
        estimate=partial(_write_time, disk=_base_disk),
    )
    if not recipe.adapter:
        return (base,)
    untouched = replace(base, name="from", reads=("from",), files=named_files, preflight=None, about=None, disk=None)
    title = "merge ADAPTER into the base: training starts from there"
    return (untouched, replace(base, title=title, run=_adapted_base, inputs=("from",)))


def _data_steps(recipe: Recipe, read: _Read) -> tuple[Step, ...]:
    """Return a step for each category of rows, last for those that ask the rows of others again."""
    from jessyfile.dataset.dataset_inputs import category_files

    # a title is for people; only a teacher reads it besides
    own = ("count", "language", "level", "topic.*", *(("title",) if recipe.dataset.teacher else ()))
    told = ("feedback",) if recipe.dataset.feedback else ()
    common = ("seed", "similarity", "seeds", "augment.*", "teacher.*", *_allowed(recipe), *told)
    return tuple(
        Step(
            f"data.{category.name}",
            category.title,
            _category,
            reads=(
                *(
                    f"dataset.category.{category.name}.{part}"
                    for part in (*own, *(("refine",) if category.refine else ()))
                ),
                *(f"dataset.{part}" for part in common),
                *read.rows,
            ),
            files=category_files(category.name),
            preflight=_category_known,
            inputs=tuple(f"data.{name}" for name in category.refine),
            units=lambda *_, count=category.count: float(count),
        )
        for category in sorted(recipe.dataset.categories, key=lambda one: bool(one.refine))
    )


def _allowed(recipe: Recipe) -> tuple[str, ...]:
    """Return `allow` where it is written, so that results made before there was such a setting stay."""
    return ("allow",) if recipe.dataset.allow else ()


def _dataset_step(recipe: Recipe, data: tuple[Step, ...], read: _Read) -> Step:
    from jessyfile.dataset.dataset_inputs import dataset_files

    settings = ("seed", "validation", "similarity", "markers", "replay.*", *_allowed(recipe))
    return Step(
        "dataset",
        "filter, split and format the rows",
        _dataset,
        inputs=tuple(step.name for step in data),
        reads=(*(f"dataset.{part}" for part in settings), *read.rows),
        files=dataset_files,
        preflight=_dataset_known,
        units=_rows,
        version=5,
    )


def _training_steps(recipe: Recipe, read: _Read, composed: str, hosts: Hosts | None) -> tuple[Step, ...]:
    encode = Step(
        "encode",
        "tokenize, mask and prove the mask",
        _encode,
        inputs=("base", composed),
        reads=read.encoding,
        version=3,
        units=_rows,
    )
    train = _taken_step() if recipe.lora.trained else _train_step(hosts)
    return (encode, train) if read.learned else (train,)


def _train_step(hosts: Hosts | None) -> Step:
    return Step(
        "train",
        "train the adapter",
        partial(_train, hosts=hosts),
        inputs=("base", "encode"),
        reads=(*_adapted(), *_learned(), "base.precision", "personality.per_batch"),
        resolved=_precision,
        version=4,
        resumable=True,
        units=_rows_trained,
        preflight=partial(_train_known, hosts=hosts),
        estimate=_train_time,
        peak=partial(_train_peak, hosts=hosts),
        smaller=_train_smaller,
    )


def _taken_step() -> Step:
    from jessyfile.models.base_inputs import trained_files

    return Step(
        "train",
        "take the adapter that LORA names: nothing is trained",
        _taken,
        inputs=("base",),
        reads=("lora.*",),
        files=trained_files,
        preflight=_taken_known,
        timed_as="taken",
    )


def _proof_step(recipe: Recipe, read: _Read, composed: str, adapted: str) -> Step:
    """Return the step that proves the file; where no rows are encoded it encodes the few that it asks, some as they are asked when the
    model serves.
    """
    made = (adapted, "merge", "gguf", "modelfile")
    step = Step(
        "parity",
        "prove that the GGUF answers as the trained model does",
        _parity,
        inputs=("base", composed, "encode", *made),
        version=2,
        preflight=_parity_known,
    )
    if read.learned:
        return step
    served = ("index",) if recipe.retrieve and recipe.retrieve.examples else ()
    reads = (*read.encoding, *(("retrieve.examples",) if served else ()))
    return replace(
        step, inputs=("base", "dataset", *served, *made), reads=reads, files=_proofs, timed_as="parity.taken"
    )


def _proofs(recipe: Recipe, root: Path) -> Sequence[Path]:
    from jessyfile.parity.proof import proof_files

    return proof_files(recipe, root)


def _export_steps(
    recipe: Recipe, read: _Read, proof: Step, adapted: str, retrieval: tuple[str, ...]
) -> tuple[Step, ...]:
    """Return the steps from the adapter to a registered candidate."""
    from jessyfile.export.registry import holds_candidate

    return (
        Step(
            "merge",
            "merge the adapter in full precision",
            _merge,
            inputs=("base", adapted),
            disk=_merge_disk,
            estimate=partial(_write_time, disk=_merge_disk),
        ),
        Step(
            "gguf",
            "write and check the GGUF",
            _gguf,
            inputs=("merge", *read.weighing),
            reads=("export.format", *read.packing),
            version=3,
            preflight=_gguf_known,
            disk=_gguf_disk,
            estimate=partial(_write_time, disk=_merge_disk),
        ),
        Step(
            "modelfile",
            "render the Modelfile",
            _modelfile,
            inputs=("base",),
            reads=("name", "system", "template", "parameter.*", "message.*", "license.*", "requires", *read.rows),
            version=2,
            preflight=_modelfile_known,
        ),
        proof,
        Step(
            "import",
            "register the candidate with the engine",
            _import,
            inputs=("gguf", "modelfile", "parity", *retrieval),
            reads=(
                *("name", "deploy.engine", "deploy.ollama", "complexity.level.*.within"),
                *(f"retrieve.{part}" for part in (_SHOWN if retrieval else ())),
                *(("route.*",) if recipe.routes else ()),
            ),
            still_in_effect=holds_candidate,
            preflight=_import_known,
        ),
    )


def _evaluation_steps(recipe: Recipe, read: _Read, adapted: str, retrieval: tuple[str, ...]) -> tuple[Step, ...]:
    """Return the steps from a registered candidate to the verdict; behind rows or passages it is asked in a second way, too, and so is the model
    that training starts from where that is not the base.
    """
    from jessyfile.evaluation.suite_inputs import reference_inputs, suite_files
    from jessyfile.language.metric_table import thought_levels

    answer_all = partial(
        Step,
        reads=(*read.sampling, *read.suites, *read.rows),
        files=reference_inputs if read.trained else suite_files,
        preflight=_suites_known,
        resumable=True,
        units=_cases,
        estimate=_answer_time,
    )
    asked = partial(answer_all, run=_evaluate, inputs=("import",), version=2)
    ways = [asked("evaluate", "answer every suite with the candidate")]
    if retrieval:
        ways.append(asked("evaluate.other", "answer every suite the other way, bare or behind what is retrieved"))
    before: tuple[Step, ...] = ()
    if any(one.value == "previous" for one in recipe.evaluation.criteria):
        title = "answer every suite with the model promoted before"
        before = (answer_all("previous", title, run=_previous, inputs=("import",)),)
    if thought_levels(one.metric for one in recipe.evaluation.criteria):
        loops = partial(asked, version=1, reads=(*read.sampling, *read.suites, *read.rows, "complexity.level.*.within"))
        title = "think about the cases of the levels whose whole loop a criterion times"
        ways.append(loops("think", title, run=_think, units=_loops, estimate=_loop_time, resolved=_thought))
    contrast = _contrast_steps(recipe, ("train.include_system", *read.system, *read.rows, *read.suites))
    made, started = _start_steps(recipe, read, partial(answer_all, run=_start))
    return (
        answer_all(
            "baseline",
            "answer every suite with the base model",
            run=_baseline,
            inputs=(_untouched(recipe), *read.weighing),
            reads=(*read.sampling, *read.suites, *read.rows, *read.packing, "deploy.engine", "deploy.ollama"),
            disk=_gguf_disk,
            version=3,
        ),
        *made,
        *started,
        *ways,
        *before,
        *contrast,
        _judge_step(
            read, ("train", adapted, "baseline", *(one.name for one in (*started, *ways, *before, *contrast[-1:])))
        ),
    )


def _judge_step(read: _Read, measured: tuple[str, ...]) -> Step:
    """Return the step that compares what those steps measured, each named once, with the criteria."""
    from jessyfile.evaluation.suite_inputs import reference_inputs

    return Step(
        "judge",
        "compare the measurements with the criteria",
        _judge,
        inputs=tuple(dict.fromkeys(measured)),
        reads=(
            *("eval.criterion.*", "eval.judge.*"),
            "complexity.*",
            *(f"personality.{rule}" for rule in ("always", "never", "often")),
            *read.trained,
        ),
        files=reference_inputs,
        preflight=_judge_known,
        resolved=_plugins,
        version=8,
    )


def _start_steps(recipe: Recipe, read: _Read, ask: Callable[..., Step]) -> tuple[tuple[Step, ...], tuple[Step, ...]]:
    """Return the steps that make the model askable that training starts from, and those that ask it: bare, and behind the rows that it
    knows. None without ADAPTER.
    """
    from jessyfile.dataset.dataset_inputs import index_files
    from jessyfile.retrieval.shares import known_to_start

    if not recipe.adapter:
        return (), ()
    gguf = Step(
        "gguf.start",
        "write the GGUF of the model that training starts from",
        _gguf,
        inputs=("base", *read.weighing),
        reads=("export.format", *read.packing),
        version=3,
        disk=_gguf_disk,
    )
    bare = ask(
        "start",
        "answer every suite with the model that training starts from",
        inputs=("base", "gguf.start"),
        preflight=_start_known,
    )
    if not known_to_start(recipe):
        return (gguf,), (bare,)
    index = Step(
        "index.start",
        "make the rows findable that the start knows",
        _index,
        version=3,
        inputs=("dataset",),
        reads=("complexity.level.*.iterations", "dataset.learn", "dataset.category.*.learn"),
        files=index_files,
        units=_rows,
    )
    behind = ask(
        "start.rows",
        "answer every suite with it, behind the rows that it knows",
        inputs=("base", "gguf.start", "index.start"),
        reads=(*read.sampling, *read.suites, *read.rows, "retrieve.examples", "retrieve.answer"),
    )
    return (gguf, index), (bare, behind)


def _promote_step(name: str) -> Step:
    from jessyfile.export.registry import holds_latest

    return Step(
        "promote",
        f"move {name}:latest to the candidate",
        _promote,
        inputs=("import", "judge"),
        reads=("name", "deploy.*"),
        still_in_effect=holds_latest,
        preflight=_name_writable,
    )
