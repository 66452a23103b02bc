"""One answer to every question is no answer, and a passing word list is no evidence."""

from __future__ import annotations

import pytest
from evaluation_fakes import make_case
from test_voice import SALAD, STOCK

from jessyfile.evaluation.cases import Case, read_cases
from jessyfile.evaluation.nearness import likeness, nearest
from jessyfile.evaluation.scores import misses
from jessyfile.evaluation.stock import stock_answers
from jessyfile.evaluation.voice import voice_faults
from jessyfile.resources import resource

PARAGRAPH = (
    "Bence bunun tek cevabı yok ama ben bir yerde durmak isterdim. İnsan bir yandan güven, düzen ve aile istiyor, öbür yandan "
    "özgür olmak; emek veriyor, korku duyuyor, zarar görüyor, pişman oluyor. Toplum, vicdan, adalet, şans … telafi eder, "
    "özür dilerdim."
)


@pytest.fixture(scope="module")
def chat() -> list[Case]:
    return [
        case for name in ("turkish", "emotional") for case in read_cases(resource("data", "eval", f"{name}.jsonl"))[0]
    ]


def passing(cases: list[Case], text: str) -> float:
    found = [
        case for case in cases if not misses(case, text) and not list(voice_faults(text, case.prompt, case.language))
    ]
    return len(found) / len(cases)


@pytest.mark.parametrize("text", [STOCK, SALAD])
def test_a_stock_answer_passes_under_one_case_in_twenty(chat: list[Case], text: str) -> None:
    """A stock answer passed 30 of 100 chat cases, a salad of 27 words 58."""
    assert passing(chat, text) < 0.05


def test_a_prepared_paragraph_behind_an_echo_is_no_answer_to_small_talk(chat: list[Case]) -> None:
    """Behind an echo of the question one paragraph passed 17 of 40 philosophical cases."""
    found = [case for case in chat if not misses(case, f"{case.prompt} {PARAGRAPH}")]
    assert len(found) < 0.05 * len(chat)


def test_what_four_questions_got_answers_none_of_them() -> None:
    cases = [
        make_case(f"turkish-{n}", prompt=f"{word} ne zaman başlıyor abi")
        for n, word in enumerate(["maç", "film", "ders", "konser"])
    ]
    echoed = {case.id: f"{case.prompt} Bence tek cevabı yok bunun." for case in cases}
    assert stock_answers(cases, echoed) == {case.id for case in cases}
    assert stock_answers(cases[:3], echoed) == frozenset()
    longer = "Sekizde, ama kapı yedide açılıyor, erken git. Bence tek cevabı yok bunun."
    assert stock_answers(cases, {**echoed, cases[0].id: longer}) == {case.id for case in cases[1:]}


def test_a_clearly_near_answer_decides_and_an_unclear_one_does_not() -> None:
    good, bad = ("Çok üzüldüm, başın sağ olsun.",), ("Kedi sonuçta, yenisini alırsın.",)
    assert nearest("Çok üzüldüm ya, başın sağ olsun kanka.", good, bad) == "good"
    assert nearest("Kedi sonuçta, yarın yenisini alırsın işte.", good, bad) == "bad"
    assert nearest("Akşama ne yesek?", good, bad) is None
    assert nearest(good[0], good, bad) is None
    assert likeness("şok oldum", "sok oldum") == pytest.approx(1)
