"""A case out of somebody's own rows is held against their answer alone, in any language and without a persona's ways."""

from __future__ import annotations

import pytest
from evaluation_fakes import make_answer, make_case, make_recipe

from jessyfile.evaluation.cases import Check
from jessyfile.evaluation.checks import complaint, passes
from jessyfile.evaluation.verdict import score_all

TOLD = "Size nasıl yardımcı olabilirim? Kargonuz iki iş günü içinde kapınızda olur."
LIKE = Check("like", texts=(TOLD,), alike=0.6)


@pytest.mark.parametrize(
    ("answer", "right"),
    [
        (TOLD, True),
        ("Kargonuz iki iş günü içinde kapınızda olur. Size nasıl yardımcı olabilirim?", True),
        ("İade on dört gün içinde ücretsizdir.", False),
        ("", False),
    ],
)
def test_an_answer_is_as_like_a_text_as_is_asked(answer, right):
    assert passes(LIKE, answer) is right


def test_what_has_no_letters_is_like_itself_alone():
    assert passes(Check("like", texts=("+",), alike=0.4), "+\n")
    assert not passes(Check("like", texts=("+",), alike=0.4), "-")


def test_the_complaint_says_how_like_it_was():
    assert complaint(LIKE, "Bilmem.") == f"is 2% like `{TOLD[:60]}`, at least 60% is asked"


def test_a_shops_own_answers_are_not_told_to_speak_like_a_friend(tmp_path):
    """A support model that says `siz`, as its rows do, failed every Turkish case."""
    own = [make_case(f"shop-{n}", language="tr", form=(), relevance=(LIKE,)) for n in range(6)]
    persona = make_case("talk-1", language="tr", form=(), relevance=(Check("any_of", ("kargo",)),))
    recipe = make_recipe(tmp_path)
    answers = {one.id: make_answer(one.id, TOLD) for one in (*own, persona)}
    scores = score_all(recipe, [*own, persona], answers)
    assert all(scores[one.id].shape and scores[one.id].relevant for one in own)
    assert not scores["talk-1"].shape
