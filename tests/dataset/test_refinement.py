"""A question is put again with its draft: one wording for rows and for the loop, and it is known for what it is."""

from __future__ import annotations

import pytest

from jessyfile.dataset.refinement import better, question_place, refinement_turns
from jessyfile.language.recipe import Message

ASKED = [Message("user", "selam"), Message("assistant", "[low 1]\nSelam!"), Message("user", "Bilinç nedir?")]


def test_the_draft_stands_behind_what_the_first_answer_was_asked_with() -> None:
    """A prompt cache serves everything up to the draft, which is as the model wrote it."""
    turns = refinement_turns(ASKED, "[high 9]\nBilmiyorum.")
    assert turns[:3] == ASKED
    assert turns[3] == Message("assistant", "[high 9]\nBilmiyorum.")
    assert turns[4].role == "user"
    assert len(turns) == 5


@pytest.mark.parametrize(
    ("question", "language", "spoken"),
    [
        ("Bilinç nedir?", None, "tr"),
        ("Rust'ta ownership ne demek", None, "tr"),
        ("What is consciousness?", None, "en"),
        ("GIL?", None, "en"),
        ("Was ist Bewusstsein?", "de", "en"),
        ("What is ownership?", "mixed", "tr"),
        ("merhaba", "en", "en"),
    ],
)
def test_it_is_asked_in_the_language_of_the_conversation(question: str, language: str | None, spoken: str) -> None:
    """Turkish where it is spoken, English for every other language; the one named comes before the one that the question looks like."""
    assert refinement_turns([Message("user", question)], "?", language)[-1].content == better(spoken)
    assert better("tr") != better("en")


def test_the_question_is_found_again() -> None:
    """What retrieves by the question must not retrieve by what asks for a better answer."""
    assert question_place(ASKED) == 2
    assert question_place(refinement_turns(ASKED, "Bilmiyorum.")) == 2
    assert question_place(refinement_turns([Message("user", "What is it?")], "I don't know.")) == 0
    assert question_place([Message("user", better("tr"))]) == 0
