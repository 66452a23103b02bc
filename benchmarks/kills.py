"""Kill a real training with SIGKILL, at every kind of write of a checkpoint and at random, and compare what comes of it byte by byte.

    python benchmarks/kills.py                 50 deaths of a training of the real Gemma 3 270M, a fifth of them at random
    python benchmarks/kills.py --deaths 8      fewer

Each death is followed by a process that goes on to the end. Exit code 1 when any adapter has other bytes.
"""

from __future__ import annotations

import argparse
import platform
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "hostile"))

from training_kills import Killer, Survived, Training, every_death, random_deaths, saved, spread

RECIPE = """JESSY 1
NAME kills
FROM gemma3:270m-pt
SYSTEM "Kısa konuş."
DATASET {
  validation 20%
  markers 0
  CATEGORY turkish 10 "Small talk" {
    language tr
    level low
    TOPIC casual 10
  }
}
LORA {
  rank 8
  alpha 16
  dropout 0.05
  layers 2
}
TRAIN {
  epochs 2
  batch_size 4
  grad_accumulation 1
  warmup_steps 2
  max_length 48
  checkpoint_every 1
  keep last
}
"""


def prepared(root: Path) -> Training:
    """Bring the base and encode a few rows, as an apply does."""
    (root / ".jessy").mkdir()
    (root / "kills.jessy").write_text(RECIPE, "utf-8")
    words = [sys.executable, "-m", "jessyfile.cli", "apply", "kills.jessy", "--only", "encode", "--json"]
    subprocess.run(words, cwd=root, check=True, stdout=subprocess.DEVNULL)
    store = root / ".jessy" / "store"
    base = next(path.parent for path in store.glob("*/files/source.json"))
    encode = next(path.parent for path in store.glob("*/files/mask.json"))
    return Training(RECIPE, str(base), str(encode))


def line(number: int, found: Survived) -> str:
    where = f" ({found.death.after:.1f} s)" if found.death.after else ""
    said = "same bytes" if found.same else "OTHER BYTES"
    return f"{number:3}  {found.death.kind + where:<45}  went on after update {found.resumed}  {said}"


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--deaths", type=int, default=50)
    count = options.parse_args().deaths
    begun, survived = time.perf_counter(), list[Survived]()
    with tempfile.TemporaryDirectory(prefix="jessy-kills-") as name, Killer(prepared(Path(name)), Path(name)) as killer:
        whole = killer.whole()
        print(f"{platform.platform()}; one training: {whole.seconds:.1f} s, {len(saved(whole))} checkpoints")
        by_chance = random_deaths(whole, count // 5, seed=1)
        for death in [*spread(every_death(whole), count - len(by_chance)), *by_chance]:
            survived.append(killer.survives(death, whole))
            print(line(len(survived), survived[-1]), flush=True)
    kinds, same = Counter(found.death.kind for found in survived), sum(found.same for found in survived)
    print(
        f"{same} of {len(survived)} adapters have the same bytes; {len(kinds)} kinds of death; {time.perf_counter() - begun:.0f} s"
    )
    return int(same < len(survived))


if __name__ == "__main__":
    sys.exit(main())
