"""A model that is given up right after it was loaded, as by Ctrl-C or a disk that fails, is let go at once."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HOUSE = Path(__file__).resolve().parents[2]
SCRIPT = """
import sys
sys.path[:0] = [{hostile!r}]
from pathlib import Path
import real_world
from jessyfile.engines.engine import GenerationSettings, ServedModel
from jessyfile.engines.llamacpp_engine import LlamaCpp

real_world.write_base(Path.cwd(), seed=0)
for _ in range(8):
    engine = LlamaCpp(parallel=1)
    engine.load(ServedModel("tiny", Path.cwd() / "model.gguf", "gemma", settings=GenerationSettings(max_tokens=1, num_ctx=256)))
    engine.unload()
print("let go")
"""


def test_a_model_that_nothing_was_asked_of_is_let_go(tmp_path: Path) -> None:
    """The server's loop was waited for before it had begun: the process stood still for ever, mostly by the second time."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(hostile=str(HOUSE / "tests" / "hostile"))],
        cwd=tmp_path, env={"PYTHONPATH": str(HOUSE)}, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert "let go" in done.stdout, done.stderr
