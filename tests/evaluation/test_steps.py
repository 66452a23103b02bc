"""The steps: the registered candidate is asked, the base gets the same prompt, the judge asks nobody."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from evaluation_fakes import (
    CASE,
    FILE,
    IMPORTED,
    FakeEngine,
    Told,
    answered,
    make_context,
    make_recipe,
    served,
    trained,
)

from jessyfile.errors import DamagedError, EngineError, EvaluationError, Interrupted
from jessyfile.evaluation import evaluation_steps as step
from jessyfile.evaluation.answers import read_answers
from jessyfile.evaluation.verdict import read_verdict
from jessyfile.export.registry import Registration, register
from jessyfile.language.build import default_complexity
from jessyfile.language.recipe import Complexity, Parameter

SERVED = served(parameters={"temperature": 0.5, "num_predict": 20})
BASE = {"source": "a folder", "kind": "folder", "digest": "x", "chat_format": "gemma", "model_type": "gemma3_text",
        "parameters": 1, "bytes": 4}  # fmt: skip

DIGEST = str(IMPORTED["digest"])
FACTS = {"train": trained(), "evaluate": answered(DIGEST), "baseline": answered(DIGEST, load_seconds=None)}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / ".jessy").mkdir()
    (tmp_path / "cases.jsonl").write_text(
        CASE + "\n" + CASE.replace("-001", "-002").replace("pilav mı", "börek mi") + "\n", encoding="utf-8"
    )
    (tmp_path / "m.gguf").write_bytes(FILE)
    entry = Registration("embedded", str(IMPORTED["digest"]), SERVED, gguf="m.gguf")
    register(tmp_path, "tiny", "candidate", entry)
    return tmp_path


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> FakeEngine:
    made = FakeEngine(lambda prompt: "[low 1]\nBence pilav yap, yanına da salata.")
    monkeypatch.setattr(step, "engine_of", lambda entry, stop=None, evaluating=False, retrieving=True: made)
    return made


def test_the_candidate_answers_with_its_own_settings_on_a_warm_engine(root: Path, engine: FakeEngine) -> None:
    recipe = make_recipe(root)
    facts = step.run_evaluate(make_context(recipe, root, "evaluate", facts={"import": IMPORTED}))
    assert (facts.cases, facts.model, facts.engine) == (2, "tiny:candidate", "fake")
    assert len(engine.asked) == 3  # one to warm up
    assert engine.loads == 0  # unloaded again
    written = json.loads((root / "out/evaluate/engine.json").read_text())
    assert (written["settings"]["temperature"], written["settings"]["max_tokens"]) == (0.5, 20)
    answers = read_answers(root / "out/evaluate/answers.jsonl")
    assert [(answer.id, answer.model) for answer in answers] == [("turkish-001", DIGEST), ("turkish-002", DIGEST)]
    assert (facts.digest, facts.alone, facts.cold_seconds) == (DIGEST, 2, 0.55)


def test_another_candidate_than_the_imported_one_is_not_measured(root: Path, engine: FakeEngine) -> None:
    """Two applies side by side: the verdict of one must not come from the other's model."""
    with pytest.raises(EngineError, match="not what was imported"):
        step.run_evaluate(
            make_context(make_recipe(root), root, "evaluate", facts={"import": {**IMPORTED, "digest": "other"}})
        )
    assert engine.asked == []


def test_a_damaged_candidate_is_not_measured(root: Path, engine: FakeEngine) -> None:
    """A bit that flips in the served file's tensors leaves its header whole: only its hash tells."""
    (root / "m.gguf").write_bytes(b"GGUG")
    with pytest.raises(DamagedError, match="tiny:candidate has other bytes") as error:
        step.run_evaluate(make_context(make_recipe(root), root, "evaluate", facts={"import": IMPORTED}))
    assert "jessy apply" in (error.value.hint or "")
    assert engine.asked == []


def test_an_interrupted_evaluation_goes_on(root: Path, engine: FakeEngine) -> None:
    recipe = make_recipe(root)
    with pytest.raises(Interrupted):
        step.run_evaluate(make_context(recipe, root, "evaluate", Told(patience=0), facts={"import": IMPORTED}))
    assert engine.loads == 0
    asked = len(engine.asked)
    step.run_evaluate(make_context(recipe, root, "evaluate", facts={"import": IMPORTED}))
    assert len(engine.asked) == asked + 2  # the warm-up and the one that was left


def test_the_base_gets_the_same_prompt_and_its_loops_are_cut(
    root: Path, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = root / "out/base"
    base.mkdir(parents=True)
    engine.answer = lambda prompt: "Bu böyle olmaz. " * 40
    models: list[Any] = []
    monkeypatch.setattr(engine, "load", lambda model: models.append(model) or 0.1)
    monkeypatch.setattr("jessyfile.engines.llamacpp_engine.LlamaCpp", lambda **_: engine)
    written: list[str] = []

    def write(folder: Path, target: Path, quantize: str, report: Any, matrix: Any) -> None:
        assert matrix is None
        target.write_bytes(b"GGUF")
        written.append(quantize)

    monkeypatch.setattr("jessyfile.export.gguf_writer.write_gguf", write)
    recipe = make_recipe(root)
    for _ in range(2):
        facts = step.run_baseline(make_context(recipe, root, "baseline", inputs={"base": base}, facts={"base": BASE}))
    assert written == [recipe.export.quantize]  # the second run finds the first one's file
    assert (models[0].system, models[0].chat_format, facts.model) == ("Kısa konuş.", "gemma", "gemma3:270m")
    assert {answer.stopped for answer in read_answers(root / "out/baseline/answers.jsonl")} == {"cut"}


@pytest.fixture
def ask_base(root: Path, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run `baseline` for a recipe in a work folder of its own, and return its facts and how many questions the base was asked."""
    monkeypatch.setattr("jessyfile.engines.llamacpp_engine.LlamaCpp", lambda **_: engine)
    monkeypatch.setattr("jessyfile.export.gguf_writer.write_gguf", lambda folder, path, *_: path.write_bytes(FILE))
    base = root / "out/base"
    base.mkdir(parents=True)

    def run(recipe: Any, work: str, base_facts: Any = BASE, replaced: bool = False) -> tuple[Any, int]:
        before = len(engine.asked)
        context = make_context(recipe, root, "baseline", inputs={"base": base}, facts={"base": base_facts})
        shutil.rmtree(context.work)
        work_folder = root / work
        work_folder.mkdir(exist_ok=True)
        facts = step.run_baseline(replace(context, work=work_folder, replaced=replaced))
        return facts, len(engine.asked) - before

    return run


def test_a_base_is_asked_a_suite_once_whatever_recipe_asks(root: Path, ask_base: Any) -> None:
    """Three minutes of every quickstart went to the same base and the same questions as in the last recipe."""
    recipe = make_recipe(root)
    first, asked = ask_base(recipe, "one")
    assert (asked, first.load_seconds) == (3, 0.5)
    second, asked = ask_base(replace(recipe, name="another"), "two")
    assert (asked, second.load_seconds, second.cases) == (0, None, 2)
    assert not (root / "two" / "base-q8_0").exists()  # no file is written for nobody to ask
    with open(root / "cases.jsonl", "a", encoding="utf-8") as handle:
        handle.write(CASE.replace("-001", "-003").replace("makarna mı", "bulgur mu") + "\n")
    assert ask_base(recipe, "three")[1] == 2  # the warm-up and the new case


@pytest.mark.parametrize(
    "change",
    [
        {"system": "Uzun konuş."},
        {"complexity": Complexity(default_complexity().levels, None)},
        {"parameters": (Parameter("temperature", 0.7),)},
        {"base": {**BASE, "digest": "y"}},
    ],
)
def test_another_base_prompt_or_sampling_is_asked_anew(root: Path, ask_base: Any, change: dict[str, Any]) -> None:
    recipe = make_recipe(root)
    ask_base(recipe, "one")
    base = change.pop("base", BASE)
    assert ask_base(replace(recipe, **change), "two", base)[1] == 3


def test_replace_asks_a_base_again_and_keeps_what_it_says_now(root: Path, ask_base: Any, engine: FakeEngine) -> None:
    recipe = make_recipe(root)
    ask_base(recipe, "one")
    engine.answer = lambda _: "[low 1]\nŞimdi başka."
    assert ask_base(recipe, "two", replaced=True)[1] == 3
    assert ask_base(recipe, "three")[1] == 0
    assert {answer.text for answer in read_answers(root / "out/baseline/answers.jsonl")} == {"Şimdi başka."}


def test_a_stale_file_of_answers_is_found(root: Path, engine: FakeEngine) -> None:
    """Answers carried no name: those of the last candidate could stand for this one's."""
    recipe = make_recipe(root, "  MUST turkish_accuracy > 90%")
    step.run_evaluate(make_context(recipe, root, "evaluate", facts={"import": IMPORTED}))
    inputs = {"evaluate": root / "out/evaluate", "baseline": root / "out/evaluate"}
    facts = FACTS | {"evaluate": answered("0123456789abcdef")}
    with pytest.raises(EvaluationError, match=f"2 of 2 answers .* by the model {DIGEST[:12]}, not by 0123456789ab"):
        step.run_judge(make_context(recipe, root, "judge", inputs=inputs, facts=facts))


def test_answers_of_another_model_are_not_taken_up(root: Path, engine: FakeEngine) -> None:
    recipe = make_recipe(root)
    context = make_context(recipe, root, "evaluate", facts={"import": IMPORTED})
    step.run_evaluate(context)
    kept = context.work / step.KEPT
    kept.write_text(kept.read_text("utf-8").replace(DIGEST, "0" * 64), encoding="utf-8")
    asked = len(engine.asked)
    step.run_evaluate(context)
    assert len(engine.asked) == asked + 3
    assert {answer.model for answer in read_answers(root / "out/evaluate/answers.jsonl")} == {DIGEST}


def test_the_load_is_measured_from_a_cold_engine_to_the_first_token(root: Path, engine: FakeEngine) -> None:
    recipe = make_recipe(root, "  MUST latency.load < 1s")
    step.run_evaluate(make_context(recipe, root, "evaluate", facts={"import": IMPORTED}))
    inputs = {"evaluate": root / "out/evaluate", "baseline": root / "out/evaluate"}
    facts = step.run_judge(make_context(recipe, root, "judge", inputs=inputs, facts=FACTS))
    assert facts.failed == ("latency.load",)  # 1.5 s to load and 0.2 s to the first token
    assert facts.metrics["latency.load"] == 1.7
    assert (
        read_verdict(root / "out/judge").metrics["latency.load"].before is None
    )  # every answer of the base was kept from before


def test_the_judge_reads_and_asks_nobody(root: Path, engine: FakeEngine) -> None:
    recipe = make_recipe(root, "  MUST turkish_accuracy > 90%\n  MUST training_time < 1m")
    step.run_evaluate(make_context(recipe, root, "evaluate", facts={"import": IMPORTED}))
    engine.asked.clear()
    inputs = {"evaluate": root / "out/evaluate", "baseline": root / "out/evaluate"}
    facts = step.run_judge(make_context(recipe, root, "judge", inputs=inputs, facts=FACTS | {"train": trained(61.0)}))
    assert engine.asked == []
    assert facts.failed == ("training_time",)
    assert facts.metrics["turkish_accuracy"] == 1.0
    stored = read_verdict(root / "out/judge")
    assert stored.facts() == facts
    assert [one.after.case.id for one in stored.cases] == ["turkish-001", "turkish-002"]


def test_the_same_answers_give_the_same_verdict_bytes(root: Path, engine: FakeEngine) -> None:
    recipe = make_recipe(root, "  MUST turkish.relevance >= baseline")
    step.run_evaluate(make_context(recipe, root, "evaluate", facts={"import": IMPORTED}))
    inputs = {"evaluate": root / "out/evaluate", "baseline": root / "out/evaluate"}
    found = set()
    for name in ("a", "b"):
        step.run_judge(make_context(recipe, root, name, inputs=inputs, facts=FACTS))
        found.add((root / "out" / name / "verdict.json").read_bytes())
    assert len(found) == 1
