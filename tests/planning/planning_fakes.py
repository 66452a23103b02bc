"""A tiny recipe and tiny steps: a pipeline in the real one's shape whose every output is a text of a few bytes."""

from __future__ import annotations

import fnmatch
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jessyfile.language.recipe import Source
from jessyfile.planning.steps import Step, StepContext
from jessyfile.results.facts import Facts


@dataclass(frozen=True)
class FakeRecipe:
    """What planning needs of a recipe: a name, a base, values by address and where they stand."""

    path: Path
    document: Mapping[str, Any]
    name: str = "tiny"
    base: str = "fake:1m"
    lines: Mapping[str, int] = field(default_factory=dict)

    def values(self, patterns: Iterable[str]) -> dict[str, Any]:
        return {a: v for a, v in self.document.items() if any(fnmatch.fnmatchcase(a, p) for p in patterns)}

    def source(self, address: str) -> Source | None:
        return Source(self.path.name, self.lines[address], 1) if address in self.lines else None


DOCUMENT: dict[str, Any] = {
    "from": "fake:1m",
    "data.a.count": 3,
    "data.b.count": 5,
    "dataset.seed": 42,
    "lora.rank": 16,
    "train.learning_rate": 2e-4,
    "system": "Be kind.\nBe short.",
    "parameter.temperature": 0.7,
    "export.quantize": "q8_0",
    "eval.criterion": 0.9,
}


def fake_recipe(root: Path, **changes: Any) -> FakeRecipe:
    """Return a recipe whose values differ from DOCUMENT by `changes`, in which `__` stands for a dot."""
    document = {**DOCUMENT, **{name.replace("__", "."): value for name, value in changes.items()}}
    lines = {address: number for number, address in enumerate(document, 2)}
    return FakeRecipe(root / "tiny.jessy", document, base=document["from"], lines=lines)


@dataclass
class Log:
    """Which steps ran, in order."""

    ran: list[str] = field(default_factory=list)


def digesting(log: Log, name: str, reads: tuple[str, ...], coarse: bool = False):
    """Return a run function whose output depends on its values, files and inputs; `coarse` makes many inputs give one
    output."""

    def run(context: StepContext) -> Facts:
        log.ran.append(name)
        parts = [repr(sorted(context.recipe.values(reads).items()))]
        parts += [path.read_text() for path in seed_files(context.recipe, context.root) if name.startswith("data.a")]
        for step in sorted(context.inputs):
            parts += [p.name + p.read_text() for p in sorted(context.inputs[step].rglob("*")) if p.is_file()]
        found = hashlib.sha256("\n".join(parts).encode()).hexdigest()
        (context.output / "result.txt").write_text(found[:1] if coarse else found)
        context.progress.update(1, 1)
        return {"work_units": 10}

    return run


def seed_files(recipe: Any, root: Path) -> list[Path]:
    return sorted((root / "seeds").glob("*.jsonl"))


def fake_steps(log: Log | None = None, *, promoted: bool = True, **overrides: Any) -> tuple[Step, ...]:
    """Return twelve steps in the shape of the real pipeline."""
    log = log or Log()

    def step(name: str, inputs: tuple[str, ...] = (), reads: tuple[str, ...] = (), **more: Any) -> Step:
        more = {**more, **overrides.get(name.replace(".", "_"), {})}
        return Step(
            name,
            f"makes {name}",
            more.pop("run", digesting(log, name, reads, more.pop("coarse", False))),
            inputs,
            reads,
            **more,
        )

    def promote(context: StepContext) -> Facts:
        log.ran.append("promote")
        (context.output / "tag.txt").write_text("latest")
        return {"promoted": promoted, "reason": "" if promoted else "MUST turkish_accuracy failed"}

    return (
        step("base", reads=("from",)),
        step("data.a", reads=("data.a.*",), files=seed_files),
        step("data.b", reads=("data.b.*",)),
        step("dataset", ("data.a", "data.b"), ("dataset.*",)),
        step("train", ("base", "dataset"), ("lora.*", "train.*"), resumable=True),
        step("merge", ("base", "train")),
        step("gguf", ("merge",), ("export.*",)),
        step("modelfile", ("base",), ("system", "parameter.*")),
        step("import", ("gguf", "modelfile")),
        step("evaluate", ("import",), ()),
        step("judge", ("evaluate",), ("eval.*",)),
        step("promote", ("import", "judge"), run=promote),
    )
