"""Small rows, settings and a silent progress for the training tests."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np
from safetensors.numpy import load_file, save_file
from tiny import tiny_model

from jessyfile.language.recipe import Lora, Train
from jessyfile.models.load import load_model
from jessyfile.training import adapter
from jessyfile.training.encoded import Encoded, EncodedRow, common_prefix, pack
from jessyfile.training.trainer import Trainer

TRAIN = Train(
    epochs=2, batch_size=4, grad_accumulation=1, learning_rate=5e-3, warmup_steps=2, schedule="cosine", weight_decay=0.01,
    max_grad_norm=1.0, max_length=64, seed=42, early_stop=None, pack="length", keep="last", include_system=True, end_weight=1, level_weight=1,
    on_memory="shrink_batch", retries=2, checkpoint_every=3, validate_every=0,
)  # fmt: skip
LORA = Lora(rank=4, alpha=8, dropout=0.0, targets=("q_proj", "v_proj", "down_proj"), layers=None)


def rows(count: int, prefix: Sequence[int] = (2, 4, 30, 31), seed: int = 0) -> list[EncodedRow]:
    """Rows of uneven length over a shared prefix; the last third of each is trained, every third row is persona."""
    found = []
    for i in range(count):
        length = 5 + (i * 7 + seed) % 19
        body = [20 + (i * 13 + j * 5 + seed) % 60 for j in range(length)]
        trained = [j >= length - length // 3 - 1 for j in range(length)]
        language = ("tr", "en", "mixed")[i % 3]
        found.append(EncodedRow((*prefix, *body), (*[False] * len(prefix), *trained), "any", language, i % 3 == 0))
    return found


def encoded(count: int, **changes: int) -> Encoded:
    made = rows(count, **changes)
    return pack(made, common_prefix(made))


class Silent:
    def update(self, done: float, total: float | None = None, *, text: str = "") -> None: ...

    def note(self, text: str) -> None: ...


class StopAfter:
    """Asks to stop at the n-th question; never for None."""

    def __init__(self, questions: int | None = None) -> None:
        self.left = questions

    def requested(self) -> bool:
        if self.left is None:
            return False
        self.left -= 1
        return self.left < 0


def loud(model: Any) -> Any:
    """Give every token an embedding; the tiny models keep their special tokens silent, and the rows here use those."""
    weight = model.model.embed_tokens.weight
    model.model.embed_tokens.weight = mx.random.normal(weight.shape, key=mx.random.key(9)) * 0.25
    return model


def said_aloud(base: Path, wide: int = 0) -> None:
    """Give every token an embedding; the tiny models keep their special tokens silent, and the rows here use those.

    `wide` gives the gates another width.
    """
    arrays = load_file(base / "model.safetensors")
    shape = arrays["model.embed_tokens.weight"].shape
    arrays["model.embed_tokens.weight"] = np.random.default_rng(9).normal(0, 0.25, shape).astype(np.float32)
    for name in [name for name in arrays if wide and ".mlp." in name]:
        shape = [wide if size != arrays["model.norm.weight"].size else size for size in arrays[name].shape]
        arrays[name] = np.random.default_rng(8).normal(0, 0.01, shape).astype(np.float32)
    save_file(arrays, base / "model.safetensors")


def trainer(
    folder: Path,
    *,
    stop: StopAfter | None = None,
    lora: Lora = LORA,
    count: int = 14,
    splits: int = 1,
    **changes: object,
) -> Trainer:
    """A trainer over a fresh tiny Gemma 3 whose weights are always the same."""
    base = folder / "base"
    if not base.exists():
        tiny_model(base)
    model = loud(load_model(base)[0])
    train = replace(TRAIN, **changes)
    adapter.attach(model, lora, train.seed)
    held_out = encoded(5, seed=3)
    return Trainer(
        model, train, lora, encoded(count), held_out, 1, folder / "work", Silent(), stop or StopAfter(), splits=splits
    )
