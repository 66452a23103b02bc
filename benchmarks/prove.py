"""Prove this machine: what it offers, twenty updates on the quickstart's base, the export, one answer through the engine.

For machines that the maintainers do not have: the one JSON that it prints, with the seconds and the peak of memory of
every part, is what a report about such a machine needs.

    python benchmarks/prove.py                      the quickstart's base; .jessy/prove.json
    python benchmarks/prove.py --base ./model --output mine.json
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
import time
from pathlib import Path

from jessyfile.commands.doctor import findings
from jessyfile.engines.adaptive import ask
from jessyfile.engines.promoted import find
from jessyfile.engines.serving import engine_of, loaded, served_model
from jessyfile.fsops import make_folder, write_text
from jessyfile.language.loading import load_recipe
from jessyfile.language.recipe import Message
from jessyfile.pipeline import compile_steps
from jessyfile.planning.plan import Selection
from jessyfile.planning.run import RunResult, apply

NAME, UPDATES, QUESTION = "prove", 20, "sana bisi sorucam"
STEPS = ("base", "data.turkish", "dataset", "encode", "train", "merge", "gguf", "modelfile", "parity", "import")
# 50 rows, a fifth held out, two a batch: 20 updates
RECIPE = """JESSY 1
NAME prove
FROM "{base}"
SYSTEM "Kısa konuş."
DATASET {{
  validation 20%
  markers 0
  CATEGORY turkish 50 "Small talk" {{
    language tr
    level low
    TOPIC casual 50
  }}
}}
TRAIN {{
  epochs 1
  batch_size 2
  warmup_steps 2
}}
EXPORT gguf {{ quantize q8_0 }}
PARAMETER temperature 0
PARAMETER num_ctx 512
DEPLOY {{ engine embedded }}
"""


def prove(base: str, root: Path) -> dict[str, object]:
    """Run every part in a project of its own and return what was measured. Raises JessyError for the part that fails."""
    make_folder(root / ".jessy")
    if Path(base).exists():  # a recipe names nothing outside its project
        inside = root / f"base{Path(base).suffix}"
        (shutil.copytree if Path(base).is_dir() else shutil.copy)(base, inside)
        base = f"./{inside.name}"
    write_text(root / "prove.jessy", RECIPE.format(base=base))
    found = load_recipe(root / "prove.jessy")
    if found.recipe is None:
        raise SystemExit("\n".join(entry.message for entry in found.diagnostics))
    machine = {entry.name: entry.value for entry in findings()}
    result = apply(found.recipe, root, compile_steps(found.recipe), Selection(only=STEPS))
    parts = {step.name: {"seconds": round(step.seconds, 2), "peak_bytes": step.peak} for step in result.steps}
    return {"format": 1, "machine": machine, "steps": parts, "training": training(result), "serve": serve(root)}


def training(result: RunResult) -> dict[str, object]:
    """Return the facts of the training and of the proof that the export is the trained model."""
    facts = {step.name: step.facts for step in result.steps}
    asked = (
        "updates", "trained_tokens", "training_seconds", "compile_seconds", "gpu_utilization", "cpu_utilization", "precision",
        "final_loss", "peak_bytes", "blas",
    )  # fmt: skip
    return {**{name: facts["train"][name] for name in asked}, "parity": dict(facts["parity"])}


def serve(root: Path) -> dict[str, object]:
    """Load the candidate into the engine that serves it and ask one question."""
    registered = find(root, NAME, "candidate")
    engine, model = engine_of(registered.entry), served_model(registered.entry, max_tokens=32)
    with loaded(engine, model) as seconds:
        start = time.perf_counter()
        answer = ask(engine, [Message("user", QUESTION)], registered.complexity)
        took = time.perf_counter() - start
    return {
        "load_seconds": round(seconds, 3),
        "answer_seconds": round(took, 3),
        "question": QUESTION,
        "answer": answer.text,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", default="gemma3:270m-pt", help="a model as FROM takes it")
    parser.add_argument("--output", type=Path, default=Path(".jessy/prove.json"))
    chosen = parser.parse_args()
    output = chosen.output.resolve()
    with tempfile.TemporaryDirectory(prefix="prove-", dir=make_folder(output.parent)) as folder:
        text = json.dumps(prove(chosen.base, Path(folder).resolve()), ensure_ascii=False, indent=1)
    write_text(output, text + "\n")
    print(text)


if __name__ == "__main__":
    main()
