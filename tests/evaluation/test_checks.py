"""Every kind of check passes what it should and complains in words."""

from __future__ import annotations

import pytest

from jessyfile.evaluation.cases import Check
from jessyfile.evaluation.checks import complaint, passes, rule_holds


@pytest.mark.parametrize(
    ("check", "good", "bad", "words"),
    [
        (Check("any_of", ("pilav", "makarna")), "Makarnayı yap", "Bilmem", "does not say pilav, makarna"),
        (Check("all_of", ("pilav", "yoğurt")), "Pilav, yoğurt", "Pilav", "does not say yoğurt"),
        (Check("none_of", ("toplantı",)), "Pilav", "Toplantıya gel", "says toplantı"),
        (Check("regex", pattern=r"\d+ gün"), "3 gün", "üç gün", r"does not match \d+ gün"),
        (Check("not_regex", pattern="yapay"), "pilav", "yapay zeka", "matches yapay"),
        (Check("length", most=5), "pilav", "pilavı", "6 characters, at most 5"),
        (Check("length", least=3, most=9), "pilav", "ya", "2 characters, at least 3"),
        (Check("first_person"), "Bence olur", "Olur", "no view of its own"),
        (Check("first_person"), "Ben söylerdim", "Sana yardım ederler, dördüm de beşim de bu", "no view of its own"),
        (Check("first_person"), "Bunu yapmazdım", "Bunu yapmazdın", "no view of its own"),
        (Check("first_person"), "Buna inanmıyorum", "Buna inanmıyorlar", "no view of its own"),
        (
            Check("at_least", ("pilav", "yoğurt", "çay"), least=2),
            "Pilav, yoğurt",
            "Pilav",
            "says 1 of pilav, yoğurt, çay, at least 2",
        ),
        (Check("affirms", ("beş",)), "Beş köşelidir", "Altıdır, beş diyenler var", "does not say beş"),
        (Check("not_affirms", ("süt",)), "Süt verme", "Süt ver", "says süt"),
        (Check("denies", ("muhtar",)), "Muhtara gitmene gerek yok", "Muhtara git", "does not deny muhtar"),
        (Check("number", numbers=(9.0,)), "%9 eder", "19 eder", "does not say 9 alone"),
        (
            Check("number", numbers=(5.0,)),
            "Beştir",
            "Altı köşelidir, beş diyenler karıştırıyor",
            "does not say 5 alone",
        ),
        (
            Check("chooses", options=(("çay",), ("kahve",))),
            "Kahve, çay değil",
            "Çay da kahve de güzel",
            "takes no side, or the wrong one",
        ),
        (Check("mood", mood="loss"), "Çok üzüldüm", "Helal olsun valla", "says what loss forbids"),
        (Check("touches", ("maç",), asking=True), "Ne dedi?", "Kabak dolması güzel", "is about something else"),
        (Check("first_person"), "Ben öyle derdim", "Arabayı getirdim, çayı bitirdim", "no view of its own"),
        (Check("first_person"), "Ben buna karşıyım", "Karşıdan geldim", "no view of its own"),
        (
            Check("no_analysis"),
            "Biraz felsefe okumuşum işte",
            "Öte yandan varoluşsal bir mesele",
            "analyses, or makes a list",
        ),
        (Check("first_person"), "I'd wait", "Wait", "no view of its own"),
        (Check("no_analysis"), "Olur, gel.", "1. Gel\n2. Git", "analyses, or makes a list"),
        (Check("no_analysis"), "İyi bir soru bu", "Bu felsefi bir mesele", "analyses, or makes a list"),
        (Check("no_analysis"), "Saat 5'te", "# Giriş", "analyses, or makes a list"),
    ],
)
def test_a_check_tells_good_from_bad(check: Check, good: str, bad: str, words: str) -> None:
    assert passes(check, good)
    assert not passes(check, bad)
    assert complaint(check, bad) == words


def test_personality_rules_are_words_or_patterns() -> None:
    assert rule_holds("bence", "Bence olur")
    assert rule_holds("/^bence/", "Bence olur")
    assert not rule_holds("/^olur/", "Bence olur")
    assert rule_holds("/", "a / b")


def test_numbers_of_the_question_may_stand_beside_the_right_one() -> None:
    """`Yüzde 20'si 100, toplam 600` failed where the case's author had not thought of the 20 that was asked about."""
    sum_asked = Check("number", numbers=(600.0,), also=(100.0,))
    assert passes(sum_asked, "Yüzde 20'si 100, toplam 600.", "500 dedi usta, yüzde 20yle ne ödicem")
    assert not passes(sum_asked, "Yüzde 20'si 100, toplam 600.", "ne ödicem")
    assert not passes(sum_asked, "500 ödersin.", "500 dedi usta, yüzde 20yle ne ödicem")
