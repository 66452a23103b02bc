"""How `jessy plan` grows with the corpus, beside `dvc status` on the same files, both with nothing to do.

Run `DVC=/path/to/dvc python benchmarks/plan_growth.py [RUNS]`; without DVC only jessy is measured. The claim: at 100,000 rows at most
half of DVC's time. jessy reads and hashes every byte each time; DVC trusts size and time of change. Wall and processor
time, warm files, medians (3 runs).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from plan_stand_in import apply_stand_in
from plan_time import Took, took

SIZES = (400, 10_000, 100_000)
TOPICS = 4
ROW = '{{"query": "soru {n}: bu nasıl çalışıyor, anlatır mısın?", "response": "Cevap {n}: önce parçala, sonra tek tek dene.", "level": "low"}}\n'


def project(folder: Path, rows: int) -> Path:
    """Write a recipe over `rows` rows in four files, and apply it with stand-in steps."""
    (folder / ".jessy").mkdir()
    seeds = folder / "data" / "seeds" / "many"
    seeds.mkdir(parents=True)
    each = rows // TOPICS
    for topic in range(TOPICS):
        (seeds / f"t{topic}.jsonl").write_text(
            "".join(ROW.format(n=n) for n in range(topic * each, (topic + 1) * each)), "utf-8"
        )
    topics = "".join(f"    TOPIC t{topic} {each}\n" for topic in range(TOPICS))
    recipe = folder / "grow.jessy"
    recipe.write_text(
        f"JESSY 1\nNAME grow\nFROM gemma3:270m-pt\nDATASET {{\n  CATEGORY many {rows} {{\n    language tr\n    level low\n{topics}  }}\n}}\n"
        "COMPLEXITY {\n  LEVEL low 1-2 iterations within 5s\n}\nEVAL {\n  MUST no_loops > 95%\n}\n",
        "utf-8",
    )
    apply_stand_in(recipe)
    return folder


def dvc_project(folder: Path, dvc: str) -> None:
    """Make the same graph's shape in DVC: a step over the seeds, then five that follow, all of them run."""
    files = sorted(path.relative_to(folder).as_posix() for path in (folder / "data").rglob("*.jsonl"))
    stages = ["stages:", "  data:", "    cmd: sha256sum data/seeds/many/*.jsonl > s0.txt", "    deps:"]
    stages += [*(f"    - {name}" for name in files), "    outs:", "    - s0.txt"]
    for number in range(1, 6):
        stages += [f"  s{number}:", f"    cmd: sha256sum s{number - 1}.txt > s{number}.txt", "    deps:"]
        stages += [f"    - s{number - 1}.txt", "    outs:", f"    - s{number}.txt"]
    (folder / "dvc.yaml").write_text("\n".join(stages) + "\n")
    for words in (["init", "--no-scm", "-q"], ["config", "core.analytics", "false"], ["repro", "-q"]):
        subprocess.run([dvc, *words], cwd=folder, check=True, capture_output=True)


def main() -> None:
    """Measure and print."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    dvc = os.environ.get("DVC") or shutil.which("dvc")
    for rows in SIZES:
        with tempfile.TemporaryDirectory() as name:
            folder = project(Path(name), rows)
            mine = took([sys.executable, "-m", "jessyfile.cli", "plan", "grow.jessy"], folder, runs)
            theirs: Took | None = None
            if dvc:
                dvc_project(folder, dvc)
                theirs = took([dvc, "status"], folder, runs)
        line = f"{rows:>7} rows: jessy plan {mine}"
        if theirs:
            line += f"; dvc status {theirs}; ratio {mine.wall / theirs.wall:.2f} ({mine.processor / theirs.processor:.2f} of processor)"
        print(line, flush=True)


if __name__ == "__main__":
    main()
