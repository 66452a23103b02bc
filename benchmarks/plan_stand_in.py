"""Apply a recipe with its real graph, values and files, where each step only digests what it was given: no model is needed."""

from __future__ import annotations

import dataclasses
import hashlib
import typing
from pathlib import Path
from typing import Any

from jessyfile.language import load_recipe
from jessyfile.pipeline import compile_steps
from jessyfile.planning.run import RunResult, apply
from jessyfile.planning.steps import Step, StepContext
from jessyfile.project import find_root
from jessyfile.results.facts import (
    AnswersFacts,
    BaseFacts,
    EncodeFacts,
    Facts,
    GgufFacts,
    ImportFacts,
    JudgeFacts,
    ParityFacts,
    PromoteFacts,
    TrainFacts,
)

# what a plan, a report or a lock file reads of a step; of the others nothing is read
KINDS: dict[str, type[Facts]] = {
    "base": BaseFacts, "encode": EncodeFacts, "train": TrainFacts, "gguf": GgufFacts, "parity": ParityFacts,
    "import": ImportFacts, "evaluate": AnswersFacts, "judge": JudgeFacts, "promote": PromoteFacts,
}  # fmt: skip
_NOTHING: dict[Any, object] = {int: 0, float: 0.0, str: "", bool: False, tuple: (), dict: {}}


def nothing(kind: type[Facts]) -> Facts:
    """Return facts with nothing in them: zeros, no text, empty collections; a promotion is refused, for nothing is registered."""
    types = typing.get_type_hints(kind)
    needed = [field.name for field in dataclasses.fields(kind) if _has_no_default(field)]
    return kind(**{name: _nothing(types[name]) for name in needed})


def _has_no_default(field: dataclasses.Field[Any]) -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def _nothing(kind: Any) -> object:  # noqa: ANN401 (a type as it is written)
    origin = typing.get_origin(kind) or kind
    if origin is typing.Literal:
        return typing.get_args(kind)[0]
    return _NOTHING.get(origin if origin in _NOTHING else dict if _is_mapping(origin) else origin)


def _is_mapping(kind: object) -> bool:
    return isinstance(kind, type) and issubclass(kind, typing.Mapping)


def stand_in(step: Step) -> Step:
    """Return the step with a run that digests its values, files and inputs."""

    def run(context: StepContext) -> Facts:
        found = hashlib.sha256(repr(sorted(context.recipe.values(step.reads).items())).encode())
        for path in step.files(context.recipe, context.root):
            found.update(path.read_bytes())
        for name in sorted(context.inputs):
            found.update((context.inputs[name] / "out").read_bytes())
        (context.output / "out").write_text(found.hexdigest())
        return nothing(KINDS[step.name]) if step.name in KINDS else Facts()

    return dataclasses.replace(step, run=run)


def apply_stand_in(path: Path) -> RunResult:
    """Apply the recipe at a path."""
    loaded = load_recipe(path)
    assert loaded.recipe is not None, loaded.diagnostics
    steps = tuple(stand_in(step) for step in compile_steps(loaded.recipe))
    return apply(loaded.recipe, find_root(path), steps)
