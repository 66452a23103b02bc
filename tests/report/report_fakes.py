"""A run's result as `apply` gives it, with a verdict made from answers and the small files that steps leave."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evaluation_fakes import by_id, make_answer, make_case, make_recipe, trained

from jessyfile.dataset.card import DatasetCard, Figures, Shortcut
from jessyfile.evaluation.verdict import Took, Verdict, judge
from jessyfile.planning.canonical import normal, readable
from jessyfile.planning.run import RunResult, StepResult
from jessyfile.planning.runs import Run
from jessyfile.results.facts import (
    AnswersFacts,
    Curve,
    GgufFacts,
    LossPoint,
    Mask,
    MaskCount,
    MaskFacts,
    ParityFacts,
    PromoteFacts,
    StageFacts,
)

if TYPE_CHECKING:
    from jessyfile.language.recipe import Recipe

CRITERIA = "  MUST turkish_accuracy > 60%\n  SHOULD turkish.relevance >= baseline\n  MAY latency.low < 5s\n"
MASKED = MaskFacts(9, 0, 0, 6, 6, 300, 120, {"turkish": MaskCount(300, 120)})
CARD = DatasetCard(
    rows=9,
    markers=3,
    figures=Figures(
        topics={"turkish/casual": 9},
        levels={"low": 9},
        level_by_topic={"turkish/casual": {"low": 9}},
        languages={"tr": 9},
        tags={},
        conversations=0,
        balance=0.98,
        category_balance=1.0,
        lengths={},
        length_shortcut=Shortcut(1.0, 1.0),
        nearest=None,
    ),
    train=8,
    valid=1,
    replay=0,
    seed=42,
    similarity_bound=0.8,
    valid_topics={},
    dropped={},
    sources={},
)
CURVE = Curve(tuple(LossPoint(n, 4.0 / n) for n in range(1, 9)), (LossPoint(4, 1.4), LossPoint(8, 1.1)))
EVALUATED = AnswersFacts("embedded", "tiny:candidate", 6, 72, 1.5, 0.2, 1, 6)


@dataclass(frozen=True)
class FakePlan:
    recipe: str = "tiny.jessy"


def make_verdict(recipe: Recipe, text: str = "Bence pilav yap, yanına da yoğurt.") -> Verdict:
    cases = [make_case(f"turkish-{n:03}") for n in range(1, 7)]
    new = [
        make_answer(case.id, text if n else "Bu çok derin bir soru.", seconds=0.5 + n / 4)
        for n, case in enumerate(cases)
    ]
    old = [make_answer(case.id, "Sen JESSY'sin.", level=None, iterations=None) for case in cases]
    return judge(recipe, cases, by_id(*new), by_id(*old), Took(95.0))


def make_result(folder: Path, text: str = "Bence pilav yap, yanına da yoğurt.") -> tuple[Recipe, RunResult]:
    """Return a recipe and the result of a whole run of it."""
    recipe = make_recipe(folder, CRITERIA)
    verdict = make_verdict(recipe, text)
    files = {
        "judge": ("verdict.json", verdict),
        "train": ("curve.json", CURVE),
        "dataset": ("card.json", CARD),
        "encode": ("mask.json", Mask(MASKED, MASKED)),
    }
    facts = {
        "judge": verdict.facts(),
        "train": {**trained(), "precision": "q4 computed in float32", "rounded": True},
        "evaluate": EVALUATED,
        "promote": PromoteFacts(True),
        "gguf": GgufFacts("q8_0", 3, 9, 0.0, "ab" * 32),
        "parity": ParityFacts(
            24,
            1.0,
            0.0015,
            0.02,
            "q8_0",
            0.97,
            0.96,
            stages=(
                StageFacts("merged", "f32", 24, 1.0, 4e-10, 1e-6),
                StageFacts("quantized", "q8_0", 24, 1.0, 0.0015, 0.02, 0.97, 0.951, 0.984, 0.07, 0.96, 0.99),
            ),
            notes=(text,),
        ),
    }
    names = ("dataset", "encode", "train", "gguf", "parity", "evaluate", "judge", "promote")
    steps = tuple(_step(folder, name, files.get(name), facts.get(name, {})) for name in names)
    run = Run(7, folder / "runs" / "7")
    run.folder.mkdir(parents=True, exist_ok=True)
    return recipe, RunResult("tiny", FakePlan(), run, steps, 120.0)  # type: ignore[arg-type]


def _step(folder: Path, name: str, file: tuple[str, Any] | None, facts: Any) -> StepResult:
    place = folder / "objects" / name
    place.mkdir(parents=True, exist_ok=True)
    if file is not None:
        (place / file[0]).write_text(readable(file[1]), encoding="utf-8")
    return StepResult(name, "ran", "0123456789abcdef" * 4, place, normal(facts), 12.0, 10**9)
