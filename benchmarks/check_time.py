"""How long `jessy check` and `jessy --help` take from the shell, beside Python alone and a peer that reads YAML.

Run `python benchmarks/check_time.py [RUNS]`. The claim: check under 300 ms, help under 120 ms, a 10,000-line recipe parsed in
under 2 s. The peer, mlx_lm.lora, has no check: shown is what it takes to print its help, before it reads its YAML.
Wall time, warm files, the median of the runs (7); the processor should have nothing else to do.
"""

from __future__ import annotations

import importlib.util
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HOUSE = Path(__file__).parents[1]
JESSY = [sys.executable, "-m", "jessyfile.cli"]


def wall(command: list[str], runs: int) -> float:
    """Return the median wall time of a command in milliseconds, the first run left out."""
    times = []
    for _ in range(runs + 1):
        started = time.perf_counter()
        subprocess.run(command, cwd=HOUSE, capture_output=True, check=False)
        times.append((time.perf_counter() - started) * 1000)
    return statistics.median(times[1:])


def long_recipe(folder: Path) -> Path:
    """Write a recipe of 10,000 lines."""
    topics = "".join(f"    TOPIC t{i} 1\n" for i in range(9_988))
    path = folder / "long.jessy"
    text = "JESSY 1\nNAME long\nFROM gemma3:270m-pt\nDATASET {\n  CATEGORY many 9988 {\n" + topics + "  }\n}\n"
    path.write_text(text + "EVAL {\n  MUST no_loops > 95%\n}\n", "utf-8")
    return path


def parse_seconds(path: Path) -> float:
    """Return the seconds to read a recipe in a process that has read one before."""
    from jessyfile.language import load_recipe

    load_recipe(HOUSE / "recipes" / "v2.jessy")
    started = time.perf_counter()
    load_recipe(path, root=path.parent)
    return time.perf_counter() - started


def main() -> None:
    """Print one line a measurement."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 7
    rows = [
        ("python -c pass", [sys.executable, "-c", "pass"], None),
        ("jessy --help", [*JESSY, "--help"], 120),
        ("jessy check recipes/v2.jessy", [*JESSY, "check", "recipes/v2.jessy"], 300),
        ("jessy fmt --check recipes/v2.jessy", [*JESSY, "fmt", "--check", "recipes/v2.jessy"], None),
    ]
    if importlib.util.find_spec("mlx_lm"):
        rows.append(("mlx_lm.lora --help (no check)", [sys.executable, "-m", "mlx_lm", "lora", "--help"], None))
    for name, command, limit in rows:
        found = wall(command, runs)
        verdict = "" if limit is None else f"  (claim {limit} ms: {'holds' if found < limit else 'MISSED'})"
        print(f"{name:<38} {found:8.0f} ms{verdict}")
    with tempfile.TemporaryDirectory() as folder:
        path = long_recipe(Path(folder).resolve())
        print(f"{'a recipe of 10,000 lines, in process':<38} {parse_seconds(path) * 1000:8.0f} ms  (claim 2000 ms)")


if __name__ == "__main__":
    main()
