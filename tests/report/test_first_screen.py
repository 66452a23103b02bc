"""The first screen says what was learned and what to doubt, in counts that the verdict holds."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from evaluation_fakes import by_id, make_answer, make_case, make_recipe
from report_fakes import CURVE, make_verdict

from jessyfile.evaluation.verdict import ScoredCase, Took, Verdict, judge
from jessyfile.planning.canonical import normal
from jessyfile.planning.run import StepResult
from jessyfile.report.bars import OF_SUITES, bar_groups
from jessyfile.report.failures import folded
from jessyfile.report.first_screen import exchanges, first_screen, near
from jessyfile.report.origin import Origin
from jessyfile.report.page import Reported
from jessyfile.results.facts import Curve, LossPoint, TrainFacts

GOOD, HOLLOW = "Bence pilav yap, yanına da yoğurt.", "Bu çok güzel bir gün, keyfini çıkar."


def reported(folder: Path, best_update: int = 8) -> Reported:
    trained = TrainFacts(60.0, 8, 1.0, 900, 0.5, 1.1, best_update, 9, 8, 9, (), "none")
    step = StepResult("train", "ran", "ab" * 32, folder, normal(trained), 60.0, 0)
    return Reported("tiny", "gemma3:270m-pt", "tiny's.jessy", 7, {"low": 5.0}, None, (step,))


def verdict_of(folder: Path, good: int, of: int = 10, base: int = 0) -> Verdict:
    cases = [make_case(f"turkish-{n:03}") for n in range(of)]
    new = [make_answer(case.id, GOOD if n < good else HOLLOW) for n, case in enumerate(cases)]
    old = [make_answer(case.id, GOOD if n < base else "aynen " * 40, level=None) for n, case in enumerate(cases)]
    return judge(make_recipe(folder, "  MUST turkish_accuracy > 60%\n"), cases, by_id(*new), by_id(*old), Took(95.0))


def test_a_model_that_learned_only_the_form_is_told_so_in_one_sentence(tmp_path: Path) -> None:
    top = first_screen(reported(tmp_path), verdict_of(tmp_path, 1), None, promoted=True)
    assert top.sentences == (
        "It learned the form (10 of 10 answers, the base model 0), but few of its answers are on topic (1 of 10 answers, the base model 0).",
    )
    assert "9 answers got better in form and are still beside the point." in top.doubts


def test_where_training_went_on_from_a_model_that_one_is_held_beside_it(tmp_path: Path) -> None:
    verdict = verdict_of(tmp_path, 6, base=0)
    cases = tuple(replace(one, others={"start": verdict.cases[9].after}) for one in verdict.cases)
    top = first_screen(reported(tmp_path), replace(verdict, cases=cases), None, promoted=True)
    assert top.before == "start"
    assert top.sentences[0].startswith(
        "It keeps the form (10 of 10 answers, the start 10) and most of its answers are on topic (6 of 10"
    )
    assert not any("still beside the point" in doubt for doubt in top.doubts)
    assert [one.change for one in verdict.cases].count("better") == 10
    assert [one.change for one in cases].count(
        "better"
    ) == 6  # of the answers below: the others say what the start said


def test_nothing_is_called_learned_that_chance_could_have_done(tmp_path: Path) -> None:
    said = first_screen(reported(tmp_path), verdict_of(tmp_path, 3, of=3), None, promoted=True).sentences
    assert said[0].startswith("Whether it learned the form is not certain (3 of 3 answers")


def test_an_empty_verdict_says_nothing(tmp_path: Path) -> None:
    empty = replace(make_verdict(make_recipe(tmp_path)), cases=(), criteria=())
    top = first_screen(reported(tmp_path), empty, None, promoted=False)
    assert (top.sentences, top.doubts, top.exchanges) == ((), (), ())
    assert first_screen(reported(tmp_path), None, None, promoted=False).sentences == ()


def test_a_kept_update_whose_validation_loss_had_risen_is_named(tmp_path: Path) -> None:
    rising = Curve(CURVE.curve, (LossPoint(4, 1.1), LossPoint(8, 1.4)))
    doubts = first_screen(reported(tmp_path), None, rising, promoted=True).doubts
    assert doubts[0].startswith("It overfits from update 4 on: validation loss was 1.1 there, and is 1.4 at update 8")
    assert first_screen(reported(tmp_path, best_update=4), None, rising, promoted=True).doubts == ()
    assert first_screen(reported(tmp_path), None, CURVE, promoted=True).doubts == ()


def test_a_pass_whose_interval_holds_the_bound_is_near(tmp_path: Path) -> None:
    sure, unsure = verdict_of(tmp_path, 40, of=40), verdict_of(tmp_path, 7)
    assert not near(sure.criteria[0].outcome)
    assert near(unsure.criteria[0].outcome)
    assert not near(verdict_of(tmp_path, 5).criteria[0].outcome), "what fails is not near to passing"


def test_the_answers_shown_pass_as_often_as_all_do(tmp_path: Path) -> None:
    def passing(shown: list[ScoredCase]) -> int:
        return sum(not one.after.failures() for one in shown)

    assert [passing(exchanges(verdict_of(tmp_path, good, of=9).cases)) for good in (0, 1, 3, 6, 9)] == [0, 0, 1, 2, 3]
    assert len(exchanges(verdict_of(tmp_path, 1, of=2).cases)) == 2
    assert exchanges(()) == []


def test_the_commands_are_those_of_this_run(tmp_path: Path) -> None:
    top = first_screen(reported(tmp_path), verdict_of(tmp_path, 9), None, promoted=True)
    assert [command for command, _ in top.commands] == [
        "jessy apply 'tiny'\"'\"'s.jessy'",
        "jessy report 7",
        "jessy rollback tiny",
    ]


def test_a_model_is_made_again_with_what_it_was_made_with(tmp_path: Path) -> None:
    """The page named the recipe alone: after `--set train.epochs=2` that trains another model."""
    for command, again in (
        ("jessy apply tiny.jessy --set train.epochs=2", "jessy apply tiny.jessy --set train.epochs=2"),
        ("jessyfile.apply", "jessy apply 'tiny'\"'\"'s.jessy'"),
        ("", "jessy apply 'tiny'\"'\"'s.jessy'"),
    ):
        told = replace(reported(tmp_path), origin=Origin("", "", 1.0, "", command))
        top = first_screen(told, verdict_of(tmp_path, 9), None, promoted=True)
        assert top.commands[0][0] == again


def test_bars_stand_by_criterion_and_effect_and_what_stayed_is_folded(tmp_path: Path) -> None:
    groups = bar_groups(verdict_of(tmp_path, 8, base=1))
    shown = groups[0].bars
    assert (groups[0].title, shown[0].rank, shown[0].metric) == ("", "must", "turkish_accuracy")
    changes = [abs(bar.change or 0) for bar in shown if not bar.rank]
    assert changes == sorted(changes, reverse=True)
    assert all(
        bar.metric.endswith((".form", ".relevance"))
        for group in groups
        if group.title == OF_SUITES
        for bar in group.bars
    )
    assert bar_groups(None) == []


def test_patterns_and_long_lists_are_told_by_their_size() -> None:
    words = ", ".join(f"kelime{n}" for n in range(14))
    told = {
        "no marker": "no marker",
        r"does not match \b(sor|sorab|buyur)": "says none of 3 forms that were expected",
        r"matches \b(yapay zeka)": "says what it must not",
        f"does not say {words}": "does not say 14 expected words",
        f"does not deny {words}": "does not deny 14 expected words",
        f"says 1 of {words}, at least 2": "says 1 of 14 expected words, at least 2",
    }
    for failure, short in told.items():
        assert folded(failure).words == short
        assert folded(failure).whole in ("", failure)
    assert len(folded("x" * 500).words) <= 80


def test_what_must_become_better_is_said_first(tmp_path: Path) -> None:
    cases = [make_case(f"turkish-{n:03}") for n in range(10)]
    new, old = [make_answer(case.id, GOOD) for case in cases], [make_answer(case.id, HOLLOW) for case in cases]
    recipe = make_recipe(tmp_path, "  MUST turkish.relevance > baseline\n")
    for after, before, said in ((new, old, "It became better at"), (old, old, "It did not surely become better at")):
        verdict = judge(recipe, cases, by_id(*after), by_id(*before), Took(95.0))
        assert (
            first_screen(reported(tmp_path), verdict, None, promoted=True)
            .sentences[0]
            .startswith(f"{said} turkish.relevance: ")
        )
