"""Loops are caught although punctuation hides them, and good answers are left alone."""

from __future__ import annotations

import pytest
from evaluation_fakes import seed_rows
from hypothesis import given
from hypothesis import strategies as st

from jessyfile.text.repetition import find_loop


@pytest.mark.parametrize(
    "text",
    [
        "Bence iyi. Bence iyi! Bence, iyi... Bence iyi",
        "elma elma elma elma elma elma",
        "1. elma\n2. elma\n3. elma\n4. elma\n5. elma\n6. elma",
        "Yarın gel. Yarın gel. Yarın gel. Yarın gel.",
        "Bu sorunun cevabı bence oldukça açık ve nettir. Bu sorunun cevabı bence oldukça açık ve nettir.",
        "comment\ncomment\ncomment\ncomment\ncomment\ncomment",
        "hahahahahahahahahahahahahahaha",
        "1000000000000000000000",
        "- bir\n- iki\n- bir\n- iki\n- bir\n- iki\n- bir\n- iki",
        "BU BÖYLE OLMAZ. bu böyle olmaz. Bu böyle olmaz!",
    ],
)
def test_a_loop_is_found(text: str) -> None:
    assert find_loop(text) is not None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Hadi hadi hadi, geç kalıyoruz!",
        "Çok çok çok güzel olmuş.",
        "hahaha iyiymiş",
        "for i in range(3): print(i)\nfor j in range(3): print(j)",
        "Ne o ne bu; ne yardan geçerim ne serden.",
        "Yavaş yavaş gel, acele etme; yavaş yavaş anlat.",
    ],
)
def test_style_is_no_loop(text: str) -> None:
    assert find_loop(text) is None


def test_no_training_answer_is_called_a_loop() -> None:
    """The check was tuned on these rows' opposites; one false alarm would make the model unlearn good answers."""
    rows = seed_rows()
    answers = [row["response"] for row in rows]
    assert len(answers) > 400
    assert [text for text in answers if find_loop(text) is not None] == []


@given(
    st.lists(
        st.sampled_from(["ev", "yol", "su", "kedi", "masa", "deniz", "gece"]), min_size=2, max_size=6, unique=True
    ),
    st.lists(st.sampled_from([" ", ", ", ". ", "\n", " - ", "! ", "\n2. "]), min_size=6, max_size=6),
)
def test_any_phrase_six_times_is_a_loop_whatever_stands_between(phrase: list[str], gaps: list[str]) -> None:
    assert find_loop("".join(" ".join(phrase) + gap for gap in gaps)) is not None
