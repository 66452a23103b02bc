"""A tiny pipeline whose last steps are the real ones of the registry: a model is registered, judged and promoted.

Run as a program it is jessy over that pipeline: `python rollback_world.py apply plan.json --json`.
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from watch_world import tiny_steps

from jessyfile.export.export_steps import run_promote
from jessyfile.export.move_names import register_embedded
from jessyfile.export.registry import CANDIDATE, holds_candidate, holds_latest, lookup, model_id
from jessyfile.planning.steps import Step, StepContext
from jessyfile.results.facts import Facts, ImportFacts
from jessyfile.results.served import Served


def promoting_steps(recipe: object, hosts: object = None) -> tuple[Step, ...]:
    """Return data, train, modelfile, import, judge and promote."""
    return (
        *tiny_steps(recipe)[:-1],
        Step("import", "import", _import, ("train", "modelfile"), ("system",), still_in_effect=holds_candidate),
        Step("judge", "judge", _judge, ("import",), ("eval.criterion.*",)),
        Step("promote", "promote", run_promote, ("import", "judge"), ("name",), still_in_effect=holds_latest),
    )


def _import(context: StepContext) -> Facts:
    file, name, recipe = context.inputs["train"] / "out.txt", context.recipe.name, context.recipe
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    served = Served(name, "gemma", recipe.system, (), {}, recipe.complexity)
    register_embedded(context.root, name, file, digest, served)
    entry = lookup(context.root, name, CANDIDATE)
    facts = ImportFacts("embedded", name, CANDIDATE, digest, model_id(entry))
    (context.output / "import.txt").write_text(repr(facts))
    return facts


def _judge(context: StepContext) -> Facts:
    (context.output / "verdict.txt").write_text(repr(context.recipe.values(("eval.criterion.*",))))
    return {"criteria": [], "metrics": {}}


def job_command(plan: Path) -> list[str]:
    """Return the command of a job: this file, as a program."""
    return [sys.executable, __file__, "apply", str(plan), "--json"]


if __name__ == "__main__":
    import jessyfile.pipeline
    from jessyfile import report
    from jessyfile.cli import main

    jessyfile.pipeline.compile_steps = promoting_steps
    report.write_report = lambda recipe, root, result: root / "report.html"
    sys.exit(main(sys.argv[1:]))
