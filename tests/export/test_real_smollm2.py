"""A real model of another family than Gemma: SmolLM2, byte-level, with bytes that have no token, from a Q4_1 file."""

import json
import shutil
import sys
from pathlib import Path

import pytest
from corpus import texts
from embedded import check_tokens, llama_cpp

from jessyfile.language.loading import load_recipe
from jessyfile.pipeline import compile_steps
from jessyfile.planning.plan import Selection
from jessyfile.planning.run import apply

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
from models import smollm2

pytestmark = [pytest.mark.real, pytest.mark.slow]
STEPS = ("base", "data.turkish", "dataset", "encode", "train", "merge", "gguf", "parity")
RECIPE = """JESSY 1
NAME smol
FROM "./base.gguf"
DATASET {
  validation 20%
  markers 0
  CATEGORY turkish 5 "Small talk" {
    language tr
    level low
    TOPIC casual 5
  }
}
LORA { layers 2 }
TRAIN {
  epochs 2
  batch_size 2
  learning_rate 2e-3
  warmup_steps 1
  max_length 96
}
EXPORT gguf { quantize f16 }
DEPLOY { engine embedded }
"""


def test_a_smollm2_is_read_trained_and_served(tmp_path):
    """It was refused for its way to split words, and its control characters were joined to other tokens."""
    smollm2(tmp_path)
    (tmp_path / ".jessy").mkdir()
    (tmp_path / "smol.jessy").write_text(RECIPE, "utf-8")
    recipe = load_recipe(tmp_path / "smol.jessy").recipe
    result = apply(recipe, tmp_path, compile_steps(recipe), Selection(only=STEPS))
    steps = {step.name: step for step in result.steps}
    curve = [one["loss"] for one in json.loads((steps["train"].folder / "curve.json").read_text("utf-8"))["curve"]]
    assert len(curve) == 4
    assert sum(curve[2:]) < 0.95 * sum(curve[:2])  # the same rows a second time
    assert steps["parity"].facts["agreement"] == 1.0
    with llama_cpp(tmp_path / "base.gguf") as engine:
        check_tokens(steps["base"].folder, engine.tokenize, texts())
    shutil.rmtree(tmp_path)
