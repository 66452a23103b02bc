"""RETRIEVE through one real apply of a tiny model: what is trained, asked, measured and served is the same way of asking."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from jessyfile.dataset.formatted import read_formatted
from jessyfile.evaluation.answers import read_answers
from jessyfile.evaluation.verdict import read_verdict
from jessyfile.planning.state import load_state
from jessyfile.report.terminal import summary_lines
from jessyfile.results.facts import AnswersFacts, ImportFacts, IndexFacts, JudgeFacts, PassageFacts
from jessyfile.retrieval.examples import Examples
from tests.walks import HOUSE, applied_walk, jessy, result

RETRIEVE = 'RETRIEVE {\n  examples 2 from seeds\n  answer above 90%\n  serve "served.jsonl"\n  documents "notes/**/*.md" top 2\n  quote above 30%\n}\n'
NOTE = "# Kombi\n\n## Basınç\n\nBasınç 1 ile 1,5 bar arasında durmalı.\n\n## Servis\n\nServisin numarası buzdolabında."
CASE = "menekse-001"
ASKED = json.loads((HOUSE / "data" / "eval" / "turkish.jsonl").read_text("utf-8").split("\n", 1)[0])["prompt"]
SERVED = {
    "query": ASKED, "response": "Bunu yalnız bitmiş model bilir.", "complexity": "low", "iterations": 1, "category": "turkish",
    "topic": "greetings", "language": "tr", "tags": [], "source": "hand",
}  # fmt: skip
pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Applied:
    root: Path

    def folder(self, step: str) -> Path:
        return result(self.root, step)

    def facts(self, step: str, kind):  # type: ignore[no-untyped-def]
        return load_state(self.root, "walk").steps[step].facts_of(kind)


@pytest.fixture(scope="module")
def applied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Applied]:
    root = tmp_path_factory.mktemp("retrieve")
    (root / "notes" / "ev").mkdir(parents=True)
    (root / "notes" / "ev" / "kombi.md").write_text(NOTE, "utf-8")
    (root / "served.jsonl").write_text(json.dumps(SERVED, ensure_ascii=False) + "\n", "utf-8")
    with applied_walk(root, RETRIEVE):
        yield Applied(root)


def test_rows_held_out_serve_and_stand_before_no_row_that_is_trained(applied: Applied) -> None:
    """One row in ten was found by nobody who asked the finished model, because it had validated the training."""
    held = Examples.load(applied.folder("index"))
    train, out = (
        {row.id for row in read_formatted(applied.folder("dataset") / f"{name}.jsonl")} for name in ("train", "valid")
    )
    assert out
    assert {row.id for row in held.rows if row.held_out and not row.unasked} == out
    assert {row.id for row in held.rows if not row.held_out} == {row.id for row in held.trained().rows} == train
    for name in ("train", "valid"):
        for row in read_formatted(applied.folder("neighbours") / f"{name}.jsonl"):
            assert not out & {neighbour for neighbour, _ in row.neighbours}
    one = next(row for row in held.rows if row.held_out)
    assert f"the answer of row {one.id[:8]} (1.00) as it stands" in jessy("chat", "walk", one.question)


def test_a_row_that_a_suite_asks_is_served_and_neither_trained_nor_measured(applied: Applied) -> None:
    """As a seed it would give its case away; left out, the finished model repeated another row to who asked it."""
    assert jessy("chat", "walk", ASKED).startswith("Bunu yalnız bitmiş model bilir.")
    (served,) = (row for row in Examples.load(applied.folder("index")).rows if row.unasked)
    asked = next(one for one in read_answers(applied.folder("evaluate") / "answers.jsonl") if one.id == CASE)
    assert asked.retrieved is not None
    assert served.id not in {row.id for row in asked.retrieved.rows}
    assert "yalnız bitmiş" not in asked.text
    for step, name in (("dataset", "train"), ("dataset", "valid"), ("neighbours", "train")):
        assert "yalnız bitmiş" not in (applied.folder(step) / f"{name}.jsonl").read_text("utf-8")


def test_answers_of_both_ways_say_what_stood_before_them(applied: Applied) -> None:
    served = read_answers(applied.folder("evaluate") / "answers.jsonl")
    other = read_answers(applied.folder("evaluate.other") / "answers.jsonl")
    held = {row.id for row in Examples.load(applied.folder("index")).rows}
    assert all(one.retrieved is not None for one in served)
    assert all(row.id in held for one in served if one.retrieved for row in one.retrieved.rows)
    assert all(one.retrieved is None for one in other)
    assert applied.facts("evaluate", AnswersFacts).retrieved is True
    assert applied.facts("evaluate.other", AnswersFacts).retrieved is False
    assert applied.facts("baseline", AnswersFacts).retrieved is None


def test_the_verdict_the_terminal_and_the_report_show_both_ways(applied: Applied) -> None:
    verdict, facts = read_verdict(applied.folder("judge")), applied.facts("judge", JudgeFacts)
    assert verdict.ways is not None
    assert (verdict.ways.served, facts.other_way) == ("retrieved", "bare")
    assert verdict.ways.shares["no_loops"].retrieved.value == verdict.metrics["no_loops"].after.value
    assert facts.other["no_loops"] == verdict.ways.shares["no_loops"].bare.value
    assert "   bare: " in summary_lines(facts)[0]
    page = next((applied.root / ".jessy" / "runs").rglob("report.html")).read_text("utf-8")
    assert '<section id="ways">' in page
    assert "behind rows" in page
    shown = next(one.retrieved for one in read_answers(applied.folder("evaluate") / "answers.jsonl"))
    assert shown is not None
    assert all(f"{row.id[:8]} ({row.score:.2f})" in page for row in shown.rows)


def test_the_index_is_named_by_its_digest_wherever_a_model_is(applied: Applied) -> None:
    facts = applied.facts("index", IndexFacts)
    lock = (applied.root / "walk.lock").read_text("utf-8")
    entry = json.loads((applied.root / ".jessy" / "models" / "walk" / "latest.json").read_text("utf-8"))
    action = load_state(applied.root, "walk").steps["index"].object
    assert f"index      {action}  " in lock
    assert entry["retrieval"]["digest"] == facts.digest
    assert entry["retrieval"]["folder"].startswith(".jessy/store/" + action)
    assert applied.facts("import", ImportFacts).model


def test_chat_retrieves_after_everything_else_is_swept_away(applied: Applied) -> None:
    jessy("gc", "--keep", "0")
    first = Examples.load(applied.folder("index")).rows[0]
    assert f"the answer of row {first.id[:8]} (1.00) as it stands" in jessy("chat", "walk", first.question.upper())
    assert "· behind row" in jessy("chat", "walk", "başka bir gün nerede acaba", "--max-tokens", "4")


def test_a_change_costs_what_it_changes(applied: Applied) -> None:
    """Another bound only packs the model anew, another number of rows trains it again."""
    recipe = applied.root / "walk.jessy"
    text = recipe.read_text("utf-8")
    assert "No changes" in jessy("plan", recipe.name)
    try:
        recipe.write_text(text.replace("above 90%", "above 80%"), "utf-8")
        assert "No retraining is needed" in (plan := jessy("plan", recipe.name))
        assert "~ import" in plan
        recipe.write_text(text.replace("examples 2", "examples 3"), "utf-8")
        assert "Retraining follows" in (plan := jessy("plan", recipe.name))
        assert "~ neighbours" in plan
        assert "~ index" not in plan
        recipe.write_text(text.replace("quote above 30%", "quote above 60%"), "utf-8")
        assert "No retraining is needed" in jessy("plan", recipe.name)
        recipe.write_text(text, "utf-8")
        (applied.root / "notes" / "ev" / "çatı.md").write_text("Olukları ekimde temizle.", "utf-8")
        plan = jessy("plan", recipe.name)
        assert "No retraining is needed" in plan
        assert re.search(r"~ passages .*\n.*notes/ev/çatı\.md", plan)
        (applied.root / "notes" / "ev" / "çatı.md").unlink()
        recipe.write_text(text.replace(RETRIEVE, ""), "utf-8")
        assert re.search(r"evaluate\.other +no longer read", jessy("plan", recipe.name))
    finally:
        recipe.write_text(text, "utf-8")


def test_notes_are_quoted_or_it_is_said_that_they_do_not_say_it(applied: Applied) -> None:
    asked = json.loads(jessy("chat", "walk", "kombinin basıncı kaç bar olmalı", "--json"))["retrieved"]
    assert next(one["id"] for one in asked["passages"]) == "notes/ev/kombi.md#Basınç"
    assert asked["quoted"] is True
    assert all(0 <= one["says"] <= 1 for one in asked["passages"])
    assert asked["leans_on"] in (None, *(one["id"] for one in asked["passages"]))
    facts = applied.facts("passages", PassageFacts)
    assert (facts.documents, facts.passages) == (1, 2)
    entry = json.loads((applied.root / ".jessy" / "models" / "walk" / "latest.json").read_text("utf-8"))
    assert entry["retrieval"]["passages"]["digest"] == facts.digest


@pytest.mark.parametrize(
    ("engine", "said"), [("ollama", "goes to Ollama,"), ("auto", "goes to Ollama where one answers,")]
)
def test_the_plan_warns_of_clients_that_send_bare_questions(applied: Applied, engine: str, said: str) -> None:
    recipe = applied.root / "walk.jessy"
    other = applied.root / f"{engine}.jessy"
    text = recipe.read_text("utf-8").replace("engine embedded", f"engine {engine}")
    other.write_text(text, "utf-8")
    assert "could quote none there" in jessy("check", other.name, expect=1 if engine == "ollama" else 0)
    other.write_text(text.replace("  quote above 30%\n", ""), "utf-8")
    assert said in jessy("plan", other.name)
    assert "bare questions" not in jessy("plan", recipe.name)
