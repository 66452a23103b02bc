"""One of two processes that train a tiny model by a GPU's updates, run on a CPU; started by test_compiled."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np
from training_fakes import LORA, StopAfter, trainer

from jessyfile.errors import InsufficientMemoryError, Interrupted
from jessyfile.training import compiled, ranks
from jessyfile.training import trainer as training


def failing(work: Callable[..., Any], after: int) -> Callable[..., Any]:
    """Return what does the same until it has been called so often, and then has too little memory."""
    calls = iter(range(99))

    def short(*given: object) -> object:
        if next(calls) == after:
            raise MemoryError
        return work(*given)

    return short


def main(folder: Path, what: str) -> None:
    """Train, and write the adapter, the curve and how it ended."""
    training.on_gpu = lambda: True
    mx.disable_compile()
    here = ranks.join("ring")
    stop = StopAfter(5 if what == "stop" and here.first else None)
    own = folder / str(here.rank)
    made = trainer(own, pack="rows", batch_size=3, lora=replace(LORA, dropout=0.1), stop=stop)
    if what == "memory" and here.rank == 1:
        compiled.fill = failing(compiled.fill, 2)
    end = "done"
    try:
        made.run()
    except (Interrupted, InsufficientMemoryError) as error:
        end = type(error).__name__
    np.savez(
        own / "found.npz",
        end=end,
        update=made.cursor.update,
        losses=[entry["loss"] for entry in made.cursor.curve],
        held_out=[entry["loss"] for entry in made.cursor.validations],
        **{key: np.array(array) for key, array in made.best.items()},
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
