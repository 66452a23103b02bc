"""What a threshold on probabilities would leave out of the head's gradient: how much is skipped, and how far the gradient moves.

Run `python benchmarks/head_sparsity.py`: Gemma 3 270M on the rows of form.jessy, untrained and after an epoch; two minutes of a core.
The gradient of a state is its probabilities times the output matrix, less the target's row. A column can be skipped where no state of
an update gives it more than the threshold.
"""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import train_vs_mlx_lm as updates

from jessyfile.models import accelerate
from jessyfile.training import encoded, loss
from jessyfile.training.batches import pack_rows
from jessyfile.training.decoder import Decoder
from jessyfile.training.encoded import Encoded
from jessyfile.training.tape import Tape
from jessyfile.training.trainer import Trainer

THRESHOLDS = (2.0**-12, 1e-6, 1e-9)


def measure(name: str, model: Any, rows: Encoded, batch: list[int]) -> None:  # noqa: ANN401 (MLX ships no complete types)
    """Print a line for each threshold on one update."""
    packed, head = pack_rows(rows, batch), np.asarray(loss.head_rows(model)[:])
    states = Decoder(model).predicting(Tape(recording=False), packed).value
    scores = states @ head.T
    shares = np.exp(scores - scores.max(axis=1, keepdims=True))
    shares /= shares.sum(axis=1, keepdims=True)
    size = np.linalg.norm(shares @ head - head[packed.targets])
    for threshold in THRESHOLDS:
        small = np.where(shares > threshold, np.float32(0), shares)
        columns, kept = (shares.max(axis=0) > threshold).mean(), (shares > threshold).mean()
        print(
            f"{name:<16}{len(states):5d} targets   above {threshold:.1e}: {kept:7.2%} of all, in {columns:6.1%} of the columns; "
            f"dropped {small.sum(axis=1).mean():.1e}, gradient moves by {np.linalg.norm(small @ head) / size:.1e}"
        )


def main() -> None:
    accelerate.prepare()
    case = replace(updates.CASES["gemma-chat"], updates=1_000_000)
    with tempfile.TemporaryDirectory(prefix="head-") as name:
        folder = Path(name).resolve()
        updates.prepare(case, folder)
        train, lora = updates.settings(case)
        model, clock = updates.model_of(folder, train, lora), updates.Clock(case.updates)
        rows = encoded.load(folder / "train.safetensors")
        batches = updates.plan(rows, train, case)[:3]
        for batch in batches:
            measure("untrained", model, rows, batch)
        Trainer(model, train, lora, rows, encoded.pack([], ()), 0, folder, clock, clock).run()
        for batch in batches:
            measure("after an epoch", model, rows, batch)


if __name__ == "__main__":
    main()
