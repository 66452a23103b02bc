"""The scenarios of `small_talk.feature`, against recorded answers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from evaluation_fakes import USUAL, FakeEngine
from pytest_bdd import parsers, scenarios, then, when

from jessyfile.engines.adaptive import MarkedReply, ask
from jessyfile.evaluation.cases import Check
from jessyfile.evaluation.checks import passes
from jessyfile.evaluation.repetition import find_loop
from jessyfile.language.recipe import Message
from jessyfile.text.answer_language import in_language

HERE = Path(__file__).parent
RECORDED = json.loads((HERE / "recorded.json").read_text(encoding="utf-8"))
scenarios(str(HERE / "small_talk.feature"))


@when(parsers.parse('someone writes "{question}"'), target_fixture="answer")
def _answer(question: str) -> MarkedReply:
    return ask(FakeEngine(RECORDED.__getitem__), [Message("user", question)], USUAL)


@pytest.fixture
def iterations(answer: MarkedReply) -> int:
    assert answer.iterations is not None
    return answer.iterations


@then(parsers.parse("the level is {level}"))
def _level(answer: MarkedReply, level: str) -> None:
    assert answer.level == level


@then("there is no level")
def _no_level(answer: MarkedReply) -> None:
    assert (answer.level, answer.iterations) == (None, None)


@then(parsers.parse("at most {most:d} iterations are spent"))
def _at_most(iterations: int, most: int) -> None:
    assert iterations <= most


@then(parsers.parse("between {least:d} and {most:d} iterations are spent"))
def _between(iterations: int, least: int, most: int) -> None:
    assert least <= iterations <= most


@then("the answer is in Turkish")
def _turkish(answer: MarkedReply) -> None:
    assert in_language(answer.text, "tr")


@then(parsers.parse("the answer has at most {most:d} characters"))
def _short(answer: MarkedReply, most: int) -> None:
    assert passes(Check("length", most=most), answer.text)


@then("there is no philosophical analysis in it")
def _plain(answer: MarkedReply) -> None:
    assert passes(Check("no_analysis"), answer.text)


@then("there is philosophical analysis in it")
def _analysed(answer: MarkedReply) -> None:
    assert not passes(Check("no_analysis"), answer.text)


@then(parsers.parse('the answer mentions "{word}"'))
def _mentions(answer: MarkedReply, word: str) -> None:
    assert passes(Check("any_of", words=(word,)), answer.text)


@then("the answer says what JESSY thinks")
def _own_view(answer: MarkedReply) -> None:
    assert passes(Check("first_person"), answer.text)


@then("the answer loops")
def _loops(answer: MarkedReply) -> None:
    assert find_loop(answer.text) is not None
