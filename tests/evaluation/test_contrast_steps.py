"""The steps that measure by reference answers: in the plan, through a real apply of a tiny model, stopped and resumed."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from evaluation_fakes import Told, make_context, make_recipe

import jessyfile
from jessyfile.errors import Interrupted, JessyError
from jessyfile.evaluation import contrast_steps, evaluation_steps
from jessyfile.evaluation.verdict import read_verdict
from jessyfile.language import load_recipe
from jessyfile.pipeline import compile_steps
from jessyfile.results.facts import ContrastFacts
from jessyfile.results.quality import CONTRAST_FILE, Contrasts
from jessyfile.results.typed_json import load_as
from jessyfile.text.json_lines import read_log
from tests.models.tiny import tiny_model
from tests.walks import project

STEPS = ["likelihood.base", "likelihood.tuned", "contrast"]
ANSWERS: dict[str, Any] = {
    "split": "final",
    "good": ["selam kanka", "iyi, sen", "gel bakalım, ne oldu"],
    "bad": {"off": ["yarın yağmur var"], "voice": ["size nasıl yardımcı olabilirim", "selam ben iyi olmak"]},
}


def references(folder: Path, name: str, *cases: str, **changes: Any) -> None:
    path = folder / "references" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [json.dumps({"case": case, **ANSWERS, **changes}, ensure_ascii=False) + "\n" for case in cases]
    path.write_text("".join(lines), "utf-8")


def names(recipe: Any) -> list[str]:
    return [step.name for step in compile_steps(recipe) if step.name in STEPS]


def test_the_steps_are_there_for_suites_that_have_references(tmp_path: Path) -> None:
    recipe = make_recipe(tmp_path)
    assert names(recipe) == []
    references(tmp_path, "cases.jsonl", "turkish-001")
    assert names(recipe) == STEPS
    judge = next(step for step in compile_steps(recipe) if step.name == "judge")
    assert "contrast" in judge.inputs
    none = make_recipe(tmp_path, evaluation="  contrast none")
    assert names(none) == []
    assert "contrast" not in next(step for step in compile_steps(none) if step.name == "judge").inputs


def test_a_recipe_that_asks_for_few_cases_is_not_refused_for_want_of_references(tmp_path: Path) -> None:
    """A small `limit` that happens to take cases of one split alone stopped the whole apply."""
    recipe = make_recipe(tmp_path)
    few = tuple(replace(suite, limit=1) for suite in recipe.evaluation.suites)
    limited = replace(recipe, evaluation=replace(recipe.evaluation, suites=few))
    references(tmp_path, "cases.jsonl", "turkish-001", split="development")
    assert names(limited) == []
    references(tmp_path, "cases.jsonl", "turkish-001")
    assert names(limited) == STEPS


def findings(recipe: Any) -> list[str]:
    plan = jessyfile.plan(recipe)
    return [f"{one.severity} {one.where.rpartition(':')[0]} {one.message}" for one in plan.findings]


def test_a_plan_tells_of_mistakes_in_references_and_of_metrics_that_nothing_measures(tmp_path: Path) -> None:
    recipe = make_recipe(tmp_path, evaluation="  MUST fits > 60%\n  SHOULD knows > baseline")
    told = [one for one in findings(recipe) if "reference answers" in one]
    assert [one.split(" is measured")[0] for one in told] == ["error tiny.jessy `fits`", "error tiny.jessy `knows`"]
    references(tmp_path, "cases.jsonl", "turkish-009")
    assert [one for one in findings(recipe) if "references/cases.jsonl:1: case: the suite has no case" in one]
    references(tmp_path, "cases.jsonl", "turkish-001", split="development")
    assert [
        one for one in findings(recipe) if "no case that is answered has reference answers in the split `final`" in one
    ]
    references(tmp_path, "cases.jsonl", "turkish-001")
    assert not [one for one in findings(recipe) if "reference" in one]


@pytest.mark.parametrize(
    ("lines", "code", "message"),
    [
        (
            "  contrast none\n  MUST fits > 60%",
            "J025",
            "`fits` is measured by reference answers, which this recipe leaves out",
        ),
        ("  MUST fits > 60% at 90%", "J029", "`fits` has its interval at 95% alone"),
        ("  contrast finale", "J016", "`contrast` cannot be `finale`"),
        ("  MUST fits > 120%", "J029", "can never pass"),
    ],
)
def test_a_recipe_that_cannot_be_measured_is_refused(tmp_path: Path, lines: str, code: str, message: str) -> None:
    make_recipe(tmp_path)
    path = tmp_path / "tiny.jessy"
    path.write_text(path.read_text("utf-8").replace('"cases.jsonl"\n', f'"cases.jsonl"\n{lines}\n'), "utf-8")
    loaded = load_recipe(path)
    assert [(one.code, message in one.message) for one in loaded.diagnostics if one.code == code] == [(code, True)]


@pytest.fixture(scope="module")
def applied(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    root = tmp_path_factory.mktemp("contrast")
    recipe = project(root)
    references(root / "data" / "eval", "own.jsonl", "menekse-001", "kamelya-001")
    criteria = "  MAY fits >= 0%\n  SHOULD voice > baseline\n  MAY kind > 50%\n"
    recipe.write_text(recipe.read_text("utf-8").replace("  MAY no_loops", criteria + "  MAY no_loops"), "utf-8")
    return recipe, jessyfile.apply(recipe)


def test_an_apply_measures_both_models_and_asks_the_file_that_is_served(applied: tuple[Path, Any]) -> None:
    """A tiny model's file in f16 tells nearly the same of every token as the merged model that it was written from."""
    _, result = applied
    found = load_as(Contrasts, result.step("contrast").folder / CONTRAST_FILE)
    assert [(one.metric, one.cases, one.pairs) for one in found.figures] == [("fits", 2, 6), ("voice", 2, 12)]
    assert all(one.before is not None and one.change is not None and one.served is not None for one in found.figures)
    assert all(one.served_cases == 2 for one in found.figures)
    assert "prefers the same answer as the trained model in 100% of 4 pairs" in found.note
    facts = result.step("contrast").facts_of(ContrastFacts)
    assert (facts.cases, facts.served_cases) == (2, 2)
    verdict = read_verdict(result.step("judge").folder)
    judged = {one.outcome.criterion.metric: one.outcome for one in verdict.criteria}
    fits = found.figures[0]
    assert (judged["fits"].value, judged["fits"].n, judged["fits"].passed) == (fits.after.value, 2, True)
    assert judged["voice"].baseline == found.figures[1].before.value
    assert (judged["kind"].passed, judged["kind"].value) == (False, None)
    assert "nothing was measured" in judged["kind"].note
    assert verdict.facts().metrics["voice"] == found.figures[1].after.value


def test_nothing_is_read_again_unless_something_changed(applied: tuple[Path, Any]) -> None:
    """Another claim asks no model; other references ask both."""
    recipe, _ = applied
    assert jessyfile.apply(recipe).run is None
    runs = [step.name for step in jessyfile.plan(recipe, sets={"eval.criterion.fits.value": "10%"}).steps if step.runs]
    assert "judge" in runs
    assert not set(STEPS) & set(runs)
    references(recipe.parent / "data" / "eval", "own.jsonl", "menekse-001")
    again = jessyfile.apply(recipe)
    assert {step.name for step in again.steps if step.name in STEPS and step.outcome == "ran"} == set(STEPS)
    assert {again.step(name).outcome for name in ("train", "merge", "gguf")} == {"reused"}


def base_facts() -> dict[str, Any]:
    return {
        "source": "./model", "kind": "folder", "digest": "", "chat_format": "gemma", "model_type": "gemma3_text",
        "parameters": 1, "bytes": 1,
    }  # fmt: skip


def test_what_was_read_before_a_stop_is_not_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    case = json.loads((make_recipe(tmp_path).path.parent / "cases.jsonl").read_text("utf-8"))
    ids = [f"turkish-{number:03}" for number in range(1, 4)]
    (tmp_path / "cases.jsonl").write_text("".join(json.dumps({**case, "id": one}) + "\n" for one in ids), "utf-8")
    references(tmp_path, "cases.jsonl", *ids)
    recipe, base = make_recipe(tmp_path), tiny_model(tmp_path / "model")
    monkeypatch.setattr(contrast_steps, "_TOGETHER", 1)
    parts = {"inputs": {"base": base}, "facts": {"base": base_facts()}}
    told = Told(patience=2)
    with pytest.raises(Interrupted):
        contrast_steps.run_likelihood(make_context(recipe, tmp_path, "likelihood.base", told, **parts))
    assert told.heard == [(1, 3, ids[0]), (2, 3, ids[1])]
    kept = tmp_path / "work" / "likelihood.base" / contrast_steps.KEPT
    kept.write_text(kept.read_text("utf-8") + '{"case": "turk', "utf-8")  # a crash tears the last line
    again = Told()
    facts = contrast_steps.run_likelihood(make_context(recipe, tmp_path, "likelihood.base", again, **parts))
    assert again.heard == [(3, 3, ids[2])]
    assert (facts.cases, facts.answers) == (3, 18)
    whole = make_context(recipe, tmp_path, "whole", **parts)
    contrast_steps.run_likelihood(whole)
    found = tmp_path / "out" / "likelihood.base" / contrast_steps.LIKELIHOODS
    assert found.read_bytes() == (whole.output / contrast_steps.LIKELIHOODS).read_bytes()
    assert len(list(read_log(found))) == 3


def test_a_recipe_without_a_case_in_the_split_says_what_to_do(tmp_path: Path) -> None:
    recipe = make_recipe(tmp_path)
    references(tmp_path, "cases.jsonl", "turkish-001", split="development")
    with pytest.raises(JessyError, match="split `final`") as caught:
        contrast_steps.run_likelihood(make_context(recipe, tmp_path, "likelihood.base", inputs={"base": tmp_path}))
    assert "contrast none" in str(caught.value.hint)


def test_a_judge_model_is_tried_on_the_same_references(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What an opinion is worth was shown as not measured, although good and bad answers lay beside the suite."""
    references(tmp_path, "cases.jsonl", "turkish-001")
    recipe = make_recipe(tmp_path, evaluation="  judge qwen3:8b at http://127.0.0.1:9/v1")
    seen: list[Any] = []

    def ask(_: Any, pairs: Any, *__: Any) -> None:
        seen.append(pairs)
        raise Interrupted("seen")

    monkeypatch.setattr("jessyfile.evaluation.llm_judge.ask_opinion", ask)
    for inputs, expected in (({"contrast": tmp_path}, 2), ({}, 0)):
        with pytest.raises(Interrupted):
            evaluation_steps._opinion(make_context(recipe, tmp_path, "judge", inputs=inputs), [], {}, {})
        assert len(seen[-1].references) == expected
    first = seen[0].references[0]
    assert (first.case.id, first.first, first.second) == ("turkish-001", "selam kanka", "yarın yağmur var")
