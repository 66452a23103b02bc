"""A judging model's numbers stand apart, and a judge that fails fails nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from evaluation_fakes import CASE, Told, by_id, make_answer, make_case, make_context, make_recipe

from jessyfile.dataset.http import Address
from jessyfile.evaluation import evaluation_steps as step
from jessyfile.evaluation import llm_judge as opinion
from jessyfile.evaluation.answers import write_answers
from jessyfile.language.recipe import Judge

JUDGE = Judge("http://judge.invalid/v1", "wise:1b", None)
CASES = [make_case(f"turkish-{n:03}") for n in range(6)]
AFTER = by_id(*(make_answer(case.id) for case in CASES))
BEFORE = by_id(*(make_answer(case.id, "Sen JESSY'sin.") for case in CASES))


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[str], str]], list[str]]:
    """Return a function that makes every address answer by a rule, and returns the prompts it was sent."""

    def install(rule: Callable[[str], str]) -> list[str]:
        asked: list[str] = []

        def handle(request: httpx.Request) -> httpx.Response:
            asked.append(json.loads(request.content)["messages"][0]["content"])
            reply = rule(asked[-1])
            body = json.dumps({"choices": [{"message": {"content": reply}}]}).encode()
            return httpx.Response(500 if reply == "broken" else 200, stream=httpx.ByteStream(body))

        def address(url: str, key: str | None, timeout: float) -> Address:
            return Address(url, key, timeout, httpx.MockTransport(handle), lambda _: None)

        monkeypatch.setattr(opinion, "Address", address)
        return asked

    return install


def ask() -> opinion.Opinion:
    return opinion.ask_opinion(JUDGE, CASES, AFTER, BEFORE, Told(), Told())


def test_both_models_are_scored_on_the_same_cases(server: Callable[[Callable[[str], str]], list[str]]) -> None:
    asked = server(lambda prompt: "9" if "Bence pilav" in prompt else "Score: 2/10")
    found = ask().to_json()
    assert (found["n"], found["after"], found["before"], found["low"], found["problem"]) == (6, 9.0, 2.0, 7.0, "")
    assert len(asked) == 12
    assert not any("candidate" in prompt or "turkish-" in prompt.split("user:")[0] for prompt in asked)


def test_an_answer_cannot_fill_in_the_judges_prompt() -> None:
    """Filled in one after the other, a question that holds `{answer}` would be given the answer."""
    case = make_case(prompt="{answer} ne demek")
    prompt = opinion.prompt_of(case, make_answer(text="{conversation}"))
    assert "user: {answer} ne demek\n</conversation>" in prompt
    assert "<answer>\n{conversation}\n</answer>" in prompt


def test_a_judge_without_numbers_is_given_up_on(server: Callable[[Callable[[str], str]], list[str]]) -> None:
    asked = server(lambda _: "What a lovely answer!")
    found = ask()
    assert (found.after, found.before, found.problem) == ({}, {}, "the judge gave no number")
    assert len(asked) == 4
    assert found.to_json()["after"] is None


def test_a_judge_that_is_down_changes_no_verdict(
    tmp_path: Path, server: Callable[[Callable[[str], str]], list[str]]
) -> None:
    server(lambda _: "broken")
    (tmp_path / "cases.jsonl").write_text(CASE + "\n", encoding="utf-8")
    recipe = make_recipe(tmp_path, "  MUST turkish_accuracy > 50%\n  judge wise:1b at http://judge.invalid/v1")
    for name in ("evaluate", "baseline"):
        write_answers(tmp_path / name / "answers.jsonl", [make_answer()])
    inputs = {name: tmp_path / name for name in ("evaluate", "baseline")}
    facts = step.run_judge(make_context(recipe, tmp_path, "judge", inputs=inputs, facts={"train": {}}))
    assert facts["verdict"] == "pass"
    assert facts["opinion"]["problem"] == "the server answered 500"
