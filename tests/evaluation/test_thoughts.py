"""`thinking.LEVEL`: the step that thinks about the cases of a level, and what the judge makes of its seconds."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from evaluation_fakes import FILE, IMPORTED, FakeEngine, Told, make_context, make_recipe, served

from jessyfile.engines import serving
from jessyfile.errors import Interrupted
from jessyfile.evaluation import thoughts
from jessyfile.evaluation.metrics import ModelScores
from jessyfile.evaluation.suite_inputs import loop_generations
from jessyfile.evaluation.thoughts import THOUGHTS, loop_seconds, run_think
from jessyfile.export.registry import CANDIDATE, Registration, register
from jessyfile.language.recipe import Recipe, Route
from jessyfile.pipeline import compile_steps

GATE = "  SHOULD thinking.medium < 15s\n  MAY latency.low < 5s"


def case(number: int, level: str) -> str:
    told = {"id": f"turkish-{number:03}", "suite": "turkish", "prompt": f"soru {number}", "level": level}
    return json.dumps({**told, "language": "tr", "relevance": [{"check": "any_of", "words": ["olur"]}]})


@pytest.fixture
def recipe(tmp_path: Path) -> Recipe:
    lines = [case(1, "medium"), case(2, "low"), case(3, "medium")]
    (tmp_path / "cases.jsonl").write_text("\n".join(lines) + "\n", "utf-8")
    return make_recipe(tmp_path, GATE)


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeEngine:
    (tmp_path / ".jessy").mkdir(exist_ok=True)
    (tmp_path / "m.gguf").write_bytes(FILE)
    away = (Route("medium", "other"),)
    entry = Registration("embedded", IMPORTED["digest"], served(), gguf="m.gguf", routes=away)
    register(tmp_path, "tiny", CANDIDATE, entry)
    made = FakeEngine(lambda prompt: f"[medium 3]\nOlur, {prompt} için {len(made.asked)} kere.")
    monkeypatch.setattr(thoughts, "engine_of", lambda entry, stop=None: made)
    return made


def test_only_a_recipe_that_gates_on_thinking_thinks_and_each_level_counts(tmp_path: Path) -> None:
    named = {gate: [step.name for step in compile_steps(make_recipe(tmp_path, gate))] for gate in (GATE, "")}
    assert "think" in named[GATE]
    assert "think" not in named[""]
    [judge] = [step for step in compile_steps(make_recipe(tmp_path, GATE)) if step.name == "judge"]
    assert "think" in judge.inputs


def test_the_cases_of_those_levels_get_all_their_iterations(tmp_path: Path, recipe: Recipe, engine: FakeEngine) -> None:
    """The recipe's own model thinks, wherever ROUTE sends questions: no case of a suite leaves this machine."""
    context = make_context(recipe, tmp_path, "think", facts={"import": IMPORTED})
    facts = run_think(context)
    assert (facts.cases, facts.whole, facts.model) == (2, 2, "tiny:candidate")
    assert len(engine.asked) == 1 + 2 * 3  # a word to warm it, then three drafts a case
    found = loop_seconds(context.output / THOUGHTS)
    assert list(found) == ["medium"]
    assert list(found["medium"]) == ["turkish-001", "turkish-003"]
    assert loop_generations(recipe, tmp_path) == 2 * 4


def test_a_run_that_was_stopped_goes_on(tmp_path: Path, recipe: Recipe, engine: FakeEngine) -> None:
    def begin(told: Told) -> Callable[[], object]:
        return lambda: run_think(make_context(recipe, tmp_path, "think", told, facts={"import": IMPORTED}))

    with pytest.raises(Interrupted):
        begin(Told(patience=0))()
    asked = len(engine.asked)
    begin(Told())()
    assert len(engine.asked) == asked + 1 + 3


def test_the_metric_is_the_loops_95th_percentile_and_not_the_answers() -> None:
    scores = ModelScores((), loops={"high": {f"c{n}": float(n) for n in range(1, 61)}})
    measured = scores.measure("thinking.high")
    assert (measured.unit, measured.n, measured.value) == ("seconds", 60, 57.0)
    assert scores.measure("latency.high").n == scores.measure("thinking.low").n == 0


def test_what_the_tests_fake_is_what_serves() -> None:
    assert thoughts.engine_of is serving.engine_of
