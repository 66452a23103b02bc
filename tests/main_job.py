"""The main job on the real Gemma, done once for all test files and both test processes: a recipe becomes a promoted model."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

RECIPE = """
JESSY 1
NAME  tiny-job
FROM  gemma3:270m-pt
SYSTEM "Sen JESSY'sin: sıcak, dürüst bir yol arkadaşı. Basit soruya kısa, zor soruya derin cevap ver."
DATASET {
  validation 10%
  markers 90
  CATEGORY turkish 16 "Everyday Turkish" {
    language tr
    level low
    TOPIC casual 12
    TOPIC questions 4
  }
  CATEGORY technical 16 "Technical questions" {
    language mixed
    level medium
    TOPIC rust 12
    TOPIC architecture 4
  }
  CATEGORY philosophical 8 "Philosophical depth" {
    language mixed
    level high
    TOPIC consciousness 5
    TOPIC existential 3
  }
}
LORA {
  rank 64
  alpha 128
  layers 12
  targets q_proj k_proj v_proj o_proj gate_proj up_proj down_proj
}
TRAIN {
  epochs 3
  batch_size 4
  learning_rate 7e-4
  warmup_steps 3
  max_length 96
  end_weight 4
  level_weight 8
  keep last
}
EXPORT gguf { quantize f16 }
PARAMETER temperature 0
PARAMETER num_ctx 1024
DEPLOY { engine embedded }
EVAL {
  max_tokens 24
  SUITE turkish { limit 1 }
  MUST training_time < 60m
  MAY turkish.form > 1%
}
"""


def jessy(project: Path, *arguments: str, expect: int = 0) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-m", "jessyfile.cli", *arguments],
        cwd=project, capture_output=True, text=True, timeout=900, check=False,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
    )  # fmt: skip
    assert done.returncode == expect, done.stdout[-3000:] + done.stderr[-3000:]
    return done


def base(folder: Path) -> Path:
    """Return the folder of the converted Gemma in the project's store; whoever comes first converts it."""
    with alone(folder):
        if not (folder / "job.jessy").exists():
            (folder / ".jessy").mkdir(parents=True)
            (folder / "job.jessy").write_text(RECIPE, encoding="utf-8")
            jessy(folder, "apply", "job.jessy", "--only", "base")
    return next(path.parent for path in (folder / ".jessy" / "store").glob("*/files/source.json"))


def applied(folder: Path) -> Path:
    """Return the project after its apply; whoever comes second finds it done."""
    base(folder)
    with alone(folder / "apply"):
        if not (folder / ".jessy" / "models").exists():
            jessy(folder, "apply", "job.jessy")
    return folder


@contextmanager
def alone(place: Path) -> Iterator[None]:
    """Hold a lock that both test processes ask for."""
    with place.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
