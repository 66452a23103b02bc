"""The step `index`: the rows of the dataset, made findable by a question."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from jessyfile.dataset.corrections import CORRECTION
from jessyfile.dataset.data_steps import TRAIN, VALID
from jessyfile.dataset.formatted import FormattedRow, formatted, read_formatted
from jessyfile.dataset.places import own_seed_files
from jessyfile.dataset.rows import load_rows
from jessyfile.errors import DatasetError
from jessyfile.fsops import hash_file
from jessyfile.planning.canonical import digest
from jessyfile.results.facts import IndexFacts
from jessyfile.retrieval.examples import ROWS, Example, Examples
from jessyfile.retrieval.index import FILE
from jessyfile.retrieval.levels import VOTE, calibrated
from jessyfile.retrieval.shares import known_to_start
from jessyfile.text.json_lines import Line, raise_faults, read_jsonl

if TYPE_CHECKING:
    from jessyfile.dataset.settings import DataRecipe
    from jessyfile.planning.steps import StepContext


OF_START = "index.start"


def run_index(context: StepContext) -> IndexFacts:
    """Write the index of the rows, and how the levels of those that are trained vote, calibrated on those held out.

    A row held out is marked: whoever asks the finished model finds it, training and calibration do not. Those of `serve` are found by
    nobody else, so that a suite may ask them. The step `index.start` takes the rows alone that the model knows that training starts
    from. Raises DatasetError when no training row can be shown as an example.
    """
    known = known_to_start(context.recipe) if context.name == OF_START else None
    routed, own = bool(context.recipe.routed_categories), own_topics(context.recipe, context.root)
    found = (
        [row for row in read_formatted(context.inputs["dataset"] / split) if _is_in(row, known)]
        for split in (TRAIN, VALID)
    )
    trained, held_out = (list(as_examples(rows, own, categories=routed)) for rows in found)
    if not any(row.said for row in trained):
        raise DatasetError(
            "no training row can stand before a question: all are conversations or marker rows",
            hint="add a CATEGORY with rows of one question and one answer, or remove RETRIEVE",
        )
    levels = [level.name for level in context.recipe.complexity.levels]
    voting = calibrated(Examples.build(trained), held_out, levels)
    served = [] if known is not None else list(_served(context))
    examples = Examples.build([*trained, *(replace(row, held_out=True) for row in held_out), *served])
    examples.save(context.output)
    voting.save(context.output)
    context.progress.note(f"the nearest rows vote for the right level of {voting.right} of {voting.rows} rows held out")
    answered = sum(bool(row.said) for row in examples.rows)
    return IndexFacts(len(examples.rows), answered, index_digest(context.output), voting.right, voting.rows)


def _served(context: StepContext) -> Iterator[Example]:
    """Yield the rows of `serve`. Raises DatasetError for malformed ones."""
    retrieve, marker = context.recipe.retrieve, context.recipe.complexity.marker
    if retrieve is None or retrieve.serve is None:
        return
    rows, faults = load_rows([(context.root / retrieve.serve, retrieve.serve)])
    raise_faults(faults, f"the rows of `{retrieve.serve}` are malformed")
    routed = bool(context.recipe.routed_categories)
    examples = as_examples((formatted(row, marker) for row in rows), categories=routed)
    yield from (replace(row, held_out=True, own=True, unasked=True) for row in examples)


def _is_in(row: FormattedRow, known: Collection[str] | None) -> bool:
    """Return whether a row belongs to one of these categories, or is a marker row; every row does without categories."""
    return known is None or row.kind == "marker" or row.category in known


def own_topics(recipe: DataRecipe, root: Path) -> frozenset[tuple[str, str]]:
    """Return the topics, each with its category, whose seeds are the project's: what is composed beside them is as much its own."""
    found = ((category, line) for category, path in own_seed_files(recipe, root) for line in read_jsonl(path))
    return frozenset((category, str(line.value.get("topic"))) for category, line in found if isinstance(line, Line))


def as_examples(
    rows: Iterable[FormattedRow], own: Collection[tuple[str, str]] = (), *, categories: bool = False
) -> Iterable[Example]:
    """Yield the rows of a single question that have a level of their own, with their categories where a recipe routes by them; what
    follows on earlier turns fits no other question. Those of the topics `own` are the project's, and corrections that a person made.
    """
    for row in rows:
        question, *answers = row.messages
        if len(answers) <= 1 and question.role == "user" and row.level is not None and row.iterations is not None:
            said = answers[0].content if answers and row.kind == "chat" else ""
            kind = row.category if categories and row.kind == "chat" else ""
            ours = (row.category, row.topic) in own or CORRECTION in row.tags
            yield Example(
                row.id, question.content, said, row.level, row.iterations, row.paraphrases, category=kind, own=ours
            )


def index_digest(folder: Path) -> str:
    """Return the digest of everything in an index's folder."""
    return digest({name: hash_file(folder / name) for name in (FILE, ROWS, VOTE)})
