"""A run's result as `apply` gives it, with a verdict made from answers and the small files that steps leave."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evaluation_fakes import by_id, make_answer, make_case, make_recipe

from jessyfile.evaluation.verdict import judge
from jessyfile.planning.run import RunResult, StepResult
from jessyfile.planning.runs import Run

if TYPE_CHECKING:
    from jessyfile.language.recipe import Recipe

CRITERIA = "  MUST turkish_accuracy > 60%\n  SHOULD turkish.relevance >= baseline\n  MAY latency.low < 5s\n"
MASK = {
    "train": {
        "rows": 9,
        "rows_cut": 0,
        "chat_rows": 6,
        "ends_trained": 6,
        "tokens": 300,
        "trained_tokens": 120,
        "categories": {"turkish": {"tokens": 300, "trained": 120}},
    }
}
CARD = {
    "rows": 9,
    "markers": 3,
    "train": 8,
    "valid": 1,
    "leaks": 0,
    "balance": 0.98,
    "levels": {"low": 9},
    "languages": {"tr": 9},
    "topics": {"turkish/casual": 9},
}
CURVE = {
    "curve": [{"update": n, "loss": 4.0 / n} for n in range(1, 9)],
    "validations": [{"update": 4, "loss": 1.4}, {"update": 8, "loss": 1.1}],
}
TRAINED = {
    "updates": 8, "training_seconds": 95.0, "trained_tokens": 960, "rank": 16, "parameters": 3_000_000,
    "best_validation_loss": 1.1, "best_update": 8, "peak_bytes": 3_200_000_000, "rungs": [],
}  # fmt: skip
EVALUATED = {"engine": "embedded", "parallel": 1, "load_seconds": 1.5, "cold_first_token_seconds": 0.2}


@dataclass(frozen=True)
class FakePlan:
    recipe: str = "tiny.jessy"


def make_verdict(recipe: Recipe, text: str = "Bence pilav yap, yanına da yoğurt.") -> Any:
    cases = [make_case(f"turkish-{n:03}") for n in range(1, 7)]
    new = [
        make_answer(case.id, text if n else "Bu çok derin bir soru.", seconds=0.5 + n / 4)
        for n, case in enumerate(cases)
    ]
    old = [make_answer(case.id, "Sen JESSY'sin.", level=None, iterations=None) for case in cases]
    return judge(recipe, cases, by_id(*new), by_id(*old), 95.0)


def make_result(folder: Path, text: str = "Bence pilav yap, yanına da yoğurt.") -> tuple[Recipe, RunResult]:
    """Return a recipe and the result of a whole run of it."""
    recipe = make_recipe(folder, CRITERIA)
    verdict = make_verdict(recipe, text)
    files = {
        "judge": ("verdict.json", {**verdict.to_json(), "opinion": None}),
        "train": ("curve.json", CURVE),
        "dataset": ("card.json", CARD),
        "encode": ("mask.json", MASK),
    }
    facts = {
        "judge": verdict.facts(),
        "train": TRAINED,
        "evaluate": EVALUATED,
        "promote": {"promoted": True},
        "gguf": {"digest": "ab" * 32},
    }
    names = ("dataset", "encode", "train", "gguf", "evaluate", "judge", "promote")
    steps = tuple(_step(folder, name, files.get(name), facts.get(name, {})) for name in names)
    run = Run(7, folder / "runs" / "7")
    run.folder.mkdir(parents=True, exist_ok=True)
    return recipe, RunResult("tiny", FakePlan(), run, steps, 120.0)  # type: ignore[arg-type]


def _step(folder: Path, name: str, file: tuple[str, Any] | None, facts: Any) -> StepResult:
    place = folder / "objects" / name
    place.mkdir(parents=True, exist_ok=True)
    if file is not None:
        (place / file[0]).write_text(json.dumps(file[1], ensure_ascii=False), encoding="utf-8")
    return StepResult(name, "ran", "0123456789abcdef" * 4, place, facts, 12.0, 10**9)
