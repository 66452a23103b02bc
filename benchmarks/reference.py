"""Write the adapter that the last apply of recipes/jessy-270m.jessy trained into models/jessy-270m, in half precision.

`make reference` trains and calls it. The numbers are rounded from float32 to float16; one that does not fit is an error.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

from jessyfile.export.lineage import of_recipe
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


if __name__ == "__main__":
    place = PROJECT / "models" / NAME
    size = write_half(of_recipe(PROJECT, NAME).folder("train"), place)
    print(f"{place.relative_to(PROJECT) / ADAPTER_FILE}: {size / 1e6:.1f} MB")
