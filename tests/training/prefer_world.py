"""A tiny training on preferences as a step: a base, an adapter that `train` left, and pairs or judged answers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np
from doubles import write_double
from safetensors.numpy import load_file
from together import RECIPE as TRAINED
from training_fakes import said_aloud
from world import context

from jessyfile.dataset.example import Turn
from jessyfile.dataset.preferences import Preference, judged
from jessyfile.language import load_text
from jessyfile.models.chat_format import format_of
from jessyfile.models.load import load_model
from jessyfile.models.tokenizer import load_tokenizer
from jessyfile.planning.steps import StepContext
from jessyfile.text.json_lines import write_jsonl
from jessyfile.training import adapter

RECIPE = (
    (TRAINED % 1).replace('"./base"\n', '"./base"\nSYSTEM "Kısa konuş."\n')
    + """PREFER %s "pairs.jsonl" {
  epochs %d
  batch_size 3
  learning_rate 5e-3
  max_length 128
  beta 0.5
}
"""
)
TALKS = (
    ("selam", "Selam, nasılsın?", "Merhaba efendim.", "low"),
    ("naber", "iyidir, senden?", "Ben bir modelim.", "low"),
    ("bu ne", "Bir kalem.", "Bilmiyorum ki ben.", None),
    ("derin bir soru bu", "Uzun uzun düşündüm: evet.", "Evet.", "high"),
    ("sıkıldım", "Gel biraz konuşalım.", "Buna yardımcı olamam, üzgünüm.", "low"),
    ("kaç yaşındasın", "Yaşım yok benim.", "Otuz.", "medium"),
    ("ne yesem", "Mercimek çorbası.", "Yemek.", "low"),
    ("uykum var", "Uyu o zaman.", "Kahve bir içecektir.", "low"),
)


def pairs(count: int = len(TALKS)) -> list[Preference]:
    """The pairs; the third says no level, the fourth follows on an earlier answer."""
    return [
        Preference(
            (Turn("user", "önce"), Turn("assistant", "Sonra.", "low", 1), Turn("user", asked)) if number == 3 else (Turn("user", asked),),
            good, bad, level, None if level is None else 2, place=f"pairs.jsonl:{number + 1}",
        )
        for number, (asked, good, bad, level) in enumerate(TALKS[:count])
    ]  # fmt: skip


def prefer_step(
    root: Path, method: str = "dpo", epochs: int = 2, stop: Any = None, heard: Any = None, held_out: int = 2,
    **changes: Any,
) -> StepContext:  # fmt: skip
    """Return the step `prefer`: six pairs in two updates an epoch, two held out."""
    base, trained, data = root / "base", root / "trained", root / "preferences"
    if not base.exists():
        _base(base)
        _adapter(base, trained)
    rows = pairs() if method == "dpo" else [one for pair in pairs() for one in judged(pair)]
    cut = len(rows) - held_out * (1 if method == "dpo" else 2)
    data.mkdir(exist_ok=True)
    for name, part in (("train", rows[:cut]), ("valid", rows[cut:])):
        write_jsonl(data / f"{name}.jsonl", map(asdict, part))
    loaded = load_text(RECIPE % (method, epochs), root / "tiny.jessy", root=root)
    assert loaded.recipe is not None, loaded.diagnostics
    recipe = loaded.recipe
    for block, settings in changes.items():
        recipe = replace(recipe, **{block: replace(getattr(recipe, block), **settings)})
    made = context(root, recipe, {"base": base, "train": trained, "preferences": data}, step="prefer")
    return replace(made, stop=stop or made.stop, progress=heard or made.progress)


def _base(base: Path) -> None:
    write_double(base, "Llama 3.2")
    said_aloud(base)
    form = format_of(load_tokenizer(base).pieces())
    (base / "source.json").write_text(json.dumps({"chat_format": form.name}), "utf-8")


def _adapter(base: Path, folder: Path) -> None:
    """Write an adapter that does something."""
    lora = load_text(RECIPE % ("dpo", 1), base.parent / "tiny.jessy", root=base.parent).recipe.lora
    model = load_model(base)[0]
    keys = adapter.attach(model, lora, 1)
    chance = np.random.default_rng(5)
    made = {
        key: mx.array(chance.normal(0, 0.05, array.shape).astype(np.float32))
        for key, array in adapter.parameters(model).items()
    }
    folder.mkdir()
    adapter.write(folder, made, lora, keys)


def arrays_of(folder: Path) -> Mapping[str, np.ndarray]:
    return load_file(folder / "adapters.safetensors")
