"""`make prove`, on the tiny model: every part runs, and its figures are in the one JSON."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "models"))

from tiny import tiny_model

PROJECT = Path(__file__).resolve().parents[1]


def test_one_command_measures_every_part_and_leaves_one_file(tmp_path: Path) -> None:
    tiny_model(tmp_path / "model")
    script = str(PROJECT / "benchmarks" / "prove.py")
    done = subprocess.run(
        [sys.executable, script, "--base", str(tmp_path / "model"), "--output", "out/mine.json"],
        cwd=tmp_path, capture_output=True, text=True, check=False, timeout=300, env={"PYTHONPATH": str(PROJECT)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "out" / "mine.json").read_text("utf-8"))
    assert json.loads(done.stdout) == found
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mine.json"]
    assert found["training"]["updates"] == 20
    assert found["training"]["parity"]["agreement"] > 0.9  # q8_0 flips a near tie of a barely trained model
    assert found["machine"]["cores"]
    for part in ("base", "train", "merge", "gguf", "parity", "import"):
        assert found["steps"][part]["seconds"] >= 0
        assert found["steps"][part]["peak_bytes"] > 1_000_000
    assert found["serve"]["load_seconds"] > 0
    assert found["serve"]["answer_seconds"] > 0
