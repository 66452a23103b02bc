"""Write the adapter that the last apply of recipes/jessy-270m.jessy trained into models/jessy-270m, in half precision.

`make reference` trains and calls it. The numbers are rounded from float32 to float16; one that does not fit is an error. With `--prove` it
writes the proof of the file that was made of the rounded adapter beside it, so that `make demo` need not read three models for it.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

from jessyfile.export.export_steps import GGUF_FILE
from jessyfile.export.lineage import of_recipe
from jessyfile.fsops import hash_file
from jessyfile.parity.proof import PROOF, write_proof
from jessyfile.results.facts import ParityFacts, TakenFacts
from jessyfile.training.adapter import ADAPTER_FILE, CONFIG_FILE

PROJECT = Path(__file__).resolve().parents[1]
NAME = "jessy-270m"


def write_half(trained: Path, folder: Path) -> int:
    """Write a trained adapter's numbers in half precision, with its configuration, into a folder; return the file's bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    half = {name: one.astype(np.float16) for name, one in load_file(trained / ADAPTER_FILE).items()}
    assert all(np.isfinite(one).all() for one in half.values()), "a number is beyond float16"
    save_file(half, folder / ADAPTER_FILE)
    shutil.copyfile(trained / CONFIG_FILE, folder / CONFIG_FILE)
    return (folder / ADAPTER_FILE).stat().st_size


def write_taken_proof(place: Path) -> Path:
    """Write what the last apply found of the file that it made of the adapter as it is; return the proof's path."""
    made = of_recipe(PROJECT, NAME)
    taken, found = made.facts("train", TakenFacts), made.facts("parity", ParityFacts)
    assert taken and taken.digest == hash_file(place / ADAPTER_FILE), "the last apply took another adapter"
    assert found, "the last apply proved nothing"
    return write_proof(place, made.folder("gguf") / GGUF_FILE, found)


def main() -> None:
    """Write the adapter, or its proof."""
    parser = argparse.ArgumentParser(description="The default model's adapter.")
    parser.add_argument("--prove", action="store_true", help="write the proof of what the last apply made of it")
    place = PROJECT / "models" / NAME
    if parser.parse_args().prove:
        print(write_taken_proof(place).relative_to(PROJECT))
        return
    size = write_half(of_recipe(PROJECT, NAME).folder("train"), place)
    (place / PROOF).unlink(missing_ok=True)  # of another adapter
    print(f"{place.relative_to(PROJECT) / ADAPTER_FILE}: {size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
