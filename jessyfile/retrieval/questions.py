"""The questions to documents that RETRIEVE names: JSON lines of a question, its passage, and its answer. Light: a plan reads it.

They are about the documents that are served, or, where a folder is named, about those that lie beside them in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from jessyfile.dataset.marker import control_token
from jessyfile.language.suggest import similar
from jessyfile.retrieval.documents import document_files
from jessyfile.retrieval.passages import DocumentPassage
from jessyfile.text.json_lines import Fault, read_jsonl
from jessyfile.text.turkish import nfc, normal

QUESTIONS = "questions.jsonl"  # in a folder that brings its own documents
_FIELDS = ("question", "passage", "answer")
_LONGEST = 8000


@dataclass(frozen=True, slots=True)
class About:
    """Where questions are written, and the folder of the documents that they are about; "" for those that are served."""

    file: str
    documents: str


def asked_about(named: str) -> About:
    """Return what RETRIEVE's `questions` names: a file, or, without an ending, a folder that brings its own documents."""
    return About(named, "") if PurePosixPath(named).suffix else About(f"{named}/{QUESTIONS}", named)


def asked_files(named: str, root: Path) -> tuple[Path, ...]:
    """Return the file of what `questions` names, and the documents that it brings."""
    about = asked_about(named)
    return (root / about.file, *(document_files(about.documents, root) if about.documents else ()))


@dataclass(frozen=True, slots=True)
class Question:
    """A question, the passage that answers it (None: none does), its answer in the user's words, and where it was written."""

    question: str
    passage: DocumentPassage | None
    answer: str | None
    place: str


def read_questions(
    path: Path, name: str, held: Sequence[DocumentPassage], below: str = ""
) -> tuple[list[Question], list[Fault]]:
    """Return the questions of a file, and what is wrong with the others.

    Args:
        path: the file.
        name: what stands for it in faults.
        held: the passages that they may name.
        below: the folder from which they name them.

    Raises:
        StorageError: the file cannot be read.
    """
    by_id = {one.id.removeprefix(f"{below}/"): one for one in held}
    found: dict[str, Question] = {}
    faults: list[Fault] = []
    for line in read_jsonl(path, name):
        if isinstance(line, Fault):
            faults.append(line)
            continue
        wrong = _wrong(line.value, by_id)
        if wrong is None:
            one = _question(line.value, by_id, f"{name}:{line.number}")
            first = found.setdefault(normal(one.question), one)
            wrong = None if first is one else f"asks what {first.place} asks"
        if wrong is not None:
            faults.append(Fault(name, line.number, wrong))
    return list(found.values()), faults


def _question(value: dict[str, object], by_id: dict[str, DocumentPassage], place: str) -> Question:
    said, named = value.get("answer"), value["passage"]
    passage = by_id[nfc(named)] if isinstance(named, str) else None
    return Question(
        nfc(str(value["question"])).strip(), passage, nfc(said).strip() if isinstance(said, str) else None, place
    )


def _wrong(value: dict[str, object], by_id: dict[str, DocumentPassage]) -> str | None:
    """Return what is wrong with a line, None for nothing."""
    extra = [key for key in value if key not in _FIELDS]
    if extra:
        return f"unknown field `{extra[0][:40]}`; a line has `question`, `passage` and, if you like, `answer`"
    for key in ("question", "answer"):
        if key in value and (fault := _text_fault(value[key])) is not None:
            return f"`{key}` {fault}"
    if "question" not in value or "passage" not in value:
        return f"lacks `{'question' if 'question' not in value else 'passage'}`"
    named = value["passage"]
    if named is None:
        return None
    if not isinstance(named, str):
        return "`passage` is no text: name one, as in `notes/car.md#Tyres`, or write null where no document answers"
    if nfc(named) in by_id:
        return None
    near = similar(named, list(by_id))
    return f"there is no passage `{named[:80]}`{f'; a similar one is `{near}`' if near else ''}"


def _text_fault(text: object) -> str | None:
    if not isinstance(text, str) or not text.strip():
        return "is no text"
    if len(text) > _LONGEST:
        return f"has more than {_LONGEST} characters"
    token = control_token(text)
    return f"holds `{token}`, which a model reads as the end of a turn" if token else None
