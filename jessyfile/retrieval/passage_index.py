"""The passages of documents, made findable by a question: the step `passages`, and what is asked of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from jessyfile.errors import DatasetError
from jessyfile.fsops import hash_file
from jessyfile.language.without_effect import many
from jessyfile.planning.canonical import digest
from jessyfile.planning.preflight import Finding
from jessyfile.results.facts import PassageFacts
from jessyfile.results.typed_json import read_as
from jessyfile.retrieval.documents import read_documents
from jessyfile.retrieval.index import FILE, Index
from jessyfile.retrieval.passages import DocumentPassage
from jessyfile.retrieval.questions import About, asked_about, read_questions
from jessyfile.retrieval.shares import trains_documents
from jessyfile.text.json_lines import read_result, write_jsonl

if TYPE_CHECKING:
    from jessyfile.language.recipe import Recipe
    from jessyfile.planning.preflight import Outlook
    from jessyfile.planning.steps import StepContext

PASSAGES = "passages.jsonl"


@dataclass(frozen=True, slots=True)
class NearPassage:
    """A passage, and how near it is to a question: 1 is the same words."""

    passage: DocumentPassage
    score: float


@dataclass(frozen=True, slots=True)
class PassageIndex:
    """Passages and the index of their titles and texts, in the same order."""

    index: Index
    passages: tuple[DocumentPassage, ...]

    @classmethod
    def build(cls, passages: Iterable[DocumentPassage]) -> PassageIndex:
        """Return passages with the index of what they say."""
        held = tuple(passages)
        return cls(Index.build([f"{one.title} {one.text}" for one in held]), held)

    def save(self, folder: Path) -> None:
        """Write passages and index into a folder."""
        self.index.save(folder)
        write_jsonl(folder / PASSAGES, map(asdict, self.passages))

    @classmethod
    def load(cls, folder: Path) -> PassageIndex:
        """Return what `save` wrote. Raises DamagedError or StateError when it is not as it was written."""
        values = read_result(folder / PASSAGES)
        held = tuple(read_as(DocumentPassage, value, f"a passage of `{folder / PASSAGES}`") for value in values)
        return cls(Index.load(folder, len(held)), held)

    def nearest(self, question: str, count: int) -> list[NearPassage]:
        """Return the passages nearest to a question, nearest first; one that has nothing in common with it is never one."""
        import numpy as np

        scores = self.index.scores(question).round(4)
        places = np.argsort(-scores, kind="stable")[:count].tolist()
        return [NearPassage(self.passages[place], float(scores[place])) for place in places if scores[place] > 0]


def passages_digest(folder: Path) -> str:
    """Return the digest of everything in an index of passages."""
    return digest({name: hash_file(folder / name) for name in (FILE, PASSAGES)})


def run_passages(context: StepContext) -> PassageFacts:
    """Write the index of the passages of the recipe's documents. Raises DatasetError for a document that cannot be read."""
    read = read_documents(_pattern(context.recipe), context.root)
    if read.faults:
        raise read.faults[0]
    for one in read.passed_over:
        context.progress.note(f"{one}: passed over")
    PassageIndex.build(read.passages).save(context.output)
    return PassageFacts(read.files, len(read.passages), passages_digest(context.output), len(read.passed_over))


def passages_preflight(outlook: Outlook) -> Iterator[Finding]:
    """Yield what is wrong with documents, and those that are passed over."""
    read = read_documents(_pattern(outlook.recipe), outlook.root)
    yield from (outlook.error(fault, "retrieve.documents") for fault in read.faults)
    for one in read.passed_over:
        hint = "write into it, or leave it out" if one.endswith("empty") else "copy it into the project"
        yield outlook.warning(DatasetError(f"{one}: it is passed over", hint=hint), "retrieve.documents")
    if outlook.machine and not read.faults:
        counted = f"{many(len(read.passages), 'passage')} of {many(read.files, 'document')}"
        trained = "" if trains_documents(outlook.recipe.retrieve) else "; nothing is trained with them"
        yield Finding("note", "", outlook.step, f"{counted} may stand before questions{trained}")


def questions_preflight(outlook: Outlook) -> Iterator[Finding]:
    """Yield what is wrong with the questions to documents."""
    named = outlook.recipe.retrieve and outlook.recipe.retrieve.questions
    if not named:
        return
    about = asked_about(named)
    if not (outlook.root / about.file).is_file():
        yield outlook.error(_no_questions(about), "retrieve.questions")
        return
    read = read_documents(about.documents or _pattern(outlook.recipe), outlook.root)
    found, faults = read_questions(outlook.root / about.file, about.file, read.passages, about.documents)
    if about.documents:
        yield from (outlook.error(fault, "retrieve.questions") for fault in read.faults)
    if not read.faults:
        hint = "a passage is named by its file, `#` and the last heading above it, as in `notes/car.md#Tyres`"
        yield from (outlook.error(DatasetError(str(one), hint=hint), "retrieve.questions") for one in faults)
    if not found and not faults:
        yield outlook.error(DatasetError(f"`{about.file}` has no question", hint="write a line, or leave it out"))


def _no_questions(about: About) -> DatasetError:
    if about.documents:
        hint = "a folder that `questions` names holds `questions.jsonl` and the documents that these are about"
        return DatasetError(f"`{about.file}` is not there", hint=hint)
    return DatasetError(f"`{about.file}` is no file", hint="a folder that `questions` names has no ending in its name")


def _pattern(recipe: Recipe) -> str:
    assert recipe.retrieve and recipe.retrieve.documents  # noqa: S101 (there is no such step without documents)
    return recipe.retrieve.documents
