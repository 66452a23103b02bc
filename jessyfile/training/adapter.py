"""LoRA and DoRA adapters on a model: attach, initialize, save.

The layers are mlx-lm's. Two things differ: the targets come from the recipe by name, and training refuses when one of
them is not found; and the initial values depend on the seed alone.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

from jessyfile import fsops
from jessyfile.language.recipe import Lora
from jessyfile.models.accelerate import on_gpu
from jessyfile.models.architectures import target_layers

ADAPTER_FILE = "adapters.safetensors"
CONFIG_FILE = "adapter_config.json"
_LAYER = re.compile(r"^.*?\.\d+\.")


def attach(model: Any, lora: Lora, seed: int) -> list[str]:
    """Freeze the model, put an adapter on every target of the last `lora.layers` layers, and return their module paths.

    Raises TrainingError when a target names no linear layer of this model.
    """
    import mlx.core as mx
    from mlx.utils import tree_unflatten
    from mlx_lm.tuner.lora import LoRALinear

    from jessyfile.training.dora import DoRA

    model.freeze()
    first = len(model.layers) - (lora.layers or len(model.layers))
    linear = {
        path: module
        for path, module in model.named_modules()
        if _layer_of(path) >= max(first, 0) and _is_linear(module)
    }
    wanted = target_layers(lora.targets, {path.rsplit(".", 1)[-1] for path in linear})
    chosen = sorted(path for path in linear if path.rsplit(".", 1)[-1] in wanted)
    mx.random.seed(seed)
    kind = DoRA if lora.kind == "dora" else LoRALinear
    adapters = [
        (path, kind.from_base(linear[path], r=lora.rank, dropout=lora.dropout, scale=lora.scale)) for path in chosen
    ]
    model.update_modules(tree_unflatten(adapters))
    return chosen


def with_rank(lora: Lora, rank: int) -> Lora:
    """Return the settings of another rank whose product is scaled as before."""
    return replace(lora, rank=rank, alpha=lora.alpha * lora.scale / replace(lora, rank=rank).scale)


def spelled(lora: Lora) -> str:
    """Return what is trained, in words."""
    name = "DoRA" if lora.kind == "dora" else "LoRA"
    return f"{name}, scaled by alpha / √rank" if lora.rslora else name


def _layer_of(path: str) -> int:
    return next((int(part) for part in path.split(".") if part.isdigit()), -1)


def _is_linear(module: Any) -> bool:
    import mlx.nn as nn

    return isinstance(module, nn.Linear | nn.QuantizedLinear)


def parameters(model: Any) -> dict[str, Any]:
    """Return the trainable arrays by path: `….lora_a` of shape (in, rank), `….lora_b` of shape (rank, out), DoRA's `….m` of shape (out,)."""
    from mlx.utils import tree_flatten

    return dict(sorted(tree_flatten(model.trainable_parameters())))


def write(folder: Path, arrays: dict[str, Any], lora: Lora, keys: list[str]) -> None:
    """Write adapters.safetensors and adapter_config.json as mlx-lm reads them; the same arrays give the same bytes.

    Args:
        folder: the folder to write into.
        arrays: the LoRA matrices by parameter name.
        lora: the recipe's LORA settings.
        keys: the names of the adapted modules.
    """
    write_arrays(folder / ADAPTER_FILE, arrays)
    product = {"rank": lora.rank, "scale": lora.scale, "dropout": lora.dropout}
    config = {
        **settings(lora),
        **product,
        "keys": keys,
        # mlx-lm names modules as seen from their layer
        "lora_parameters": {**product, "keys": sorted({_LAYER.sub("", key) for key in keys})},
    }
    fsops.write_text(folder / CONFIG_FILE, json.dumps(config, indent=2, sort_keys=True) + "\n")


def settings(lora: Lora) -> dict[str, object]:
    """Return what an adapter's configuration says of the settings that decide which numbers it has and how they count."""
    # mlx-lm counts the layers from the last, -1 for all
    return {
        "fine_tune_type": lora.kind,
        "rank": lora.rank,
        "scale": lora.scale,
        "targets": list(lora.targets),
        "num_layers": lora.layers or -1,
    }


def write_arrays(path: Path, arrays: dict[str, Any]) -> None:
    """Write MLX arrays as safetensors in float32, flushed and renamed into place."""
    import numpy as np
    from safetensors.numpy import save

    fsops.write_bytes(path, save({name: np.asarray(array, dtype=np.float32) for name, array in arrays.items()}))


def norm(arrays: dict[str, Any]) -> float:
    """Return the Euclidean norm of all arrays together."""
    import mlx.core as mx
    import numpy as np

    if not on_gpu():  # on a CPU MLX squares one number at a time
        return math.sqrt(sum(float(np.square(np.asarray(array, np.float32)).sum()) for array in arrays.values()))
    squares = [mx.sum(array.astype(mx.float32) ** 2) for array in arrays.values()]
    return math.sqrt(float(mx.sum(mx.stack(squares)))) if squares else 0.0
