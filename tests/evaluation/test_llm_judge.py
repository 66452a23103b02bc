"""A judging model's numbers stand apart, and a judge that fails fails nothing else."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from evaluation_fakes import CASE, Told, answered, by_id, make_answer, make_case, make_context, make_recipe, trained

from jessyfile.dataset.completions import Address, Failure, KeptAnswers
from jessyfile.errors import EvaluationError, Interrupted
from jessyfile.evaluation import evaluation_steps as step
from jessyfile.evaluation import llm_judge as opinion
from jessyfile.evaluation.answers import write_answers
from jessyfile.language.recipe import Judge

JUDGE = Judge("http://judge.invalid/v1", "wise:1b", None)
CASES = [make_case(f"turkish-{n:03}") for n in range(6)]
AFTER = by_id(*(make_answer(case.id) for case in CASES))
BEFORE = by_id(*(make_answer(case.id, "Sen JESSY'sin.") for case in CASES))


Rule = Callable[[str], "str | Failure"]
DOWN = Failure("the server answered 500", status=500)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Callable[[Rule], list[str]]:
    """Return a function that makes every address answer by a rule, and returns the prompts it was sent."""

    def install(rule: Rule) -> list[str]:
        asked: list[str] = []

        class Fake(Address):
            def complete(self, body: Mapping[str, Any]) -> str | Failure:
                asked.append(body["messages"][0]["content"])
                return rule(asked[-1])

        monkeypatch.setattr(opinion, "Address", Fake)
        return asked

    return install


@pytest.fixture
def ask(tmp_path: Path) -> Callable[..., opinion.CaseOpinions]:
    def made(stop: Told | None = None) -> opinion.CaseOpinions:
        return opinion.ask_opinion(JUDGE, CASES, AFTER, BEFORE, KeptAnswers(tmp_path / "kept"), Told(), stop or Told())

    return made


def test_both_models_are_scored_on_the_same_cases(
    server: Callable[[Rule], list[str]], ask: Callable[..., opinion.CaseOpinions]
) -> None:
    asked = server(lambda prompt: "9" if "Bence pilav" in prompt else "Score: 2/10")
    found = ask().mean()
    assert (found.n, found.after, found.before, found.low, found.problem) == (6, 9.0, 2.0, 7.0, "")
    assert len(asked) == 12
    assert not any("candidate" in prompt or "turkish-" in prompt.split("user:")[0] for prompt in asked)


def test_an_answer_cannot_fill_in_the_judges_prompt() -> None:
    """Filled in one after the other, a question that holds `{answer}` would be given the answer."""
    case = make_case(prompt="{answer} ne demek")
    prompt = opinion.prompt_of(case, make_answer(text="{conversation}"))
    assert "user: {answer} ne demek\n</conversation>" in prompt
    assert "<answer>\n{conversation}\n</answer>" in prompt


def test_a_judge_without_numbers_is_given_up_on(
    server: Callable[[Rule], list[str]], ask: Callable[..., opinion.CaseOpinions]
) -> None:
    asked = server(lambda _: "What a lovely answer!")
    found = ask()
    assert (found.after, found.before, found.problem, found.incomplete) == ({}, {}, "the judge gave no number", False)
    assert len(asked) == 4
    assert found.mean().after is None


def test_a_few_answers_without_a_number_are_left_out_and_the_rest_is_scored(
    server: Callable[[Rule], list[str]], ask: Callable[..., opinion.CaseOpinions]
) -> None:
    """Three odd answers among hundreds ended the scoring, and the numbers of the first cases stood for all."""
    asked: list[str] = server(lambda _: "no idea" if len(asked) in (2, 5, 8) else "7")
    found = ask()
    assert len(asked) == 12
    assert (len(found.after) + len(found.before), found.problem, found.incomplete) == (
        9,
        "the judge gave no number",
        False,
    )


def test_a_judge_that_thinks_aloud_is_read_behind_its_thoughts(
    server: Callable[[Rule], list[str]], ask: Callable[..., opinion.CaseOpinions]
) -> None:
    server(lambda _: "<think>Between 3 and 5?</think>\n8")
    assert set(ask().after.values()) == {8}


def test_a_stop_is_no_score_and_what_was_scored_is_not_asked_again(
    server: Callable[[Rule], list[str]], ask: Callable[..., opinion.CaseOpinions]
) -> None:
    """Ctrl-C while a model was scoring committed the scores so far as if they were all."""
    asked = server(lambda _: "7")

    class Later(Told):
        def requested(self) -> bool:
            return len(asked) >= 4

    with pytest.raises(Interrupted):
        ask(Later())
    assert len(asked) == 4
    assert len(ask().after) == 6
    assert len(asked) == 12


def test_scores_that_a_failing_server_left_out_are_asked_for_again(
    server: Callable[[Rule], list[str]], ask: Callable[..., opinion.CaseOpinions]
) -> None:
    asked = server(lambda prompt: DOWN if len(asked) > 4 else "7")
    found = ask()
    assert (found.incomplete, found.problem) == (True, DOWN.reason)
    assert len(asked) == 8
    again = server(lambda _: "7")
    assert (len(ask().after), ask().incomplete) == (6, False)
    assert len(again) == 8


def test_a_key_that_is_not_set_is_said(
    server: Callable[[Rule], list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The judge was asked without the key that its recipe names, and every score was missing."""
    monkeypatch.delenv("NO_SUCH_KEY", raising=False)
    judge = Judge(JUDGE.url, JUDGE.model, "NO_SUCH_KEY")
    with pytest.raises(EvaluationError, match="NO_SUCH_KEY is not set"):
        opinion.ask_opinion(judge, CASES, AFTER, BEFORE, KeptAnswers(tmp_path), Told(), Told())


def test_a_judge_that_is_down_changes_no_verdict(tmp_path: Path, server: Callable[[Rule], list[str]]) -> None:
    server(lambda _: DOWN)
    (tmp_path / "cases.jsonl").write_text(CASE + "\n", encoding="utf-8")
    recipe = make_recipe(tmp_path, "  MUST turkish_accuracy > 50%\n  judge wise:1b at http://judge.invalid/v1")
    for name in ("evaluate", "baseline"):
        write_answers(tmp_path / name / "answers.jsonl", [make_answer()])
    inputs = {name: tmp_path / name for name in ("evaluate", "baseline")}
    facts = step.run_judge(
        make_context(
            recipe,
            tmp_path,
            "judge",
            inputs=inputs,
            facts={"train": trained(), "evaluate": answered(), "baseline": answered()},
        )
    )
    assert facts.failed == ()
    assert facts.opinion.problem == DOWN.reason
    assert facts.incomplete == DOWN.reason
