"""The language of an answer, short and long, in Turkish, English and the mix."""

from __future__ import annotations

import json
import re

import pytest
from evaluation_fakes import seed_rows

from jessyfile.resources import resource
from jessyfile.text.answer_language import detected, in_language, language_codes


@pytest.mark.parametrize(
    ("text", "wanted", "right"),
    [
        ("Sor kanka, dinliyorum.", "tr", True),
        ("Sor kanka, dinliyorum.", "en", False),
        ("Sure, go ahead.", "en", True),
        ("Sure, go ahead and ask me whatever you want.", "tr", False),
        ("Borrow checker burada haklı: referans daha uzun yaşıyor.", "mixed", True),
        ("I would clone it here, it is cheap.", "mixed", True),
        ("Das weiß ich leider nicht, frag bitte jemand anderen.", "mixed", False),
        ("iyiyim", "tr", True),
        ("ok", "en", True),
        ("", "tr", False),
        ("", "mixed", False),
        ("42", "tr", True),
        ("42", "en", True),
        ("```\nlet x = 1;\n```\nBöyle yazarsan derlenir, çünkü sahiplik taşınmıyor.", "tr", True),
    ],
)
def test_a_language_is_recognized(text: str, wanted: str, right: bool) -> None:
    assert in_language(text, wanted) is right


def test_training_answers_are_in_their_language() -> None:
    rows = seed_rows()
    wrong = [row["response"] for row in rows if not in_language(row["response"], row["language"])]
    assert len(wrong) <= len(rows) // 100


@pytest.mark.parametrize(
    "text", ['{"queue": "billing", "urgency": "high", "order": null}', ' [{"name": "what is it"}]\n']
)
def test_json_is_in_every_language(text: str) -> None:
    """Rows that answer Turkish messages with JSON were dropped: its field names read like English."""
    assert in_language(text, "tr")
    assert not in_language(f"{text} this is what I would answer to that", "tr")


def test_the_schemas_name_the_languages_that_can_be_told():
    """German rows could not name their language: a recipe knew Turkish and English alone."""
    codes = set(language_codes())
    assert len(codes) == 75
    for file, extra in (("case", {"mixed", "any"}), ("example", {"mixed", "any"}), ("recipe", {"mixed", None})):
        text = resource("grammar", f"{file}.schema.json").read_text("utf-8")
        found = [set(json.loads(f"[{one}]")) for one in re.findall(r'"enum": \[("tr", "en", [^\]]+)\]', text)]
        assert found
        assert all(one == codes | extra for one in found)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("Wir öffnen montags bis freitags um sechs Uhr.", "de"),
        ("يمكنك استعارة خمسة كتب لمدة ثلاثة أسابيع.", "ar"),
        ("Vi har öppet mellan åtta och tolv på söndagar.", "sv"),
        ("日曜日は朝八時から正午まで開いています。どうぞお越しください。", "ja"),
        ("Kütüphane her gün sabah dokuzda açılır.", "tr"),
    ],
)
def test_a_language_is_told_by_its_code(text, code):
    assert in_language(text, code)
    assert detected([text, "ok"]) == [code, "any"]
    assert not in_language("The library opens at nine in the morning.", code)


def test_a_short_answer_is_taken_where_no_words_are_listed():
    assert in_language("Ja.", "de")
    assert not in_language("yes, of course", "tr")
