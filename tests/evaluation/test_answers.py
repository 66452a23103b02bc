"""Cases are asked once; an interrupted run goes on where it stopped."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest
from evaluation_fakes import USUAL, FakeEngine, Told, make_case

from jessyfile.dataset.example import Turn
from jessyfile.engines.engine import GenerationSettings, ServedModel
from jessyfile.errors import ContextFullError, Interrupted
from jessyfile.evaluation.answers import Asker, answer_all, conversation, read_answers, timed_cases
from jessyfile.evaluation.evaluation_steps import ask_suites
from jessyfile.evaluation.metrics import ModelScores
from jessyfile.evaluation.scores import score
from jessyfile.language.recipe import Personality
from jessyfile.text.repetition import looping

CASES = [make_case(f"turkish-{n:03}") for n in range(6)]


def asker(engine: FakeEngine) -> Asker:
    return Asker(engine, USUAL, GenerationSettings())


def test_earlier_answers_carry_their_markers_as_in_training() -> None:
    case = make_case(turns=(Turn("user", "selam"), Turn("assistant", "Selam!", "low", 1)))
    assert [turn.content for turn in conversation(case, USUAL)] == ["selam", "[low 1]\nSelam!", case.prompt]


@pytest.mark.parametrize("parallel", [1, 3])
def test_answers_come_back_in_the_cases_order(tmp_path: Path, parallel: int) -> None:
    engine = FakeEngine(lambda prompt: f"[medium 4]\n{prompt}", parallel=parallel)
    told = Told()
    answers = answer_all(asker(engine), CASES, tmp_path / "kept.jsonl", told, told)
    assert [answer.id for answer in answers] == [case.id for case in CASES]
    assert [answer.text for answer in answers] == [case.prompt for case in CASES]
    assert {(answer.level, answer.iterations) for answer in answers} == {("medium", 4)}
    assert told.heard[0][:2] == (0, 6)
    assert told.heard[-1][:2] == (6, 6)


def test_latency_is_measured_one_at_a_time_and_the_rest_shares_the_slots(tmp_path: Path) -> None:
    """Answers that share two cores each look slower than they are; asked one by one, 430 of them take a quarter of an hour."""
    cases = [make_case(f"turkish-{n:03}", level=level) for n, level in enumerate(["low"] * 8 + ["high"] * 2)]
    at_once: list[int] = []
    under_way = threading.Semaphore(4)

    def answer(_: str) -> str:
        under_way.acquire()
        at_once.append(4 - under_way._value)
        time.sleep(0.01)
        under_way.release()
        return "[low 1]\nBence pilav."

    engine = FakeEngine(answer, parallel=4)
    answers = answer_all(asker(engine), cases, tmp_path / "k", Told(), Told(), timed=3)
    assert [answer.id for answer in answers if answer.alone] == [
        "turkish-000",
        "turkish-002",
        "turkish-005",
        "turkish-008",
        "turkish-009",
    ]
    assert at_once[:5] == [1] * 5
    assert max(at_once[5:]) > 1
    assert [case.id for case in timed_cases(cases, 3)] == [answer.id for answer in answers if answer.alone]


def test_an_interrupted_run_asks_only_what_is_left(tmp_path: Path) -> None:
    kept, first, second = tmp_path / "kept.jsonl", FakeEngine(), FakeEngine()
    told = Told(patience=2)
    with pytest.raises(Interrupted):
        answer_all(asker(first), CASES, kept, told, told)
    answered = {answer.id for answer in read_answers(kept)}
    assert len(answered) == 3
    answers = answer_all(asker(second), CASES, kept, Told(), Told())
    assert len(answers) == 6
    assert {turns[-1].content.split()[0] for turns in second.asked} == {case.id for case in CASES} - answered


def test_a_line_torn_by_a_crash_costs_only_itself(tmp_path: Path) -> None:
    """The next answer used to be glued to the torn line, and both were lost."""
    kept = tmp_path / "kept.jsonl"
    answer_all(asker(FakeEngine()), CASES[:3], kept, Told(), Told())
    kept.write_bytes(kept.read_bytes()[:-20])
    engine = FakeEngine()
    answer_all(asker(engine), CASES, kept, Told(), Told())
    assert len(engine.asked) == 4
    assert {answer.id for answer in read_answers(kept)} == {case.id for case in CASES}


def refusing(prompt: str) -> str:
    """Answer everything but one question, which is longer than the context window."""
    if "turkish-000" in prompt:
        raise ContextFullError("the conversation has 1554 tokens and the context window 1024", 1554)
    return "[low 1]\nBence pilav."


@pytest.mark.parametrize("parallel", [1, 3])
def test_a_case_longer_than_the_context_fails_and_the_others_are_asked(tmp_path: Path, parallel: int) -> None:
    """One such case of the shipped suite `edge` ended the whole evaluation."""
    engine, kept = FakeEngine(refusing, parallel=parallel), tmp_path / "kept.jsonl"
    found = ask_suites(asker(engine), ServedModel("m", None, "gemma"), CASES, kept, Told(), Told())
    full, *others = found.answers
    assert (full.text, full.stopped, full.prompt_tokens, full.alone) == ("", "full", 1554, False)
    assert [answer.stopped for answer in others] == ["stop"] * 5
    assert found.first_token_seconds is not None  # another case has warmed the engine up
    assert read_answers(kept)[0] == full
    plain = Personality(0, (), (), ())
    scores = ModelScores([score(case, one, USUAL, plain) for case, one in zip(CASES, found.answers, strict=True)])
    reason = "not asked: the conversation of 1554 tokens is longer than the context window"
    assert scores.scores[0].failures() == [reason]
    for metric in ("no_loops", "level_accuracy", "language", "turkish_accuracy", "turkish.form", "turkish.relevance"):
        assert (scores.measure(metric).n, scores.measure(metric).failing) == (6, ("turkish-000",)), metric
    assert "turkish-000" not in scores.measure("latency.low").samples


def test_a_looping_answer_is_cut_where_it_loops(tmp_path: Path) -> None:
    engine = FakeEngine(lambda _: "Bu böyle olmaz. " * 50)
    answers = answer_all(Asker(engine, USUAL, GenerationSettings(), looping), CASES[:1], tmp_path / "k", Told(), Told())
    assert answers[0].stopped == "cut"
    assert len(answers[0].text) < 60
