"""How fast an update is on a GPU, beside mlx-lm's trainer and PyTorch's with PEFT: the same rows, each in a process of its own.

Run `python benchmarks/train_on_gpu.py [BASE] [BATCH] [TRAINER ...]` on a machine with a GPU; BASE is gemma3:270m-pt (12 adapted
layers) unless said otherwise, with random weights of the published shape in bfloat16, BATCH 32 rows of 20 to 200 tokens, rank 64.
TRAINER is rows or length (jessy's, as it packs), mlx-lm or peft; all unless said, but for a peer that is not installed. Tokens are
those of the rows; padding is not counted. The first quarter of the updates, in which kernels are compiled, is told apart. The
claims: 1.5 times mlx-lm's tokens a second, and ahead of PyTorch.

TRAINER gpus=N trains with `pack rows` in N processes, a GPU each, through NCCL: an update's BATCH rows are all of theirs.
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
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import memory  # the benchmark beside this one: random bases of a published shape

from jessyfile import machine

RANK, UPDATES = 64, 24
LAYERS = {"gemma3:270m-pt": 12}
memory.REAL = ()  # random weights take the same time
TARGETS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
Row = tuple[list[int], int]


def rows_of(count: int, vocabulary: int) -> list[Row]:
    """Return rows of 20 to 200 random tokens, 79 on average, each with the place of its first trained token."""
    import numpy as np

    generator = np.random.default_rng(0)
    lengths = np.clip(generator.lognormal(4.25, 0.55, count), 20, 200).astype(int)
    return [(generator.integers(5, vocabulary, n).tolist(), int(n * 0.4)) for n in lengths]


def report(
    name: str, rows: list[Row], times: list[float], peak: float, loss: float, more: dict[str, Any] | None = None
) -> None:
    """Print the figures of one trainer.

    Args:
        name: the trainer's.
        rows: what was trained.
        times: the ends of the updates, of which the first quarter is told apart.
        peak: the most memory on the GPU, in bytes.
        loss: that of the last update.
        more: what else is known.
    """
    seconds = [b - a for a, b in pairwise(times)]
    settled = seconds[len(seconds) // 4 :]
    tokens = sum(len(ids) for ids, _ in rows) / UPDATES
    pace = len(settled) / sum(settled)
    line = {
        "trainer": name, "updates_a_second": round(pace, 2), "tokens_a_second": round(tokens * pace),
        "median_ms": round(1000 * statistics.median(settled), 1), "first_quarter_s": round(sum(seconds) - sum(settled), 1),
        "peak_gb": round(peak / 1e9, 2), "loss": round(loss, 5), **(more or {}),
    }  # fmt: skip
    print(json.dumps(line), flush=True)


def jessy(folder: Path, base: str, batch: int, pack_as: Literal["rows", "length"]) -> None:
    """Train with jessy's own trainer, as `apply` does; as one of several processes where they were started so."""
    from jessyfile.models.accelerate import prepare

    prepare()
    import mlx.core as mx

    from jessyfile.training.ranks import here, join

    if "MLX_RANK" in os.environ:
        join("nccl")
    from jessyfile.language.recipe import Lora
    from jessyfile.models.load import load_model
    from jessyfile.models.precision import resolve
    from jessyfile.training import adapter
    from jessyfile.training.encoded import EncodedRow, pack
    from jessyfile.training.trainer import Trainer

    model, config = load_model(folder, resolve("bfloat16", machine.chip()))
    adapter.attach(model, Lora(RANK, 2 * RANK, 0.0, TARGETS, LAYERS.get(base)), 1)
    rows = rows_of(batch * UPDATES, config["vocab_size"])
    made = [
        EncodedRow(tuple(ids), tuple(i >= first for i in range(len(ids))), "any", "en", persona=False)
        for ids, first in rows
    ]
    train = replace(
        memory.TRAIN, epochs=3, batch_size=batch, max_length=256, pack=pack_as, checkpoint_every=9999, validate_every=9999, keep="last",
    )  # fmt: skip
    quiet = memory.Quiet()
    with tempfile.TemporaryDirectory() as work:
        trainer = Trainer(
            model,
            train,
            Lora(RANK, 2 * RANK, 0.0, TARGETS, LAYERS.get(base)),
            pack(made, ()),
            pack(made[:2], ()),
            0,
            Path(work),
            quiet,
            quiet,
        )
        cursor = trainer.run()
    if here().first:
        name = f"jessy, pack {pack_as}" + (f", {here().size} GPUs" if here().size > 1 else "")
        compiling, busy = sum(one.compile_seconds for one in trainer.log.kept), trainer.log.mean_gpu()
        share = None if busy is None else round(busy, 2)
        more = {"compile_s": round(compiling, 1), "shapes": trainer.shapes, "gpu_busy": share}
        report(name, rows, quiet.times, mx.get_peak_memory(), cursor.curve[-1]["loss"], more)


def mlx_lm(folder: Path, base: str, batch: int) -> None:
    """Train with mlx-lm's own trainer, with CUDA graphs as its command has them (they are slower in jessy, which has none)."""
    os.environ.setdefault("MLX_USE_CUDA_GRAPHS", "1")
    import mlx.core as mx
    import mlx.optimizers as optim
    from mlx_lm.tuner import trainer
    from mlx_lm.tuner.utils import linear_to_lora_layers

    from jessyfile.models.load import load_model
    from jessyfile.models.precision import resolve

    model, config = load_model(folder, resolve("bfloat16", machine.chip()))
    model.freeze()
    keys = [f"{'mlp' if name in TARGETS[4:] else 'self_attn'}.{name}" for name in TARGETS]
    linear_to_lora_layers(
        model, LAYERS.get(base, len(model.layers)), {"rank": RANK, "scale": 2.0, "dropout": 0.0, "keys": keys}
    )
    rows, times, losses = rows_of(batch * UPDATES, config["vocab_size"]), [time.perf_counter()], []

    class Seen:
        """Keeps the time of each report."""

        def on_train_loss_report(self, info: dict[str, Any]) -> None:
            times.append(time.perf_counter())
            losses.append(info["train_loss"])

        def on_val_loss_report(self, info: dict[str, Any]) -> None: ...

    with tempfile.TemporaryDirectory() as work:
        arguments = trainer.TrainingArgs(
            batch_size=batch, iters=UPDATES * 3, val_batches=0, steps_per_report=1,
            steps_per_eval=10**6, steps_per_save=10**6, adapter_file=f"{work}/a.safetensors",
        )  # fmt: skip
        trainer.train(model, optim.AdamW(1e-4), rows, None, arguments, training_callback=Seen())
    report("mlx-lm", rows, times, mx.get_peak_memory(), losses[-1])


def peft(folder: Path, base: str, batch: int) -> None:
    """Train with PyTorch, transformers and PEFT: bfloat16, scaled dot product attention, fused AdamW."""
    import numpy as np
    import torch
    import transformers
    from peft import LoraConfig, get_peft_model

    config = json.loads((folder / "config.json").read_text("utf-8"))
    kind = {"gemma3_text": "Gemma3TextConfig", "qwen3": "Qwen3Config", "gemma": "GemmaConfig", "llama": "LlamaConfig"}
    settings = getattr(transformers, kind[config.pop("model_type")])(**config)
    model = transformers.AutoModelForCausalLM.from_config(
        settings, dtype=torch.bfloat16, attn_implementation="sdpa"
    ).cuda()
    layers = settings.num_hidden_layers
    chosen = list(range(layers - LAYERS.get(base, layers), layers))
    model = get_peft_model(
        model,
        LoraConfig(
            r=RANK, lora_alpha=2 * RANK, lora_dropout=0.0, target_modules=list(TARGETS), layers_to_transform=chosen
        ),
    )
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-4, fused=True)
    rows = rows_of(batch * UPDATES, config["vocab_size"])
    order = sorted(range(len(rows)), key=lambda i: len(rows[i][0]))
    batches = [order[i : i + batch] for i in range(0, len(order), batch)]
    times, loss = [time.perf_counter()], None
    for chosen_rows in batches * 2:
        width = -(-max(len(rows[i][0]) for i in chosen_rows) // 8) * 8
        ids, labels = (
            torch.zeros(len(chosen_rows), width, dtype=torch.long),
            torch.full((len(chosen_rows), width), -100),
        )
        seen = torch.zeros_like(ids)
        for place, i in enumerate(chosen_rows):
            tokens, first = rows[i]
            ids[place, : len(tokens)] = torch.from_numpy(np.array(tokens))
            seen[place, : len(tokens)] = 1
            labels[place, first : len(tokens)] = ids[place, first : len(tokens)]
        loss = model(input_ids=ids.cuda(), attention_mask=seen.cuda(), labels=labels.cuda()).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        optimizer.zero_grad()
        torch.cuda.synchronize()
        times.append(time.perf_counter())
    report("PyTorch and PEFT", rows, times, torch.cuda.max_memory_allocated(), float(loss) if loss is not None else 0.0)


def together(command: list[str], count: int) -> None:
    """Start the same in several processes, as mlx.launch does for NCCL, and wait for them."""
    shared = {**os.environ, "NCCL_HOST_IP": "127.0.0.1", "NCCL_PORT": "32323", "MLX_WORLD_SIZE": str(count)}
    started = [
        subprocess.Popen(command, env={**shared, "MLX_RANK": str(rank), "CUDA_VISIBLE_DEVICES": str(rank)})
        for rank in range(count)
    ]
    for process in started:
        process.wait()


def main() -> None:
    """Print a line for each trainer, or be one of them for the process that started this one."""
    if sys.argv[1:2] == ["--in"]:
        place, work, base, size = Path(sys.argv[2]), sys.argv[3], sys.argv[4], int(sys.argv[5])
        if work == "prepare":
            sys.exit(0 if memory.prepare(base, place) else 1)
        peers = {"mlx-lm": mlx_lm, "peft": peft}
        peers.get(work, partial(jessy, pack_as="length" if work == "length" else "rows"))(place, base, size)
        return
    base, batch, *wanted = [*sys.argv[1:], *("gemma3:270m-pt", "32")[len(sys.argv) - 1 :]]
    versions = ", ".join(f"{package} {version(package)}" for package in ("mlx", "mlx-lm"))
    print(f"{datetime.now(UTC).date()}, {platform.platform()}, {card()}, {versions}")
    print(f"{base}, random weights, bfloat16, {batch} rows an update, rank {RANK}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, __file__, "--in", folder]
        subprocess.run([*command, "prepare", base, str(batch)], check=True)
        for work in wanted or ("rows", "length", "mlx-lm", *(["peft"] if find_spec("peft") else [])):
            one, (_, _, count) = [*command, work, base, batch], work.partition("gpus=")
            if count:
                together(one, int(count))
            else:
                subprocess.run(one, check=False)


def card() -> str:
    """Return what computes: NVIDIA's name of the card, else the chip's."""
    try:
        asked = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
        return subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip().replace("\n", " + ")
    except (OSError, subprocess.SubprocessError):
        return machine.chip()


if __name__ == "__main__":
    main()
