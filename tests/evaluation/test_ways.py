"""Bare questions against those behind rows: the same cases, both witnesses of the level, what the rows themselves said."""

from __future__ import annotations

from evaluation_fakes import make_answer, make_case, make_recipe

from jessyfile.engines.engine import Retrieved, Shown
from jessyfile.evaluation.verdict import score_all
from jessyfile.evaluation.ways import two_ways
from jessyfile.retrieval.levels import Vote

LEVELS = ("low", "low", "high", "medium")
CASES = [make_case(f"turkish-00{n}", level=level) for n, level in enumerate(LEVELS)]


def told(level: str | None, *, as_it_stands: bool = False) -> Retrieved:
    return Retrieved((Shown("row", 0.9),), as_it_stands, None if level is None else Vote(level, 0.8))


def scored(recipe, answers):  # type: ignore[no-untyped-def]
    return list(score_all(recipe, CASES, {answer.id: answer for answer in answers}).values())


def test_both_ways_stand_beside_each_other(tmp_path) -> None:  # type: ignore[no-untyped-def]
    """What is better behind rows is counted case by case; answers that are a row's own say nothing of the marker."""
    recipe = make_recipe(tmp_path)
    bare = [make_answer(case.id, level="low") for case in CASES]
    behind = [
        make_answer(CASES[0].id, level="low", retrieved=told("low")),
        make_answer(CASES[1].id, level="low", retrieved=told("high")),
        make_answer(CASES[2].id, level="high", retrieved=told("high")),
        make_answer(CASES[3].id, level="low", retrieved=told("medium", as_it_stands=True)),
    ]
    found = two_ways("retrieved", scored(recipe, bare), scored(recipe, behind), ())
    level = found.shares["level_accuracy"]
    assert (level.bare.value, level.retrieved.value) == (0.5, 0.75)
    assert (level.compared.better, level.compared.worse) == ((CASES[2].id,), ())
    assert (found.other, found.of_other()["level_accuracy"]) == ("bare", 0.5)
    assert (found.as_they_stand, found.asked) == (1, 4)
    assert found.level is not None
    assert (found.level.cases, found.level.agreeing, found.level.right) == (3, 2, 2)
    assert (found.level.marker.value, found.level.vote.value) == (1, 2 / 3)


def test_what_nobody_voted_for_has_no_witnesses(tmp_path) -> None:  # type: ignore[no-untyped-def]
    recipe = make_recipe(tmp_path)
    answers = [make_answer(case.id, retrieved=told(None)) for case in CASES]
    found = two_ways("bare", scored(recipe, answers), scored(recipe, answers), ())
    assert found.level is None
    assert found.other == "retrieved"
