"""Apply a recipe with its real graph, values and files, where each step only digests what it was given: no model is needed."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path

from jessyfile.language import load_recipe
from jessyfile.pipeline import compile_steps
from jessyfile.planning.run import RunResult, apply
from jessyfile.planning.steps import Facts, Step, StepContext
from jessyfile.project import find_root


def stand_in(step: Step) -> Step:
    """Return the step with a run that digests its values, files and inputs."""

    def run(context: StepContext) -> Facts:
        found = hashlib.sha256(repr(sorted(context.recipe.values(step.reads).items())).encode())
        for path in step.files(context.recipe, context.root):
            found.update(path.read_bytes())
        for name in sorted(context.inputs):
            found.update((context.inputs[name] / "out").read_bytes())
        (context.output / "out").write_text(found.hexdigest())
        # refused, so that nothing registered is asked for
        return {"promoted": False, "reason": "a stand-in"} if step.name == "promote" else {"promoted": False}

    return dataclasses.replace(step, run=run)


def apply_stand_in(path: Path) -> RunResult:
    """Apply the recipe at a path."""
    loaded = load_recipe(path)
    assert loaded.recipe is not None, loaded.diagnostics
    steps = tuple(stand_in(step) for step in compile_steps(loaded.recipe))
    return apply(loaded.recipe, find_root(path), steps)
