"""Try `jessy verify` on planted faults and harmless variations: how many faults are caught and named, how many harmless files pass.

    python benchmarks/verify_planted.py                both sets, each scene, both rates
    python benchmarks/verify_planted.py --set a        one of them
    python benchmarks/verify_planted.py --measure      also how each file differs from the right one in llama.cpp and in its templates
    python benchmarks/verify_planted.py --real BASE ADAPTER    scenes of a real Gemma 3 and its tune, instead (6 GB of memory)

All verdicts are in before the key is opened: `tests/export/planted/key.py`.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path
from types import ModuleType, SimpleNamespace

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "models"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "export"))

from planted import set_a, set_b
from planted.measure import measured
from planted.real import real_set
from planted.scene import scenes
from planted.trial import Outcome, rates, tried, unsealed

SETS = {"a": set_a, "b": set_b}


def main() -> None:
    parser = argparse.ArgumentParser(description="Try jessy verify on planted faults and harmless variations.")
    parser.add_argument("--set", choices=SETS, help="one set alone")
    parser.add_argument("--measure", action="store_true", help="also measure every difference")
    parser.add_argument(
        "--real", nargs=2, type=Path, metavar=("BASE", "ADAPTER"), help="folders of a real Gemma 3 and its tune"
    )
    parser.add_argument("--said", action="store_true", help="also print what the command said where it was wrong")
    asked = parser.parse_args()
    if asked.real:
        _try(real_set(*asked.real), False, asked.said)
        return
    for name in [asked.set] if asked.set else SETS:
        _try(SETS[name], asked.measure, asked.said)


def _try(module: ModuleType | SimpleNamespace, measure: bool, said: bool) -> None:
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as place:
        verdicts = tried(module, Path(place))
    seconds = time.perf_counter() - began
    outcomes = unsealed(module, verdicts)
    shown = _measured(module) if measure else {}
    for one in outcomes:
        print(f"{one.name} {_word(one):14} {shown.get(one.name, '')}{one.what}")
        if said and not (one.right and one.named is one.fault):
            print("".join(f"      {line}\n" for line in one.said.splitlines()), end="")
    print(f"{rates(outcomes)}; {seconds:.1f} s\n")


def _word(one: Outcome) -> str:
    if not one.fault:
        return "passed" if one.right else "FALSE ALARM"
    return ("caught, named" if one.named else "CAUGHT ONLY") if one.right else "MISSED"


def _measured(module: ModuleType | SimpleNamespace) -> dict[str, str]:
    found = {}
    for name in scenes(module).values():
        with tempfile.TemporaryDirectory() as place:
            one = measured(getattr(module, name)(), Path(place))
        found[name] = f"NMSE {one.nmse:.1e} ids {one.ids:3} ends {one.ends} jinja {one.jinja} go {one.go}  "
    return found


if __name__ == "__main__":
    main()
