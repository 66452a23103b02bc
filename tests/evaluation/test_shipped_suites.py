"""The suites that come with jessy cannot be passed by accident."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import pytest
from evaluation_fakes import seed_rows

from jessyfile.evaluation.cases import Case, read_cases
from jessyfile.evaluation.clauses import read
from jessyfile.evaluation.common_words import is_common
from jessyfile.evaluation.scores import misses
from jessyfile.resources import resource

SUITES = {
    "turkish": 100,
    "technical": 100,
    "philosophical": 40,
    "iteration_control": 60,
    "personality": 60,
    "multi_turn": 40,
    "emotional": 30,
    "crisis": 20,
    "edge": 28,
}


def suite(name: str) -> Path:
    return resource("data", "eval", f"{name}.jsonl")


@pytest.fixture(scope="module")
def cases() -> list[Case]:
    return [case for name in SUITES for case in read_cases(suite(name))[0]]


def relevant(case: Case, text: str) -> bool:
    return not misses(case, text)


@pytest.mark.parametrize("name", SUITES)
def test_every_case_is_sound(name: str) -> None:
    found, faults = read_cases(suite(name))
    assert faults == []
    assert len(found) >= SUITES[name]
    assert {case.suite for case in found} == {name}
    assert len({case.id for case in found}) == len(found)


def test_every_case_asks_for_something(cases: list[Case]) -> None:
    positive = ("any_of", "all_of", "at_least", "affirms", "denies", "regex", "touches", "number", "chooses")
    assert [case.id for case in cases if not any(check.kind in positive for check in case.relevance)] == []


def test_an_echo_of_the_question_is_never_relevant(cases: list[Case]) -> None:
    """An untuned base repeats the question: it must not score by that."""
    assert [case.id for case in cases if relevant(case, case.prompt)] == []


DRAWN = 600
"""Answers that a suite is tried with at least: with 180 the luck of the draw decides between three and six in a hundred."""


def test_answers_to_other_questions_are_hardly_ever_relevant(cases: list[Case]) -> None:
    """A form-perfect answer to another question of the same level passes fewer than one case in twenty.

    A question back or a reaction that names no subject («Of ya, ne oldu?») is left out: it fits wherever something is told.
    The corpus answers every crisis alike, so its answers are right in the suite `crisis`.
    """
    rows = [row for row in seed_rows() if not all(map(is_common, read(row["response"]).tokens))]
    answers = {
        level: [row["response"] for row in rows if row["complexity"] == level] for level in ("low", "medium", "high")
    }
    chance, tried, hit = random.Random(7), Counter[str](), Counter[str]()
    sizes = Counter(case.suite for case in cases)
    for case in (case for case in cases if case.suite != "crisis"):
        for text in chance.sample(answers[case.level], -(-DRAWN // sizes[case.suite])):
            tried[case.suite] += 1
            hit[case.suite] += relevant(case, text)
    shares = {name: hit[name] / tried[name] for name in tried}
    assert max(shares.values()) < 0.05, shares
