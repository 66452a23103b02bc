"""From a file of somebody's own rows to a promoted model, by `jessy init --from` and `jessy apply` alone: `make own`.

Five files in five forms and four languages (tests/data/own). For each it says how many unseen questions the base and the tuned model
answered as the file does, with 95 % intervals, whether the model was promoted, and how long it took. `--answers` prints every answer.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from jessyfile.cli import main as jessy
from jessyfile.evaluation.statistics import wilson
from jessyfile.evaluation.verdict import read_verdict
from jessyfile.export.lineage import of_recipe

OWN = Path(__file__).resolve().parents[1] / "tests" / "data" / "own"
BASE = "gemma3:270m-pt"


def share(passed: int, of: int) -> str:
    """Return a share with its interval, as `78 % (45 to 94)`."""
    low, high = wilson(passed, of)
    return f"{100 * passed / of:.0f} % ({100 * low:.0f} to {100 * high:.0f})"


def run(file: Path, base: str, folder: Path, *, answers: bool) -> str:
    """Make a model of a file's rows; return the table's line."""
    name, start = file.stem.replace("_", "-"), time.monotonic()
    assert jessy(["init", str(folder), "--from", str(file), "--name", name, "--base", base, "--yes"]) == 0
    code = jessy(["apply", str(folder / f"{name}.jessy")])
    verdict = read_verdict(of_recipe(folder, name).folder("judge"))
    pairs = [
        (one.before, one.after) for one in verdict.cases if not one.after.case.suite.endswith("_mine") and one.before
    ]
    before, after = (sum(side.relevant for side in sides) for sides in zip(*pairs, strict=True))
    for old, new in pairs if answers else ():
        print(
            f"  {new.case.prompt!r}\n    base  {old.answer.text[:100]!r}\n    tuned {new.answer.text[:100]!r} {new.relevant}"
        )
    said = "promoted" if code == 0 else f"exit code {code}"
    shares = f"{share(before, len(pairs))} | {share(after, len(pairs))}"
    return f"| `{file.name}` | {len(pairs)} | {shares} | {said} | {time.monotonic() - start:.0f} s |"


def main() -> None:
    """Run the files that are named, all five unless any is."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("files", nargs="*", type=Path)
    options.add_argument("--base", default=BASE)
    options.add_argument("--answers", action="store_true")
    given = options.parse_args()
    lines = []
    for file in [path.resolve() for path in given.files] or sorted(path for path in OWN.iterdir() if path.is_file()):
        with TemporaryDirectory(prefix="jessy-own-") as folder:
            os.chdir(folder)
            lines.append(run(file, given.base, Path(folder), answers=given.answers))
    print("\n| file | unseen | base | tuned | | all of it |\n|---|---|---|---|---|---|", *lines, sep="\n")


if __name__ == "__main__":
    main()
