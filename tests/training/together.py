"""A tiny training as a step, for one process and for several on this machine."""

from __future__ import annotations

import json
import os
import signal
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from tiny import tiny_model
from training_fakes import encoded, said_aloud
from world import context

from jessyfile.language import load_text
from jessyfile.planning.steps import StepContext
from jessyfile.training import encoded as rows_file

RECIPE = """JESSY 1
NAME tiny
FROM "./base"
DATASET {
  CATEGORY any 10 {
    TOPIC thing 10
  }
}
LORA {
  rank 4
  alpha 8
  dropout 0.1
  targets q_proj v_proj down_proj
}
TRAIN {
  epochs %d
  batch_size 3
  grad_accumulation 1
  learning_rate 5e-3
  warmup_steps 2
  checkpoint_every 1
  validate_every 5
  keep last
}
"""
HOST = {"ssh": "127.0.0.1", "ips": ["127.0.0.1"]}


def step(root: Path, epochs: int, stop: Any = None, heard: Any = None) -> StepContext:
    """Return the step `train` of seven rows, three an update: the last update of an epoch has one row, which no two processes can share."""
    base, data = root / "base", root / "encode"
    if not base.exists():
        said_aloud(tiny_model(base, "llama"))
        data.mkdir()
        rows_file.save(encoded(7), data / "train.safetensors")
        rows_file.save(encoded(3, seed=3), data / "valid.safetensors")
    loaded = load_text(RECIPE % epochs, root / "tiny.jessy", root=root)
    assert loaded.recipe is not None, loaded.diagnostics
    recipe = loaded.recipe
    made = context(root, recipe, {"base": base, "encode": data}, step="train")
    return replace(made, stop=stop or made.stop, progress=heard or made.progress)


def hosts(folder: Path, count: int = 2) -> Path:
    path = folder / "hosts.json"
    path.write_text(json.dumps([HOST] * count))
    return path


class AtUpdate:
    """A progress that does something once, when training has reached an update; and a stop that asks from then on."""

    def __init__(self, update: int, act: Any = None) -> None:
        self.update_, self.act, self.reached = update, act, False

    def update(self, done: float, total: float | None = None, *, text: str = "") -> None:
        if done >= self.update_ and not self.reached:
            self.reached = True
            if self.act:
                self.act()

    def note(self, text: str) -> None: ...

    def requested(self) -> bool:
        return self.reached


def processes(root: Path, rank: int | None = None) -> list[int]:
    """Return the numbers of the processes that train under a root, or of one rank's."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            command, settings = (
                (entry / "cmdline").read_bytes().split(b"\0"),
                (entry / "environ").read_bytes().split(b"\0"),
            )
        except OSError:
            continue
        ours = (
            b"jessyfile.training.rank" in command
            and command[-2].startswith(str(root).encode())
            and b"-c" not in command
        )
        if ours and (rank is None or f"MLX_RANK={rank}".encode() in settings):
            found.append(int(entry.name))
    return found


def kill(root: Path, rank: int) -> None:
    for number in processes(root, rank):
        os.kill(number, signal.SIGKILL)


def saved(root: Path) -> list[str]:
    """Return the checkpoints under a project's root."""
    return sorted(path.name for path in root.glob(".jessy/work/*/rank-*/checkpoint-*"))


def until(holds: Any, seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.02)
