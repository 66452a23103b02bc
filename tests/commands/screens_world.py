"""A project whose applies take no time and always end alike, and a terminal of any width to look at them.

The steps are the real ones of a real recipe; only what a step does is replaced by the facts that it would leave.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import hashlib
import io
import itertools
import json
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyte
import pytest
from evaluation_fakes import CASE, trained
from report_fakes import make_verdict

from jessyfile.cli import main
from jessyfile.commands.doctor import Diagnosis
from jessyfile.commands.recipe import known_findings
from jessyfile.errors import Interrupted
from jessyfile.evaluation.paired import run_evaluation
from jessyfile.export.export_steps import run_promote
from jessyfile.export.forms import Exported
from jessyfile.export.move_names import register_embedded
from jessyfile.export.registry import lookup, model_id
from jessyfile.language.recipe import Recipe
from jessyfile.pipeline import compile_steps
from jessyfile.planning.canonical import readable
from jessyfile.planning.runs import find_run
from jessyfile.planning.step_cost import Measured
from jessyfile.planning.steps import Step, StepContext
from jessyfile.results.facts import (
    AnswersFacts,
    BaseFacts,
    DatasetFacts,
    EncodeFacts,
    Facts,
    GgufFacts,
    ImportFacts,
    MergeFacts,
    ParityFacts,
    RowsFacts,
)
from jessyfile.results.served import Served
from jessyfile.training.metrics import MetricsLog, TrainingMetrics

RECIPE = """JESSY 1

NAME tiny-companion
FROM "./model.gguf"
SYSTEM "Kısa konuş."

DATASET {
  SEEDS "seeds"
  validation 20%
  CATEGORY turkish 6 "Small talk" {
    language tr
    level low
    TOPIC casual 6
  }
  CATEGORY philosophicallong 6 "Questions that nobody has answered in three thousand years" {
    language tr
    level high
    TOPIC depth 6
  }
}

COMPLEXITY {
  LEVEL low    1-2 iterations within 5s
  LEVEL high   6-9 iterations
}

LORA {
  rank 16
}

TRAIN {
  epochs 2
  learning_rate 1e-4
}

DEPLOY {
  engine embedded
}

EVAL {
  max_tokens 48
  SUITE turkish "cases.jsonl"
  MUST turkish_accuracy > 60%
  SHOULD turkish.relevance >= baseline
  MAY latency.low < 5s
}
"""
GOOD, BAD = "Bence pilav yap, yanına da yoğurt.", "Yarın bir nöbet listesi yapın."
SECONDS = {"train": 840.0, "baseline": 65.0, "evaluate": 61.0, "parity": 9.0}
_NOW = {"step": "", "answer": GOOD}

_FACTS: dict[str, Facts] = {
    "base": BaseFacts("./model.gguf", "gguf", "ab" * 32, "gemma", "gemma3_text", 268_098_176, 542_000_000),
    "data": RowsFacts(6, {}, {}),
    "dataset": DatasetFacts(12, 10, 2, 0, 0, 0, 1.0, {}, {}, {}),
    "encode": EncodeFacts(10, 0, 0, 10, 10, 900, 300, {}, shared_prefix=4, updates=54),
    "merge": MergeFacts(72, 0.01),
    "gguf": GgufFacts("q8_0", 3, 291_550_000, 0.0, "ab" * 32),
    "parity": ParityFacts(24, 1.0, 0.0002, 0.504, "q8_0", 0.97, 0.96),
    "baseline": AnswersFacts("embedded", "base", 6, 72, 1.5, 0.2, 1, 6),
}


def steps(recipe: Recipe, hosts: object = None) -> tuple[Step, ...]:
    """Return the recipe's real steps, which do nothing but leave their facts."""
    runs: dict[str, Callable[[StepContext], Any]] = {
        "train": _train, "import": _import, "evaluate": _evaluate, "judge": _judge, "promote": run_promote
    }  # fmt: skip
    return tuple(
        dataclasses.replace(step, run=_doing(step.name, runs.get(step.name, _plainly)), preflight=None, disk=None, peak=None)
        for step in compile_steps(recipe)
    )  # fmt: skip


def _doing(name: str, run: Callable[[StepContext], Any]) -> Callable[[StepContext], Any]:
    def doing(context: StepContext) -> Any:
        _NOW["step"] = name
        parts = [repr(sorted(context.recipe.values(("*",)).items())), *map(repr, sorted(context.inputs.items()))]
        (context.output / "result.txt").write_text(f"{name} {parts}")
        return run(context)

    return doing


def _plainly(context: StepContext) -> Facts:
    return _FACTS.get(context.name.partition(".")[0], Facts())


def _train(context: StepContext) -> Any:
    """Train 54 updates; where a file `stop` stands, the user stops after the sixth."""
    log = MetricsLog(context.log / "metrics.jsonl" if context.log else None)
    for update in range(1, 55):
        if (context.root / "stop").exists() and update == 7:
            raise Interrupted("training stopped after update 6 of 54; it is saved")
        log.add(TrainingMetrics(1 + update // 28, update, 8.8 / update, 8.7e-5, None, 3.1, 15.0 * update, 18.0))
        context.progress.update(update, 54, text=log.kept[-1].live())
    context.progress.note("validation loss 3.8750 after update 54")
    return trained()


def _import(context: StepContext) -> Facts:
    file, name, recipe = context.inputs["gguf"] / "result.txt", context.recipe.name, context.recipe
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    register_embedded(context.root, name, file, digest, Served(name, "gemma", recipe.system, (), {}, recipe.complexity))
    return ImportFacts("embedded", name, "candidate", digest, model_id(lookup(context.root, name, "candidate")))


def _evaluate(context: StepContext) -> Facts:
    digest = context.facts_of("import", ImportFacts).digest
    return AnswersFacts("embedded", "tiny-companion:candidate", 6, 72, 1.5, 0.2, 1, 6, digest)


def _judge(context: StepContext) -> Facts:
    verdict = make_verdict(context.recipe, _NOW["answer"])
    (context.output / "verdict.json").write_text(readable(verdict), encoding="utf-8")
    return verdict.facts()


@contextlib.contextmanager
def measured() -> Iterator[Measured]:
    """Say that a step took what SECONDS says."""
    found = Measured()
    try:
        yield found
    finally:
        found.seconds = SECONDS.get(_NOW["step"], 0.2)
        found.peak = 3_200_000_000 if _NOW["step"] == "train" else 310_000_000


class Glass(io.TextIOBase):
    """A terminal that can be looked at."""

    encoding = "utf-8"

    def __init__(self, columns: int) -> None:
        self.screen = pyte.HistoryScreen(columns, 24, history=10_000, ratio=1.0)
        self.broad = pyte.HistoryScreen(400, 24, history=10_000, ratio=1.0)
        self._streams = [pyte.Stream(self.screen), pyte.Stream(self.broad)]

    def write(self, text: str) -> int:
        if not isinstance(text, str):
            raise TypeError(text)
        for stream in self._streams:
            stream.feed(text.replace("\n", "\r\n"))
        return len(text)

    def isatty(self) -> bool:
        return True

    def lines(self, screen: Any = None) -> list[str]:
        """Return what stands on the glass and above it."""
        screen = screen or self.screen
        above = ["".join(row[x].data for x in range(screen.columns)) for row in screen.history.top]
        return "\n".join(line.rstrip() for line in (*above, *screen.display)).rstrip().split("\n")

    def too_wide(self) -> list[str]:
        """Return the lines that the terminal had to break."""
        return [line for line in self.lines(self.broad) if len(line) > self.screen.columns]


@dataclasses.dataclass
class World:
    """A project, and what the user does in it."""

    root: Path
    patch: pytest.MonkeyPatch

    def write(self, **values: str) -> None:
        """Change values of the recipe, such as `rank="8"`."""
        path = self.root / "tiny.jessy"
        text = path.read_text("utf-8")
        for name, value in values.items():
            text, count = re.subn(rf"\b{name} \S+", f"{name} {value}", text)
            assert count == 1, name
        path.write_text(text, "utf-8")

    def apply(self, *, answer: str = GOOD, stopped: bool = False) -> None:
        """Apply the recipe, with answers of a kind; or stop it after its sixth update."""
        self.look(120, "apply", "tiny.jessy", answer=answer, stopped=stopped)

    def look(self, columns: int, *words: str, answer: str = GOOD, stopped: bool = False) -> Glass:
        """Return the terminal after a command."""
        glass = Glass(columns)
        _NOW["answer"] = answer
        (self.root / "stop").touch() if stopped else (self.root / "stop").unlink(missing_ok=True)
        with self.patch.context() as patch:
            patch.setenv("COLUMNS", str(columns))
            patch.setenv("TERM", "xterm")
            patch.setattr(sys, "stdout", glass)
            patch.setattr(sys, "stderr", glass)
            main(list(words))
        return glass


def new_world(root: Path, patch: pytest.MonkeyPatch) -> World:
    """Return a project in which nothing was applied."""
    (root / ".jessy").mkdir(parents=True)
    (root / "tiny.jessy").write_text(RECIPE, "utf-8")
    (root / "model.gguf").write_bytes(b"GGUF")
    (root / "cases.jsonl").write_text(CASE + "\n", "utf-8")
    for seed in ("seeds/turkish/casual.jsonl", "seeds/philosophicallong/depth.jsonl"):
        (root / seed).parent.mkdir(parents=True)
        (root / seed).write_text('{"query": "selam"}\n', "utf-8")
    patch.chdir(root)
    patch.setattr("jessyfile.pipeline.compile_steps", steps)
    patch.setattr("jessyfile.planning.run.measured", measured)
    # every apply takes a quarter of an hour and was just now, however slow the machine is
    patch.setattr("jessyfile.planning.run.time", SimpleNamespace(perf_counter=itertools.count(step=900).__next__))
    soon = (dt.datetime.now(dt.UTC) + dt.timedelta(hours=1)).isoformat(timespec="seconds")
    patch.setattr("jessyfile.planning.runs.now", lambda: soon)
    patch.setattr("jessyfile.commands.status.local", lambda then: "29 Nov 14:05")
    patch.setattr("jessyfile.commands.status.ago", lambda then, now: "2 hours ago")
    patch.setattr("jessyfile.planning.run.now", lambda: soon)
    patch.setattr("jessyfile.report.write_report", _report)
    return World(root, patch)


def _report(recipe: object, root: Path, result: Any) -> Path:
    path = result.run.folder / "report.html"
    path.write_text("<!doctype html>")
    return path


FAQ = "question,answer\n" + "".join(
    f"How long does delivery to zone {n} take?,Zone {n} is served within {n + 2} working days of the order.\n"
    for n in range(9)
)
MODELFILE = """FROM ./model.gguf
SYSTEM Kısa ve içten konuş, soruyu anlamadan cevap verme.
PARAMETER temperature 0.7
PARAMETER mirostat 2
"""
ROW = {
    "complexity": "low",
    "iterations": 1,
    "language": "en",
    "tags": [],
    "source": "hand",
    "category": "own",
    "topic": "own",
}


def furnish(root: Path, patch: pytest.MonkeyPatch) -> None:
    """Lay out what commands besides apply read, and put one machine and one export in place of the real ones."""
    recipe = (root / "tiny.jessy").read_text("utf-8")
    wrong = recipe.replace("rank", "rnk").replace("epochs 2", "epochs two").replace('"cases.jsonl"', '"case.jsonl"')
    (root / "broken.jessy").write_text(wrong, "utf-8")
    asked = [f"How do I change the colour of page {n} of the catalogue?" for n in range(5)]
    said = [
        f"Open page {n}, touch the corner and choose one of the {n + 3} colours that are offered there."
        for n in range(5)
    ]
    rows = [json.dumps(ROW | {"query": query, "response": answer}) for query, answer in zip(asked, said, strict=True)]
    (root / "own" / "own").mkdir(parents=True, exist_ok=True)
    (root / "own" / "own" / "own.jsonl").write_text("\n".join(rows) + "\n", "utf-8")
    (root / "more.jessy").write_text(
        'JESSY 1\nNAME more\nFROM "./model.gguf"\nDATASET {\n  SEEDS "own"\n  CATEGORY own 4\n}\n', "utf-8"
    )
    (root / "faq.csv").write_text(f"{FAQ}write to me,hello@shop.com is our address for everything.\n", "utf-8")
    (root / "Modelfile").write_text(MODELFILE, "utf-8")
    patch.setattr("jessyfile.commands.recipe.known_findings", _known)
    patch.setattr("jessyfile.commands.doctor.findings", lambda _: DOCTOR)
    patch.setattr("jessyfile.commands.evaluate.ask", lambda *_, **__: run_evaluation(root, find_run(root, "2")))
    patch.setattr(
        "jessyfile.export.forms.export",
        lambda *_: Exported(Path("tiny-companion-gguf"), {"tiny-companion.q8_0.gguf": 291_550_000}),
    )


def _known(recipe: Recipe) -> Any:
    """What the real steps know of a recipe, not those that do nothing here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("jessyfile.pipeline.compile_steps", compile_steps)
        return known_findings(recipe)


def clear(path: Path) -> None:
    """Remove what a command wrote."""
    shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


DOCTOR = (
    Diagnosis("system", "Linux x86_64, Python 3.12.1"),
    Diagnosis(
        "blas",
        "the reference BLAS, 2 threads",
        good=False,
        advice="training is some seventy times as slow as it could be",
    ),
    Diagnosis("memory", "25.3 GB, 21.1 GB available"),
    Diagnosis("ollama", "does not answer at http://127.0.0.1:11434; the embedded engine serves instead"),
    Diagnosis(
        "versions",
        "jessy 0.1.0, mlx 0.32.4, mlx-lm 0.32.2, xllamacpp 2026.10.11549, gguf 0.19.0, lark 1.3.1, tokenizers 0.23.3",
    ),
)
