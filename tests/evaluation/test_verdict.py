"""From answers to a verdict: form is not content, small numbers are said, the base is compared fairly."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from evaluation_fakes import by_id, make_answer, make_case, make_recipe

from jessyfile.errors import EvaluationError, StateError
from jessyfile.evaluation.cases import Case, Check
from jessyfile.evaluation.verdict import Took, Verdict, judge, read_verdict, write_verdict
from jessyfile.language.recipe import Criterion
from jessyfile.planning.canonical import readable
from jessyfile.results.facts import JudgeFacts, Opinion
from jessyfile.results.quality import Estimate
from jessyfile.results.typed_json import read_as

if TYPE_CHECKING:
    from jessyfile.evaluation.answers import Answered

NONSENSE = "Yarın bir nöbet listesi yapın."


def verdict(
    folder: Path,
    evaluation: str,
    answers: list[Answered],
    before: list[Answered] | None = None,
    cases: list[Case] | None = None,
    personality: str = "",
) -> Verdict:
    recipe = make_recipe(folder, evaluation, personality)
    cases = cases or [make_case(answer.id) for answer in answers]
    return judge(recipe, cases, by_id(*answers), by_id(*(before or [])), Took(95.0))


def many(n: int, **values: Any) -> list[Answered]:
    return [make_answer(f"turkish-{number:03}", **values) for number in range(n)]


def test_form_alone_is_not_accuracy(tmp_path: Path) -> None:
    """A well-formed answer that is beside the point passes `form` and fails `turkish_accuracy`."""
    found = verdict(tmp_path, "  MUST turkish_accuracy > 50%\n  MUST turkish.form > 50%", many(4, text=NONSENSE))
    assert found.failed == ("turkish_accuracy",)
    assert found.metrics["turkish.form"].after.value == 1.0
    assert found.metrics["turkish.relevance"].after.value == 0.0


@pytest.mark.parametrize(
    ("change", "failure"),
    [
        ({"level": None, "iterations": None}, "no marker"),
        ({"level": "high", "iterations": 8}, "level high instead of low"),
        ({"iterations": 5}, "5 iterations for low"),
        ({"text": "I would cook pilav tonight, it is easy."}, "not in tr"),
        ({"text": "pilav yap " * 9}, "repeats `pilav yap`"),
    ],
)
def test_every_part_of_the_form_counts_and_is_named(tmp_path: Path, change: dict[str, Any], failure: str) -> None:
    found = verdict(tmp_path, "  MUST turkish_accuracy > 50%", many(2, **change))
    assert found.failed == ("turkish_accuracy",)
    assert failure in found.cases[0].after.failures()


def test_only_a_must_decides(tmp_path: Path) -> None:
    claims = "  SHOULD turkish_accuracy > 50%\n  MAY latency.low < 1s\n  MUST training_time < 2m"
    found = verdict(tmp_path, claims, many(3, text=NONSENSE, seconds=9.0))
    assert [judged.outcome.passed for judged in found.criteria] == [False, False, True]
    assert found.failed == ()


def test_at_95_asks_the_near_end_of_the_interval(tmp_path: Path) -> None:
    claim = "  MUST turkish_accuracy > 90%"
    assert verdict(tmp_path, claim, many(20)).failed == ()
    strict = verdict(tmp_path, f"{claim} at 95%", many(20))
    assert strict.failed == ("turkish_accuracy",)
    assert "20 cases cannot prove it at 95%; it takes 35" in strict.criteria[0].outcome.note
    assert verdict(tmp_path, f"{claim} at 95%", many(50)).failed == ()


def test_a_claim_that_was_not_measured_has_not_passed(tmp_path: Path) -> None:
    found = verdict(tmp_path, "  SUITE technical\n  MUST technical_accuracy > 0%", many(2))
    assert found.failed == ("technical_accuracy",)
    assert "nothing was measured" in found.criteria[0].outcome.note


def test_the_base_is_not_held_to_the_marker(tmp_path: Path) -> None:
    """A base cannot know the marker; with it in the metric `> baseline` would be a foregone conclusion."""
    cases = [make_case(f"philosophical-{n}", "philosophical", "high") for n in range(6)]
    good = [make_answer(case.id, level="high", iterations=7) for case in cases]
    plain = [make_answer(case.id, level=None, iterations=None) for case in cases]
    claim = "  SUITE philosophical\n  MUST philosophical_depth > baseline"
    assert verdict(tmp_path, claim, good, plain, cases).failed == ("philosophical_depth",)
    worse = [make_answer(case.id, NONSENSE, level=None, iterations=None) for case in cases]
    better = verdict(tmp_path, claim, good, worse, cases)
    assert better.failed == ()
    compared = better.criteria[0].compared
    assert compared is not None
    assert (len(compared.better), len(compared.worse), compared.p) == (6, 0, 0.03125)


def test_better_than_the_base_must_not_be_luck(tmp_path: Path) -> None:
    """Three cases better and one worse is what chance does as well; `>=` only asks not to be worse."""
    before = [*many(3, text=NONSENSE), *(make_answer(f"turkish-{n:03}") for n in range(3, 20))]
    after = [*many(19), make_answer("turkish-019", NONSENSE)]
    assert verdict(tmp_path, "  MUST turkish.relevance >= baseline", after, before).failed == ()
    claimed = verdict(tmp_path, "  MUST turkish.relevance > baseline", after, before)
    assert claimed.failed == ("turkish.relevance",)
    assert "may be chance: 3 better, 1 worse" in claimed.criteria[0].outcome.note
    assert verdict(tmp_path, "  MUST turkish.relevance >= baseline", before, after).failed == ("turkish.relevance",)


def test_two_zeros_say_nothing(tmp_path: Path) -> None:
    found = verdict(tmp_path, "  MUST turkish.relevance >= baseline", many(3, text=NONSENSE), many(3, text=NONSENSE))
    assert "comparison means nothing" in found.criteria[0].outcome.note


def test_latency_is_by_the_cases_level_and_leaves_cut_answers_out(tmp_path: Path) -> None:
    answers = [make_answer("turkish-001", seconds=1.0), make_answer("turkish-002", seconds=50.0, stopped="cut")]
    found = verdict(tmp_path, "  MUST latency.low < 5s", answers)
    measured = found.metrics["latency.low"].after
    assert (measured.value, measured.n, found.failed) == (1.0, 1, ())
    assert found.metrics["latency.high"].after.n == 0


def test_context_is_asked_only_of_cases_that_need_it(tmp_path: Path) -> None:
    from jessyfile.dataset.example import Turn

    turns = (Turn("user", "adım Ece"), Turn("assistant", "Selam Ece!", "low", 1))
    cases = [
        make_case("multi_turn-1", "multi_turn", turns=turns, tags=("context",)),
        make_case("multi_turn-2", "multi_turn", turns=turns, tags=("follow_up",)),
    ]
    answers = [make_answer("multi_turn-1"), make_answer("multi_turn-2", NONSENSE)]
    found = verdict(tmp_path, "  SUITE multi_turn\n  MAY context_awareness > 70%", answers, cases=cases)
    assert (found.metrics["context_awareness"].after.value, found.metrics["multi_turn"].after.value) == (1.0, 0.5)


PERSONA = [
    make_case(f"personality-{n}", "personality", relevance=(Check("any_of", words=("pilav", "su")),)) for n in range(4)
]


@pytest.mark.parametrize(
    ("rules", "texts", "share"),
    [
        ('ALWAYS "bence"', ["Bence pilav.", "Pilav yap.", "Bence su.", "Su iç."], 0.5),
        ('NEVER "yapay zeka"', ["Bence pilav.", "Yapay zeka pilav yemez.", "Su iç.", "Su iç."], 0.75),
        ('OFTEN "bence"', ["Bence pilav.", "Pilav yap.", "Bence su.", "Su iç."], 1.0),
        ('OFTEN "bence"', ["Bence pilav.", "Pilav yap.", "Su iç.", "Su iç."], 0.25),
        ('NEVER "/^su/"', ["Bence pilav.", "Pilav yap.", "Su iç.", "Bol su iç."], 0.75),
    ],
)
def test_personality_rules_are_judged(tmp_path: Path, rules: str, texts: list[str], share: float) -> None:
    answers = [make_answer(case.id, text) for case, text in zip(PERSONA, texts, strict=True)]
    block = f"PERSONALITY {{\n  {rules}\n}}"
    found = verdict(tmp_path, "  SUITE personality\n  MAY personality > 40%", answers, cases=PERSONA, personality=block)
    assert found.metrics["personality"].after.value == share


def test_the_confusion_counts_every_marker(tmp_path: Path) -> None:
    answers = [
        make_answer("turkish-001"),
        make_answer("turkish-002", level="high", iterations=7),
        make_answer("turkish-003", level=None, iterations=None),
    ]
    assert verdict(tmp_path, "", answers).confusion() == {"low": {"low": 1, "high": 1, "none": 1}}


def graded(number: int, level: str, **values: Any) -> Case:
    return make_case(f"iteration_control-{number}", "iteration_control", level, **values)


def test_prompt_length_alone_is_given_its_best_cuts(tmp_path: Path) -> None:
    longer = ["low", "low", "medium", "high", "high"]
    cases = [graded(n, level, prompt="x" * (n + 1)) for n, level in enumerate(longer)]
    found = verdict(tmp_path, "", [make_answer(case.id) for case in cases], cases=cases)
    assert found.level_by_prompt_length.value == 1.0
    mixed = [graded(n, level, prompt="x" * 9) for n, level in enumerate(["low", "medium", "high"])]
    same = verdict(tmp_path, "", [make_answer(case.id) for case in mixed], cases=mixed)
    assert same.level_by_prompt_length.value == pytest.approx(1 / 3)


def test_a_recipe_without_a_marker_is_judged_without_one(tmp_path: Path) -> None:
    recipe = make_recipe(tmp_path, "  MUST turkish_accuracy > 50%")
    bare = replace(recipe, complexity=replace(recipe.complexity, marker=None))
    answers = many(3, level=None, iterations=None)
    found = judge(bare, [make_case(answer.id) for answer in answers], by_id(*answers), {}, Took())
    assert found.failed == ()
    assert found.metrics["marker_format"].after.n == 0
    assert found.metrics["training_time"].after.value is None


def test_a_verdict_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    """The report, the status and the lock file show what was judged: not a number may change on the way."""
    claims = "  MUST turkish.relevance > baseline\n  SHOULD turkish_accuracy > 90% at 95%\n  MAY latency.low < 5s"
    found = verdict(tmp_path, claims, many(4), many(4, text=NONSENSE, level=None, iterations=None))
    found = replace(found, opinion=Opinion("wise:1b", 4, 3, 0, 1, 0.25, Estimate(0.9, 0.8, 0.95), 100))
    write_verdict(tmp_path, found)
    assert read_verdict(tmp_path) == found
    assert read_as(JudgeFacts, json.loads(readable(found.facts())), "judge") == found.facts()


@pytest.mark.parametrize(
    ("old", "new", "place"),
    [
        ('"format": 2', '"format": 1', r"\$\.format"),
        ('"passed": true', '"pased": true', "passed"),
        ('"n": 2', '"n": "2"', r"\.n`"),
        ("{", "[", "damaged"),
    ],
)
def test_a_verdict_of_another_format_is_refused_with_its_place(tmp_path: Path, old: str, new: str, place: str) -> None:
    """A key that was renamed used to break the report while it was rendered, or to vanish from it."""
    write_verdict(tmp_path, verdict(tmp_path, "  MUST turkish_accuracy > 1%", many(2)))
    path = tmp_path / "verdict.json"
    path.write_text(path.read_text("utf-8").replace(old, new, 1), "utf-8")
    with pytest.raises(StateError, match=place):
        read_verdict(tmp_path)


def test_a_missing_answer_is_an_error_not_a_failure(tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match="1 cases have no answer, the first is `turkish-009`"):
        verdict(tmp_path, "", many(1), cases=[make_case("turkish-000"), make_case("turkish-009")])


def test_the_gain_over_the_start_is_paired_as_that_over_the_base_is(tmp_path: Path) -> None:
    """A training that goes on from an adapter must be held against that adapter; against the base it won by what it was given."""
    plain = make_recipe(tmp_path, "  MUST turkish.relevance > 50%")
    claims = (
        Criterion("must", "turkish.relevance", ">", "start", None),
        Criterion("may", "turkish_accuracy", ">", "baseline", None),
    )
    recipe = replace(plain, evaluation=replace(plain.evaluation, criteria=claims))
    cases = [make_case(answer.id) for answer in many(8)]
    good, bad = by_id(*many(8)), by_id(*many(8, text=NONSENSE))
    gained = judge(recipe, cases, good, bad, Took(), start=bad)
    assert gained.failed == ()
    assert len(gained.criteria[0].compared.better) == 8  # type: ignore[union-attr]
    given = judge(recipe, cases, good, bad, Took(), start=good)
    assert given.failed == ("turkish.relevance",)
    assert given.criteria[1].outcome.passed
    assert given.columns == ("base", "start", "candidate")
    assert (given.metrics["turkish.relevance"].of("start"), given.metrics["turkish.relevance"].of("base")) == (1.0, 0.0)
    unknown = judge(recipe, cases, good, bad, Took())
    assert unknown.criteria[0].outcome.note == "the model that training started from was not measured on it"
    assert [*unknown.facts().beside] == ["base"]
    write_verdict(tmp_path, given)
    assert read_verdict(tmp_path) == given
