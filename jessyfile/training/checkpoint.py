"""Checkpoints from which training resumes exactly as if it had not stopped.

A checkpoint is a folder that appears whole or not at all: adapter, best adapter, optimizer state, curve, cursor, and
the hash of each. The rows of a batch and the dropped units of dropout follow from seed and cursor, so there is no
random state to keep. Each checkpoint gets a number of its own, so that none replaces another before it is whole. The
last two are kept; when one is damaged, the one before is used.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from jessyfile import fsops
from jessyfile.errors import StorageError

_KEPT = 2
_CURVE = ("update", "loss", "learning_rate", "gradient_norm")  # of every entry; one may have more


@dataclass(slots=True)
class Cursor:
    """Where training is. `curve` holds one entry a report, `validations` one a validation; both are free of timings."""

    update: int = 0
    rate_factor: float = 1.0
    retries: int = 0
    best_loss: float | None = None
    best_update: int = 0
    stale: int = 0
    seconds: float = 0.0
    trained_tokens: int = 0
    curve: list[dict[str, float]] = field(default_factory=list)
    validations: list[dict[str, float]] = field(default_factory=list)
    rungs: list[str] = field(default_factory=list)


Arrays = Mapping[str, Any]


def save(folder: Path, cursor: Cursor, groups: Mapping[str, Arrays]) -> None:
    """Write a checkpoint with its groups of arrays (adapter, best, optimizer) and drop all but the last two."""
    import numpy as np
    from safetensors.numpy import save as serialize

    number = max((int(path.name.rpartition("-")[2]) for path in _found(folder)), default=-1) + 1
    keys = cursor.curve[0] if cursor.curve else _CURVE
    curve = {key: np.array([entry[key] for entry in cursor.curve], np.float64) for key in keys}
    with fsops.staged_folder(folder / f"checkpoint-{number:07d}") as staging:
        hashes = {}
        for name, arrays in {**groups, "curve": curve}.items():
            path = staging / f"{name}.safetensors"
            fsops.write_bytes(path, serialize({key: np.asarray(array) for key, array in arrays.items()}))
            hashes[path.name] = fsops.hash_file(path)
        plain = {entry.name: getattr(cursor, entry.name) for entry in fields(cursor) if entry.name != "curve"}
        fsops.write_text(staging / "cursor.json", json.dumps({"cursor": plain, "hashes": hashes}))
    for old in _found(folder)[:-_KEPT]:
        fsops.remove_tree(old)


def latest(folder: Path) -> tuple[Cursor, dict[str, Arrays]] | None:
    """Return the newest checkpoint that is whole, or None."""
    for path in reversed(_found(folder)):
        loaded = _read(path)
        if loaded is not None:
            return loaded
    return None


def _found(folder: Path) -> list[Path]:
    return sorted(folder.glob("checkpoint-" + "[0-9]" * 7)) if folder.is_dir() else []


def _read(folder: Path) -> tuple[Cursor, dict[str, Arrays]] | None:
    import mlx.core as mx
    from safetensors.numpy import load

    try:
        record = json.loads((folder / "cursor.json").read_text(encoding="utf-8"))
        if any(fsops.hash_file(folder / name) != digest for name, digest in record["hashes"].items()):
            return None
        stored = {Path(name).stem: load((folder / name).read_bytes()) for name in record["hashes"]}
        columns = stored.pop("curve")  # float64, which MLX would round
        keys = (*_CURVE, *sorted(set(columns) - set(_CURVE)))
        rows = zip(*(columns[key].tolist() for key in keys), strict=True)
        curve = [dict(zip(keys, (int(update), *rest), strict=True)) for update, *rest in rows]
        groups: dict[str, Arrays] = {
            name: {key: mx.array(array) for key, array in group.items()} for name, group in stored.items()
        }
        return Cursor(**record["cursor"], curve=curve), groups
    except (OSError, ValueError, KeyError, TypeError, StorageError):
        return None
