"""The main job on the real Gemma: a recipe becomes a promoted model that llama.cpp answers with. Minutes, not seconds."""

import json
import time
from pathlib import Path

import pytest
from main_job import jessy

pytestmark = pytest.mark.real


@pytest.fixture
def project(main_job: Path) -> Path:
    return main_job


def test_the_trained_model_is_the_one_that_answers(project: Path) -> None:
    state = json.loads(next((project / ".jessy" / "state").glob("tiny-job*.json")).read_text())
    facts = {name: step["facts"] for name, step in state["steps"].items()}
    assert facts["train"]["updates"] == facts["encode"]["updates"] > 20
    encode = facts["encode"]
    assert encode["ends_trained"] >= encode["chat_rows"] - encode["rows_cut"] > 0
    assert facts["parity"]["agreement"] == 1.0
    assert facts["parity"]["divergence"] < 1e-3
    assert facts["promote"]["promoted"] is True


def test_chat_asks_the_promoted_model(project: Path) -> None:
    said = json.loads(jessy(project, "chat", "tiny-job", "selam naber", "--json", "--max-tokens", "24").stdout)
    assert said["tokens"] > 0
    assert said["seconds"] > 0


def test_a_second_apply_does_nothing_and_says_so(project: Path) -> None:
    start = time.perf_counter()
    assert "No changes" in jessy(project, "apply", "job.jessy").stdout
    assert "No changes" in jessy(project, "plan", "job.jessy", "--detailed-exitcode").stdout
    assert time.perf_counter() - start < 60  # nothing was trained: that alone takes longer


def test_a_changed_criterion_judges_again_and_nothing_else(project: Path) -> None:
    plan = jessy(project, "plan", "job.jessy", "--set", "eval.criterion.turkish.form.value=2%", "--json").stdout
    running = {step["name"] for step in json.loads(plan)["steps"] if step["answer"] == "will"}
    assert running == {"judge"}


def test_a_changed_adapter_setting_trains_again_and_leaves_the_data_alone(project: Path) -> None:
    plan = jessy(project, "plan", "job.jessy", "--set", "lora.rank=4", "--json").stdout
    answers = {step["name"]: step["answer"] for step in json.loads(plan)["steps"]}
    assert answers["train"] == "will"
    assert {answers[name] for name in ("base", "data.turkish", "dataset", "encode", "baseline")} == {"reused"}
    assert {answers[name] for name in ("merge", "gguf", "parity", "import", "evaluate", "judge")} == {"may"}


def test_the_report_is_one_file_that_opens_alone(project: Path) -> None:
    page = next((project / ".jessy" / "runs").glob("*/report.html")).read_text(encoding="utf-8")
    assert "tiny-job" in page
    loading, recipe, rest = page.partition('<pre class="recipe">')
    loading += rest.partition("</pre>")[2] if recipe else ""  # which names the address of an Ollama
    assert "http://" not in loading.replace("http://www.w3.org", "")
    assert "src=" not in page
