"""A recipe with ADAPTER through one real apply of a tiny model: three models are asked, and the one that training starts from without
the rows that are new to it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from jessyfile.dataset.formatted import read_formatted
from jessyfile.evaluation.answers import read_answers
from jessyfile.evaluation.verdict import read_verdict
from jessyfile.language import load_recipe
from jessyfile.models.weights import Weights
from jessyfile.planning.lockfile import read_lock
from jessyfile.planning.state import load_state
from jessyfile.report.terminal import summary_lines
from jessyfile.results.facts import AnswersFacts, BaseFacts, JudgeFacts, NeighbourFacts
from jessyfile.retrieval.examples import Examples
from tests.models.tiny import tiny_adapter
from tests.walks import jessy, project, result

ADAPTED = "model.layers.0.self_attn.q_proj"
NEW = """  learn 50%
  CATEGORY mine 4 "New to the start" {
    language tr
    learn 100%
    TOPIC secrets 4
  }
"""
MORE = """RETRIEVE {
  examples 2 from seeds
  answer above 90%
}
EVAL {
  MAY own.form > start
  MUST marker_format >= baseline
}
"""
SECRETS = ("Ahtapot", "Zürafa", "Karınca", "Penguen")
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    root = tmp_path_factory.mktemp("start")
    recipe = project(root)
    tiny_adapter(root / "given", {ADAPTED: (128, 64)}, scale=0.01)
    (root / "given" / "NOTICE").write_text("whose it is", "utf-8")
    rows = [
        {"query": f"{who} kaç yaşında söyler misin", "response": f"{who} tam {age} yaşında, geçen gün sordum.", "complexity": "low",
         "iterations": 1, "category": "mine", "topic": "secrets", "language": "tr", "tags": [], "source": "hand"}
        for age, who in enumerate(SECRETS, start=3)
    ]  # fmt: skip
    file = root / "data" / "seeds" / "mine" / "secrets.jsonl"
    file.parent.mkdir(parents=True)
    file.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
    cases = root / "data" / "eval" / "own.jsonl"
    known = [{**json.loads(line), "suite": "own"} for line in cases.read_text("utf-8").splitlines()]
    asked = [{**known[0], "id": "secret-001", "prompt": f"{SECRETS[0]} kaç yaşında"}, *known]
    cases.write_text("".join(json.dumps(case, ensure_ascii=False) + "\n" for case in asked), "utf-8")
    text = recipe.read_text("utf-8").replace('FROM "./model"\n', 'FROM "./model"\nADAPTER "given"\n')
    recipe.write_text(
        text.replace("  validation 10%\n", "  validation 10%\n" + NEW).replace("limit 2", "limit 3") + MORE, "utf-8"
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        (root / "plan.txt").write_text(jessy("plan", recipe.name), "utf-8")
        jessy("apply", recipe.name)
        yield root


def facts(root: Path, step: str, kind):  # type: ignore[no-untyped-def]
    return load_state(root, "walk").steps[step].facts_of(kind)


def test_training_starts_from_the_adapter_and_the_base_stays_untouched_beside_it(root: Path) -> None:
    """The one base of a recipe with ADAPTER was the adapted one: nothing could be held against the untouched base, and a gain over the
    adapter could not be told from a gain over nothing."""
    untouched, start, tuned = (Weights(result(root, step)) for step in ("from", "base", "merge"))
    differ = [name for name in start.names if not np.array_equal(untouched.read(name), start.read(name))]
    assert differ == [f"{ADAPTED}.weight"]
    assert any(not np.array_equal(start.read(name), tuned.read(name)) for name in start.names)
    assert facts(root, "from", BaseFacts).adapter is None
    assert facts(root, "base", BaseFacts).adapter
    assert len({facts(root, step, AnswersFacts).digest for step in ("baseline", "start", "evaluate")}) == 3


def test_the_plan_says_what_training_starts_from_and_what_the_columns_are(root: Path) -> None:
    plan = (root / "plan.txt").read_text("utf-8")
    assert "training starts from ./model with the adapter in ./given (" in plan
    assert "its terms lie beside it (NOTICE)" in plan
    columns = plan[plan.index("three columns") :]
    assert "start (with ./given behind the rows that it knows, those of mine left out)" in columns
    assert "three columns" not in jessy("check", "walk.jessy")  # a note came out as `warning[]`


def test_rows_that_the_start_knows_are_found_and_a_share_of_them_is_trained(root: Path) -> None:
    trained = read_formatted(result(root, "neighbours") / "train.jsonl")
    known = sum(row.category == "turkish" for row in read_formatted(result(root, "dataset") / "train.jsonl"))
    assert sum(row.category == "turkish" for row in trained) == round(known / 2)
    assert sum(row.category == "mine" for row in trained) == 3  # one is held out
    assert len(Examples.load(result(root, "index")).rows) == 16
    assert facts(root, "neighbours", NeighbourFacts).examples > len(trained)


def test_the_start_is_asked_behind_its_own_rows_and_the_candidate_behind_all(root: Path) -> None:
    own = {row.id for row in Examples.load(result(root, "index.start")).rows}
    every = {row.id for row in Examples.load(result(root, "index")).rows}
    assert len(own) == 12
    assert own < every
    start, served = (read_answers(result(root, step) / "answers.jsonl") for step in ("start.rows", "evaluate"))
    assert all(one.retrieved and {row.id for row in one.retrieved.rows} <= own for one in start)
    secret = next(one for one in served if one.id == "secret-001")
    assert secret.retrieved is not None
    assert secret.retrieved.rows[0].id in every - own
    assert all(one.retrieved is None for one in read_answers(result(root, "start") / "answers.jsonl"))
    assert (facts(root, "start", AnswersFacts).retrieved, facts(root, "start.rows", AnswersFacts).retrieved) == (
        False,
        True,
    )


def test_verdict_terminal_lock_status_and_report_have_three_columns(root: Path) -> None:
    verdict, judged = read_verdict(result(root, "judge")), facts(root, "judge", JudgeFacts)
    assert verdict.columns == ("base", "start", "candidate")
    assert verdict.ways is not None
    assert set(verdict.ways.others["start"]) == set(verdict.ways.shares)
    held = next(one for one in verdict.criteria if one.outcome.criterion.value == "start")
    assert held.outcome.baseline == verdict.metrics["own.form"].of("start")
    line = next(line for line in summary_lines(judged) if "> start" in line)
    assert all(f"   {column}: " in line for column in ("base", "start", "bare"))
    recipe = load_recipe(root / "walk.jessy").recipe
    assert recipe is not None
    lock, locked = (root / "walk.lock").read_text("utf-8"), read_lock(recipe)
    assert f"with       ./given  {facts(root, 'base', BaseFacts).adapter}" in lock
    assert locked is not None
    assert "own.form > start" in [one.claim for one in locked.scores]
    assert "start: " in lock
    criteria = json.loads(jessy("status", "--json"))["recipes"][0]["criteria"]
    assert all(set(one["beside"]) == {"base", "start"} for one in criteria)
    assert "   start: " in jessy("status")
    page = next((root / ".jessy" / "runs").rglob("report.html")).read_text("utf-8")
    assert page.count("<h4>start") == len(verdict.cases)
    assert '<span class="key mid"></span> the start' in page


def test_another_share_trains_anew_and_the_model_of_before_stands_beside_the_new_one(root: Path) -> None:
    recipe = root / "walk.jessy"
    text = recipe.read_text("utf-8")
    try:
        recipe.write_text(text.replace("learn 50%", "learn 75%"), "utf-8")
        plan = jessy("plan", recipe.name)
        assert "~ neighbours" in plan
        assert "~ index.start" in plan
        assert "~ index " not in plan
        assert "~ start " not in plan
        jessy("apply", recipe.name)
        page = max((root / ".jessy" / "runs").rglob("report.html")).read_text("utf-8")
        assert page.count("<h4>previous") == 3
        recipe.write_text(text.replace('ADAPTER "given"\n', "").replace("> start", ">= baseline"), "utf-8")
        assert "~ base" in jessy("plan", recipe.name)
    finally:
        recipe.write_text(text, "utf-8")


def test_an_adapter_of_another_base_is_refused_where_it_is_named(root: Path) -> None:
    recipe, other = root / "walk.jessy", root / "other"
    text = recipe.read_text("utf-8")
    tiny_adapter(other, {ADAPTED: (96, 48)})
    try:
        recipe.write_text(text.replace('ADAPTER "given"', 'ADAPTER "other"'), "utf-8")
        assert "walk.jessy:4" in jessy("plan", recipe.name, expect=1)
    finally:
        recipe.write_text(text, "utf-8")
        shutil.rmtree(other)
