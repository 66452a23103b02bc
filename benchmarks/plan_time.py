"""How long `jessy plan` takes from the shell when there is nothing to do, with 400 seeds.

Run `python benchmarks/plan_time.py [RUNS]`. The claim: under 350 ms wall, without importing mlx, numpy or transformers.
The reference recipe's real steps are planned in a copied project; only what a step *does* is replaced for the one apply that
comes before (a digest of everything it reads), so that no model is needed. Wall time, warm files, the median of the runs (7);
Python's own start is shown beside it, for it is part of every command.
"""

from __future__ import annotations

import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from plan_stand_in import apply_stand_in

HOUSE = Path(__file__).parents[1]
HEAVY = ("mlx", "numpy", "transformers", "scipy", "httpx")


@dataclass(frozen=True)
class Took:
    """Medians of a command in milliseconds: wall, and processor time, which other work on the machine does not stretch."""

    wall: float
    processor: float

    def __str__(self) -> str:
        return f"{self.wall:.0f} ms ({self.processor:.0f} ms of processor)"


def took(command: list[str], folder: Path, runs: int) -> Took:
    """Time a command, the first run left out."""
    walls, processors = [], []
    for _ in range(runs + 1):
        before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        subprocess.run(
            command, cwd=folder, capture_output=True, check=True, env={**os.environ, "PYTHONPATH": str(HOUSE)}
        )
        walls.append((time.perf_counter() - started) * 1000)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        processors.append((after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) * 1000)
    return Took(statistics.median(walls[1:]), statistics.median(processors[1:]))


def project(folder: Path) -> Path:
    """Return a project with the shipped recipes and seeds, where v2 was applied."""
    (folder / ".jessy").mkdir()
    shutil.copytree(HOUSE / "recipes", folder / "recipes")
    shutil.copytree(HOUSE / "data" / "seeds", folder / "data" / "seeds")
    apply_stand_in(folder / "recipes" / "v2.jessy")
    return folder


def heavy_imports(folder: Path) -> list[str]:
    """Return which heavy packages a plan imports."""
    code = (
        "import sys; from jessyfile.cli import main; main(['plan', 'recipes/v2.jessy']);"
        f"print([m for m in {HEAVY!r} if m in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(HOUSE)},
    )
    assert "No changes" in done.stdout, done.stdout
    return list(eval(done.stderr.splitlines()[-1]))  # noqa: S307 (our own print)


def main() -> None:
    """Measure and print."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 7
    with tempfile.TemporaryDirectory() as name:
        folder = project(Path(name))
        seeds = sum(path.read_bytes().count(b"\n") for path in (folder / "data" / "seeds").rglob("*.jsonl"))
        heavy = heavy_imports(folder)
        plan = took([sys.executable, "-m", "jessyfile.cli", "plan", "recipes/v2.jessy"], folder, runs)
        python = took([sys.executable, "-c", "pass"], folder, runs)
    print(f"jessy plan, nothing to do, {seeds} seed rows: {plan}; Python alone {python}")
    print(
        f"ratio to the claim of 350 ms: {plan.wall / 350:.2f} by the wall, {plan.processor / 350:.2f} by the processor"
    )
    print(f"heavy packages imported: {', '.join(heavy) or 'none'}")


if __name__ == "__main__":
    main()
