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
