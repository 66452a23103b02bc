"""The notes that come with jessy, and the questions to them: whole, unambiguous, and no part of what benchmarks ask."""

import json
from collections import Counter
from functools import cache

import pytest

from jessyfile.retrieval.documents import Documents, read_documents
from jessyfile.retrieval.passages import DocumentPassage
from jessyfile.retrieval.questions import QUESTIONS, Question, read_questions
from jessyfile.text.turkish import normal
from tests.walks import HOUSE

NOTES = "data/notes"
SETS = ("development", "final", "second")


@cache
def notes() -> Documents:
    return read_documents(NOTES, HOUSE)


@cache
def asked() -> tuple[Question, ...]:
    found, faults = read_questions(HOUSE / NOTES / QUESTIONS, QUESTIONS, notes().passages, NOTES)
    assert faults == []
    return tuple(found)


def plain(passage: DocumentPassage) -> str:
    return normal(f"{passage.title} {passage.text}")


def test_every_note_can_be_read_and_every_question_names_one_of_their_passages():
    assert (notes().faults, notes().passed_over) == ((), ())
    assert (notes().files, len(asked())) == (210, 2079)
    assert sum(one.passage is None for one in asked()) == 745


def test_no_two_notes_say_the_same():
    """Two passages that say the same would each be the wrong answer to the other's question."""
    assert [text for text, count in Counter(map(plain, notes().passages)).items() if count > 1] == []


@pytest.mark.parametrize("name", SETS)
def test_nothing_that_a_benchmark_asks_is_taught(name: str):
    folder = HOUSE / "benchmarks" / "documents" / name
    lines = [json.loads(line) for line in (folder / "questions.jsonl").read_text("utf-8").splitlines()]
    assert {normal(line["question"]) for line in lines}.isdisjoint(normal(one.question) for one in asked())
    assert {plain(one) for one in read_documents("notes", folder).passages}.isdisjoint(map(plain, notes().passages))
