"""The steps `likelihood.base`, `likelihood.start` and `likelihood.tuned`, which read a model each, and `contrast`, which compares them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from jessyfile.errors import Interrupted
from jessyfile.evaluation.answer_likelihood import AnswerLayout, CaseLikelihood, layout_of, likelihoods, texts
from jessyfile.evaluation.contrast import contrasts
from jessyfile.evaluation.references import load_references
from jessyfile.evaluation.served_likelihood import CASES, ServedCase, ServedReader
from jessyfile.evaluation.suite_inputs import even_sample, no_references
from jessyfile.fsops import append_line, write_text
from jessyfile.planning.canonical import readable
from jessyfile.results.facts import BaseFacts, ContrastFacts, LikelihoodFacts
from jessyfile.results.quality import CONTRAST_FILE
from jessyfile.results.typed_json import read_as
from jessyfile.text.json_lines import read_log, write_jsonl
from jessyfile.text.printable import json_text

if TYPE_CHECKING:
    from jessyfile.engines.llamacpp_engine import LlamaCpp
    from jessyfile.evaluation.cases import Case
    from jessyfile.evaluation.references import References
    from jessyfile.planning.steps import StepContext

LIKELIHOODS, KEPT = "likelihoods.jsonl", "kept.jsonl"
_TOGETHER = 8  # cases that are read together: enough to keep every core busy, few to read again after a stop
_ROOM = 8  # tokens of context beside the longest answer
_TUNABLE = "Measured on the development split, on which checks may be tuned."
Pair = tuple["Case", "References"]
T = TypeVar("T", CaseLikelihood, ServedCase)


def run_likelihood(context: StepContext) -> LikelihoodFacts:
    """Read how likely a model finds the reference answers, behind their question and without one: the merged one where it is an input, else
    the untouched base, else the one that training starts from, each in full precision.

    Raises EvaluationError, Interrupted, InsufficientMemoryError.
    """
    folder = next(context.inputs[name] for name in ("merge", "from", "base") if name in context.inputs)
    found = _each(context, _cases(context), CaseLikelihood, partial(_read_all, context, folder))
    write_jsonl(context.output / LIKELIHOODS, map(asdict, found))
    answers = [answer for one in found for answer in one.answers]
    return LikelihoodFacts(len(found), len(answers), sum(one.tokens for one in answers))


def _each(
    context: StepContext, cases: Sequence[Pair], kind: type[T], read: Callable[[Sequence[Pair]], Iterator[T]]
) -> list[T]:
    """Return what `read` yields of every case; what an interrupted run has kept is not read again."""
    kept = context.work / KEPT
    done = {one.case: one for one in _lines(kept, kind)}
    write_jsonl(kept, map(asdict, done.values()))  # a last line torn by a crash would swallow the next one
    pending = [pair for pair in cases if pair[0].id not in done]
    for one in read(pending) if pending else ():
        append_line(kept, json_text(asdict(one)))
        done[one.case] = one
        context.progress.update(len(done), len(cases), text=one.case)
    return [done[case.id] for case, _ in cases]


def _read_all(context: StepContext, folder: Path, pending: Sequence[Pair]) -> Iterator[CaseLikelihood]:
    """Yield how likely a folder's model finds the answers to cases. Raises Interrupted between some of them and the next."""
    from jessyfile.models.load import loaded_folder
    from jessyfile.training.likelihood import reader

    layout = _layout(context)
    with loaded_folder(folder) as model, reader(model) as read:
        for start in range(0, len(pending), _TOGETHER):
            if context.stop.requested():
                raise Interrupted("stopped between two cases; those that were read are kept")
            yield from likelihoods(read, layout, pending[start : start + _TOGETHER])


def _cases(context: StepContext) -> list[Pair]:
    found = load_references(context.recipe, context.root)
    if not found:
        raise no_references(context.recipe)
    return found


def _layout(context: StepContext) -> AnswerLayout:
    from jessyfile.models.chat_format import chat_format
    from jessyfile.models.tokenizer import load_tokenizer

    base = "base" if "base" in context.inputs else "from"
    form = chat_format(context.facts_of(base, BaseFacts).chat_format)
    return layout_of(context.recipe, load_tokenizer(context.inputs[base]), form)


def run_contrast(context: StepContext) -> ContrastFacts:
    """Compare the models, ask the file that is served, and write `contrast.json`. Raises EngineError, Interrupted."""
    read = {
        name: read_likelihoods(folder / LIKELIHOODS) for name, folder in context.inputs.items() if "likelihood" in name
    }
    before, after, start = (read.get(f"likelihood.{name}") or [] for name in ("base", "tuned", "start"))
    cases = even_sample(_cases(context), CASES)
    served = _each(context, cases, ServedCase, partial(_served, context, before, after))
    note = _TUNABLE if context.recipe.evaluation.contrast == "development" else ""
    found = contrasts(before, after, served, note, start)
    write_text(context.output / CONTRAST_FILE, readable(found))
    return ContrastFacts({one.metric: one.after.value for one in found.figures}, len(after), len(served))


def _served(
    context: StepContext, before: Sequence[CaseLikelihood], after: Sequence[CaseLikelihood], pending: Sequence[Pair]
) -> Iterator[ServedCase]:
    """Yield what the file says of cases. Raises Interrupted between two of them."""
    base, tuned = ({one.case: one for one in side} for side in (before, after))
    layout = _layout(context)
    with _engine(context, layout, pending) as engine:
        asked = ServedReader(engine, layout, base, tuned)
        for pair in pending:
            if context.stop.requested():
                raise Interrupted("stopped between two cases; those that were asked are kept")
            yield asked.read(*pair)


@contextmanager
def _engine(context: StepContext, layout: AnswerLayout, cases: Sequence[Pair]) -> Iterator[LlamaCpp]:
    from jessyfile.engines.engine import GenerationSettings, ServedModel
    from jessyfile.engines.llamacpp_engine import LlamaCpp
    from jessyfile.engines.serving import loaded
    from jessyfile.export.export_steps import GGUF_FILE

    longest = max(layout.longest(case, [answer for _, answer in texts(references)]) for case, references in cases)
    settings = GenerationSettings(max_tokens=1, num_ctx=longest + _ROOM)
    model = ServedModel(context.recipe.name, context.inputs["gguf"] / GGUF_FILE, layout.form.name, settings=settings)
    engine = LlamaCpp(parallel=1)
    with loaded(engine, model):
        yield engine


def read_likelihoods(path: Path) -> list[CaseLikelihood]:
    """Return what a step kept of a model; an absent file has nothing."""
    return _lines(path, CaseLikelihood)


def _lines(path: Path, kind: type[T]) -> list[T]:
    return [read_as(kind, value, f"a line of `{path.name}`") for value in read_log(path)]
