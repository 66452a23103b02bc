"""A judging model's choices stand apart, hold in both orders, and a judge that fails fails nothing else."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
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
from jessyfile.results.facts import Opinion

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


def chooses(prefers: Callable[[str, str], bool | None]) -> Rule:
    """Return a judge that looks at both answers: True for the first, False for the second, None for neither."""

    def reply(prompt: str) -> str:
        a, b = (prompt.split(f"<{tag}>\n")[1].split(f"\n</{tag}>")[0] for tag in "ab")
        found = prefers(a, b)
        return "S" if found is None else "A" if found else "B"

    return reply


PILAV = chooses(lambda a, b: None if ("pilav" in a) == ("pilav" in b) else "pilav" in a)
Ask = Callable[..., Opinion]


@pytest.fixture
def ask(tmp_path: Path) -> Ask:
    def made(
        stop: Told | None = None, references: Sequence[opinion.AnswerPair] = (), before: Mapping[str, Any] = BEFORE
    ) -> Opinion:
        pairs = opinion.JudgedPairs(opinion.answer_pairs(CASES, AFTER, before), references)
        return opinion.ask_opinion(JUDGE, pairs, KeptAnswers(tmp_path / "kept"), Told(), stop or Told())

    return made


def test_a_case_that_a_model_was_not_asked_is_not_compared() -> None:
    unasked = {**AFTER, CASES[0].id: make_answer(CASES[0].id, "", stopped="full")}
    assert [pair.case for pair in opinion.answer_pairs(CASES, unasked, BEFORE)] == list(CASES[1:])


def test_every_pair_is_asked_in_both_orders_and_nothing_says_whose_it_is(
    server: Callable[[Rule], list[str]], ask: Ask
) -> None:
    asked = server(PILAV)
    found = ask()
    assert (found.n, found.better, found.worse, found.swayed, found.p) == (6, 6, 0, 0, 0.03125)
    assert (found.agreement, found.problem, found.incomplete) == (None, "", False)
    assert len(asked) == 12
    assert sum(prompt.index("Bence pilav") < prompt.index("Sen JESSY") for prompt in asked) == 6
    assert not any(word in prompt for prompt in asked for word in ("candidate", "base model", "turkish-00\n"))


def test_a_judge_that_follows_the_order_prefers_nobody(server: Callable[[Rule], list[str]], ask: Ask) -> None:
    """A small model chose whatever stood first; scored one by one, its taste for the place looked like an opinion."""
    server(lambda _: "A")
    found = ask()
    assert (found.n, found.better, found.worse, found.swayed) == (6, 0, 0, 6)
    server(lambda _: "S")


def test_equal_answers_are_not_asked_about(server: Callable[[Rule], list[str]], ask: Ask) -> None:
    asked = server(PILAV)
    assert (ask(before=AFTER).n, ask(before=AFTER).better) == (6, 0)
    assert asked == []


def test_its_agreement_with_reference_answers_says_what_it_is_worth(
    server: Callable[[Rule], list[str]], ask: Ask
) -> None:
    server(PILAV)
    case = make_case()
    references = [opinion.AnswerPair(case, f"{n} pilav", f"{n} çorba") for n in range(9)]
    found = ask(references=[*references, opinion.AnswerPair(case, "çorba da olur", "pilav olmaz")])
    assert found.agreement is not None
    assert (found.agreement.value, found.references, found.better) == (0.9, 10, 6)
    assert 0.5 < found.agreement.low < 0.9 < found.agreement.high < 1
    many = [opinion.AnswerPair(case, f"{n} pilav", f"{n} çorba") for n in range(300)]
    assert ask(references=many).references == 100


def test_an_answer_cannot_fill_in_the_judges_prompt() -> None:
    """Filled in one after the other, a question that holds `{a}` would be given the answer."""
    case = make_case(prompt="{a} ne demek")
    prompt = opinion.prompt_of(case, "{conversation}", "{b}")
    assert "user: {a} ne demek\n</conversation>" in prompt
    assert "<a>\n{conversation}\n</a>" in prompt
    assert "<b>\n{b}\n</b>" in prompt


@pytest.mark.parametrize(
    ("reply", "better"),
    [
        ("A", True),
        ("**a**", True),
        ("Answer A.", True),
        ("<think>B or A?</think>\nA", True),
        ("A better answer is B", False),
    ],
)
def test_only_a_plain_choice_is_one(server: Callable[[Rule], list[str]], ask: Ask, reply: str, better: bool) -> None:
    other = reply.replace("A.", "B.") if "Answer" in reply else "B"
    server(lambda prompt: reply if prompt.index("Bence pilav") < prompt.index("Sen JESSY") else other)
    assert ask().better == (6 if better else 0)


def test_a_judge_that_chooses_nothing_is_given_up_on(server: Callable[[Rule], list[str]], ask: Ask) -> None:
    asked = server(lambda _: "What a lovely answer!")
    found = ask()
    assert (found.n, found.problem, found.incomplete) == (0, "the judge chose none of A, B and S", False)
    assert len(asked) == 4


def test_a_few_pairs_without_a_choice_are_left_out_and_the_rest_is_judged(
    server: Callable[[Rule], list[str]], ask: Ask
) -> None:
    """Three odd replies among hundreds ended the judging, and the numbers of the first cases stood for all."""
    server(lambda prompt: "no idea" if "turkish-002 " in prompt or "turkish-004 " in prompt else PILAV(prompt))
    found = ask()
    assert (found.n, found.better, found.problem, found.incomplete) == (
        4,
        4,
        "the judge chose none of A, B and S",
        False,
    )


def test_a_stop_is_no_choice_and_what_was_judged_is_not_asked_again(
    server: Callable[[Rule], list[str]], ask: Ask
) -> None:
    """Ctrl-C while a model was judging committed the choices so far as if they were all."""
    asked = server(PILAV)

    class Later(Told):
        def requested(self) -> bool:
            return len(asked) >= 8

    with pytest.raises(Interrupted):
        ask(Later())
    assert len(asked) == 8
    assert ask().better == 6
    assert len(asked) == 12


def test_choices_that_a_failing_server_left_out_are_asked_for_again(
    server: Callable[[Rule], list[str]], ask: Ask
) -> None:
    asked = server(lambda prompt: DOWN if len(asked) > 8 else PILAV(prompt))
    found = ask()
    assert (found.incomplete, found.problem) == (True, DOWN.reason)
    again = server(PILAV)
    assert (ask().n, ask().incomplete) == (6, False)
    assert 0 < len(again) <= 4


def test_a_key_that_is_not_set_is_said(
    server: Callable[[Rule], list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The judge was asked without the key that its recipe names, and every score was missing."""
    monkeypatch.delenv("NO_SUCH_KEY", raising=False)
    judge = Judge(JUDGE.url, JUDGE.model, "NO_SUCH_KEY")
    with pytest.raises(EvaluationError, match="NO_SUCH_KEY is not set"):
        opinion.ask_opinion(judge, opinion.JudgedPairs(()), KeptAnswers(tmp_path), Told(), Told())


def test_a_judge_that_is_down_changes_no_verdict(tmp_path: Path, server: Callable[[Rule], list[str]]) -> None:
    server(lambda _: DOWN)
    (tmp_path / "cases.jsonl").write_text(CASE + "\n", encoding="utf-8")
    recipe = make_recipe(tmp_path, "  MUST turkish_accuracy > 50%\n  judge wise:1b at http://judge.invalid/v1")
    write_answers(tmp_path / "evaluate" / "answers.jsonl", [make_answer()])
    write_answers(tmp_path / "baseline" / "answers.jsonl", [make_answer(text="Sen JESSY'sin.")])
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
