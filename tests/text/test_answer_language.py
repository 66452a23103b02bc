"""The language of an answer, short and long, in Turkish, English and the mix."""

from __future__ import annotations

import pytest
from evaluation_fakes import seed_rows

from jessyfile.text.answer_language import in_language


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
