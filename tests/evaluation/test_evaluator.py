"""The evaluator that is driven from code, as its contract writes it; a fake engine answers."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from evaluation_fakes import FakeEngine, served

from jessyfile import ComparisonReport, EngineError, EvaluationError, Evaluator
from jessyfile.evaluation import ask_model
from jessyfile.export.registry import Registration, register
from jessyfile.language.recipe import Complexity, Level
from jessyfile.planning.actions import Action
from jessyfile.planning.state import State, save_state
from jessyfile.planning.store import Store

sys.path.insert(0, str(Path(__file__).parents[1] / "export"))

from fake_ollama import fake_ollama

FILE = b"GGUF"
DIGEST = hashlib.sha256(FILE).hexdigest()
RECIPE = """JESSY 1
NAME jessy-v2
FROM gemma3:270m
DATASET { CATEGORY turkish 10 { language tr  level low  TOPIC casual 10 } }
DEPLOY { engine embedded }
EVAL {
  SUITE turkish           { limit 8 }
  SUITE personality       "own.jsonl"
  SUITE iteration_control "control.jsonl"
}
"""
BASE = {"source": "a folder", "kind": "folder", "digest": "x", "chat_format": "gemma", "model_type": "gemma3_text",
        "parameters": 1, "bytes": 4}  # fmt: skip


def case(name: str, suite: str, level: str) -> str:
    body = {"id": name, "suite": suite, "prompt": f"{name} ne yesek", "level": level, "language": "tr"}
    return json.dumps({**body, "relevance": [{"check": "any_of", "words": ["pilav"]}]}) + "\n"


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeEngine]:
    (tmp_path / "jessy-v2.jessy").write_text(RECIPE, "utf-8")
    (tmp_path / "own.jsonl").write_text("".join(case(f"own-{n}", "personality", "low") for n in range(4)), "utf-8")
    levels = ("low", "medium", "high", "low")
    control = (case(f"control-{n}", "iteration_control", level) for n, level in enumerate(levels))
    (tmp_path / "control.jsonl").write_text("".join(control), "utf-8")
    (tmp_path / "m.gguf").write_bytes(FILE)
    (tmp_path / ".jessy").mkdir()
    register(tmp_path, "jessy-v2", "latest", Registration("embedded", DIGEST, served(), gguf="m.gguf"))
    save_state(tmp_path, State("jessy-v2", "lineage", recipe="jessy-v2.jessy"))
    made = FakeEngine(lambda _: "[low 1]\nBence pilav yap, yanına da yoğurt.")
    monkeypatch.setattr(ask_model, "engine_of", lambda entry, stop=None, evaluating=False, retrieving=True: made)
    monkeypatch.setattr("jessyfile.engines.llamacpp_engine.LlamaCpp", lambda **_: made)
    monkeypatch.setattr("jessyfile.export.gguf_writer.write_gguf", lambda folder, path, *_: path.write_bytes(FILE))
    monkeypatch.chdir(tmp_path)
    yield made
    assert made.loads == 0


def add_base(root: Path) -> None:
    """Let the project's store hold a base for the recipe, as the step `base` leaves it."""
    store = Store(root)
    with store.staged() as output:
        (output / "config.json").write_text("{}", "utf-8")
        held = store.commit(output)
    action = Action("base", "0" * 64, {}, held, BASE, 1.0, 1, 1, "now", {}, {}, 2)
    save_state(root, State("jessy-v2", "lineage", recipe="jessy-v2.jessy", steps={"base": action}))


def test_the_four_numbers_come_from_the_suites_and_each_suite_is_asked_once(engine: FakeEngine) -> None:
    evaluator = Evaluator("jessy-v2")
    assert engine.asked == []
    assert evaluator.verify_personality() == 1.0
    assert evaluator.verify_personality() == 1.0
    assert len(engine.asked) == 5  # the warm-up and four cases
    assert 0 <= evaluator.test_turkish_understanding() < 0.5
    assert len(engine.asked) == 14
    times = evaluator.measure_response_times()
    assert times == {"low": 0.25, "medium": 0.25, "high": 0.25, "load": 0.55}


def test_it_compares_with_the_base_of_the_recipe(engine: FakeEngine, tmp_path: Path) -> None:
    add_base(tmp_path)
    asked: list[str] = []

    def answer(prompt: str) -> str:
        asked.append(prompt)
        tuned = len(asked) <= 19  # three warm-ups, eight, four and four cases; then the base
        return "[low 1]\nBence pilav yap, yanına da yoğurt." if tuned else "Pilav yap, yanına da yoğurt koy."

    engine.answer = answer
    report = Evaluator("jessy-v2").compare_before_after()
    assert isinstance(report, ComparisonReport)
    assert (report.before.personality_score, report.after.personality_score) == (1.0, 1.0)
    assert (report.before.iteration_efficiency, report.after.iteration_efficiency) == (0.0, 0.5)
    assert [line.partition(":")[0] for line in report.report().splitlines()] == [
        "Turkish Understanding",
        "Avg Response Time",
        "Personality Preservation",
        "Iteration Efficiency",
    ]
    assert "Personality Preservation: 100.0% -> 100.0%" in report.report()
    asked_before = len(engine.asked)
    assert Evaluator("jessy-v2").compare_before_after().before == report.before  # kept in the project
    assert len(engine.asked) == asked_before + 19


def test_a_model_without_a_recipe_is_compared_when_its_base_is_named(engine: FakeEngine, tmp_path: Path) -> None:
    plain = served(Complexity((Level("low", (1, 2), None),), None))
    register(tmp_path, "bare", "latest", Registration("embedded", DIGEST, plain, gguf="m.gguf"))
    with pytest.raises(EvaluationError, match="no recipe here has made `bare`") as error:
        Evaluator("bare").compare_before_after()
    assert 'base="gemma3:270m"' in (error.value.hint or "")
    assert Evaluator("bare", base="jessy-v2").compare_before_after().before.iteration_efficiency == 0


def test_without_a_name_it_is_the_only_model_there_is(engine: FakeEngine, tmp_path: Path) -> None:
    assert Evaluator().verify_personality() == 1.0
    register(tmp_path, "bare", "latest", Registration("embedded", DIGEST, served(), gguf="m.gguf"))
    with pytest.raises(EvaluationError, match="this project has bare, jessy-v2"):
        Evaluator().verify_personality()


def test_a_model_that_ollama_alone_has_is_asked_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`ModelExporter.import_to_ollama` registers nothing where there is no project; the name is Ollama's alone."""
    monkeypatch.chdir(tmp_path)
    with fake_ollama() as (state, url):
        state.models["jessy-v2"] = {"files": {"model.gguf": f"sha256:{DIGEST}"}}
        state.answer["POST", "/api/generate"] = lambda handler: _done(handler)
        evaluator = Evaluator("jessy-v2", ollama=url)
        monkeypatch.setattr("jessyfile.evaluation.evaluator.chosen_suites", _two_cases)
        assert evaluator.verify_personality() == 0.0
        with pytest.raises(EngineError, match="there is no model `nobody:latest`"):
            Evaluator("nobody", ollama=url).verify_personality()
        assert {body["model"] for word, body in state.bodies if word == "chat"} == {"jessy-v2"}


def _done(handler: object) -> None:
    from fake_ollama import send_lines

    send_lines(handler, [{"done": True}])


def _two_cases(recipe: object, names: list[str]) -> object:
    from dataclasses import replace

    chosen = ask_model.chosen_suites(recipe, names)  # type: ignore[arg-type]
    suites = tuple(replace(suite, limit=2) for suite in chosen.evaluation.suites)
    return replace(chosen, evaluation=replace(chosen.evaluation, suites=suites))


def test_a_model_that_nobody_has_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(EngineError, match="there is no model `jessy-v2:latest`"):
        Evaluator("jessy-v2", ollama="http://127.0.0.1:1").test_turkish_understanding()
    with pytest.raises(EvaluationError, match="this project has none"):
        Evaluator().test_turkish_understanding()
