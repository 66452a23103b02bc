"""A small recipe, cases, and an engine that answers from a table: what the evaluation is tried against."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jessyfile.engines.engine import GenerationSettings, OnPiece, Reply, ServedModel, TokenLogprob
from jessyfile.evaluation.answers import Answered
from jessyfile.evaluation.cases import Case, Check
from jessyfile.language import load_recipe
from jessyfile.language.build import default_complexity
from jessyfile.language.recipe import Complexity, Message
from jessyfile.planning.canonical import normal
from jessyfile.planning.run import Silent
from jessyfile.planning.steps import StepContext
from jessyfile.resources import resource
from jessyfile.results.facts import AnswersFacts, TrainFacts
from jessyfile.results.served import Served
from jessyfile.results.typed_json import Record

if TYPE_CHECKING:
    from jessyfile.language.recipe import Recipe

RECIPE = """JESSY 1
NAME tiny
FROM gemma3:270m
SYSTEM "Kısa konuş."
COMPLEXITY {{
  LEVEL low    1-2 iterations within 5s
  LEVEL medium 3-5 iterations
  LEVEL high   6-9 iterations
}}
{personality}
DATASET {{
  CATEGORY turkish 10 "Small talk" {{
    language tr
    level    low
    TOPIC casual 10
  }}
}}
DEPLOY {{
  engine embedded
}}
EVAL {{
  max_tokens 48
  SUITE turkish "cases.jsonl"
{evaluation}
}}
"""


def make_recipe(folder: Path, evaluation: str = "", personality: str = "") -> Recipe:
    """Return a recipe with some EVAL lines and a PERSONALITY block; its suite is `cases.jsonl` beside it."""
    path = folder / "tiny.jessy"
    if not (folder / "cases.jsonl").exists():
        (folder / "cases.jsonl").write_text(CASE + "\n", encoding="utf-8")
    path.write_text(RECIPE.format(evaluation=evaluation, personality=personality), encoding="utf-8")
    loaded = load_recipe(path)
    assert loaded.recipe is not None, loaded.diagnostics
    return loaded.recipe


CASE = (
    '{"id": "turkish-001", "suite": "turkish", "prompt": "akşama makarna mı pilav mı", "level": "low",'
    ' "language": "tr", "relevance": [{"check": "any_of", "words": ["makarna", "pilav"]}]}'
)


def make_case(name: str = "turkish-001", suite: str = "turkish", level: str = "low", **values: Any) -> Case:
    """Return a case whose relevance is a word of `pilav`, unless told otherwise."""
    given = {
        "prompt": f"{name} ne yesek",
        "language": "tr",
        "relevance": (Check("any_of", words=("pilav",)),),
        **values,
    }
    return Case(id=name, suite=suite, level=level, **given)


def make_answer(name: str = "turkish-001", text: str = "Bence pilav yap, yanına da yoğurt.", **values: Any) -> Answered:
    """Return an answer `[low 1]` of one second, unless told otherwise."""
    given: dict[str, Any] = {
        "level": "low",
        "iterations": 1,
        "prompt_tokens": 9,
        "tokens": 12,
        "seconds": 1.0,
        "first_token_seconds": 0.1,
        "stopped": "stop",
        **values,
    }
    return Answered(id=name, text=text, **given)


USUAL = default_complexity()


def served(complexity: Complexity = USUAL, **changes: Any) -> Record:
    """Return how a registered model is served: gemma's format, `Kısa konuş.`, no parameters."""
    return normal(replace(Served("tiny", "gemma", "Kısa konuş.", (), {}, complexity), **changes))


FILE = b"GGUF"
IMPORTED: Record = {
    "engine": "embedded", "name": "tiny", "tag": "candidate", "digest": hashlib.sha256(FILE).hexdigest(),
}  # fmt: skip


def trained(seconds: float = 95.0) -> Record:
    """Return the record of a training that took so long."""
    return normal(
        TrainFacts(
            training_seconds=seconds,
            updates=8,
            work_units=64,
            trained_tokens=960,
            final_loss=0.5,
            best_validation_loss=1.1,
            best_update=8,
            parameters=3_000_000,
            rank=16,
            peak_bytes=3_200_000_000,
            rungs=(),
            blas="none",
        )
    )


def answered(digest: str = "", **changes: Any) -> Record:
    """Return the record of a step that answered two cases with the model of a digest."""
    return normal(replace(AnswersFacts("embedded", "tiny:candidate", 2, 24, 1.5, 0.2, 1, 2, digest, 2), **changes))


def by_id(*answers: Answered) -> Mapping[str, Answered]:
    return {answer.id: answer for answer in answers}


@dataclass
class FakeEngine:
    """Answers from a function of the last user turn; keeps what it was asked."""

    answer: Callable[[str], str] = lambda _: "[low 1]\nBence pilav."
    name: str = "fake"
    parallel: int = 1
    asked: list[list[Message]] = field(default_factory=list)
    loads: int = 0

    def load(self, model: ServedModel) -> float:
        self.loads += 1
        return 0.5

    def chat(
        self, messages: Sequence[Message], settings: GenerationSettings | None = None, on_piece: OnPiece | None = None
    ) -> Reply:
        self.asked.append(list(messages))
        text, stopped = self.answer(messages[-1].content), "stop"
        for end in range(1, len(text) + 1):
            if on_piece is not None and on_piece(text[:end]):
                text, stopped = text[:end], "cut"
                break
        return Reply(text, 9, len(text.split()), 0.25, 0.05, stopped)  # type: ignore[arg-type]

    def next_logprobs(self, prompt: str, top: int) -> list[TokenLogprob]:
        raise NotImplementedError

    def unload(self) -> None:
        self.loads -= 1


@dataclass
class Told(Silent):
    """A progress and a stop: remembers what it was told, and asks to stop after `patience` questions."""

    patience: int | None = None
    heard: list[tuple[float, float | None, str]] = field(default_factory=list)

    def update(self, done: float, total: float | None = None, *, text: str = "") -> None:
        self.heard.append((done, total, text))

    def requested(self) -> bool:
        if self.patience is None:
            return False
        self.patience -= 1
        return self.patience < 0


def make_context(recipe: Recipe, root: Path, name: str, told: Told | None = None, **parts: Any) -> StepContext:
    """Return a step's context with folders under `root`."""
    output, work = root / "out" / name, root / "work" / name
    output.mkdir(parents=True, exist_ok=True)
    work.mkdir(parents=True, exist_ok=True)
    told = told or Told()
    inputs, facts = parts.get("inputs", {}), parts.get("facts", {})
    return StepContext(recipe, root, output, work, inputs, facts, told, told, name)


def seed_rows() -> list[dict[str, Any]]:
    """Return every training row with an answer of JESSY's; closed tasks are answered in JSON."""
    files = (path for path in resource("data", "seeds").rglob("*.jsonl") if path.parent.name not in ("tickets", "home"))
    texts = [path.read_text("utf-8") for path in files]
    lines = [line for text in texts for line in text.splitlines()]
    return [row for line in lines if (row := json.loads(line)).get("response")]
