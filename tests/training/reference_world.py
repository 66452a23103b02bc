"""The same rows and the same model for the trainer and for the plain writing of it, and what the trainer holds after each update."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np
import pytest
from plain_training import Moments, clipped, groups, mean_gradient, rate_of, stepped
from training_fakes import TRAIN, Silent, StopAfter

from jessyfile.dataset.formatted import FormattedRow
from jessyfile.language.recipe import Lora, Message, Train
from jessyfile.models.chat_format import format_of
from jessyfile.models.load import load_model
from jessyfile.models.tokenizer import load_tokenizer
from jessyfile.training import adapter, checkpoint
from jessyfile.training.batches import epoch_batches
from jessyfile.training.encode import Encoder, MaskProof
from jessyfile.training.encoded import EncodedRow, common_prefix, pack
from jessyfile.training.trainer import Trainer

MARKER = "[{level} {iterations}]"
ALL = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
LORA = Lora(rank=4, alpha=8, dropout=0.0, targets=ALL, layers=None)
SETTINGS = replace(
    TRAIN, epochs=1, batch_size=2, grad_accumulation=2, end_weight=4, level_weight=8, warmup_steps=2, checkpoint_every=1,
    max_grad_norm=0.5, weight_decay=0.1, keep="last",
)  # fmt: skip
SYSTEM = "Sen JESSY'sin."
# short and long, one turn and several, with and without a marker, and a marker alone: seven, so that the last batch and the last
# update are short of rows
TALKS: tuple[tuple[tuple[str, ...], tuple[tuple[str, int] | None, ...]], ...] = (
    (("selam", "[low 1]\nSelam, nasılsın?"), (("low", 1),)),
    (("ne", "[low 2]\nBilmem.", "peki ya sonra?", "[high 9]\nSonra uzun uzun düşünürüz, olur mu?"), (("low", 2), ("high", 9))),
    (("kısa", "evet"), (None,)),
    (("a", "b", "c", "[medium 4]\nd", "e", "f"), (None, ("medium", 4), None)),
    (("bu soru oldukça uzun bir soru, cevabı ise kısa", "[high 7]\nOlur."), (("high", 7),)),
    (("naber", "[low 1]\niyidir, senden naber? anlat bakalım biraz"), (("low", 1),)),
    (("derin", "[high 8]"), (("high", 8),)),
)  # fmt: skip


@dataclass(frozen=True)
class Seen:
    """What the trainer holds after an update."""

    loss: float
    norm: float
    rate: float
    weights: dict[str, np.ndarray]
    moments: Moments


@dataclass
class World:
    """A model with its rows, for the trainer and for the reference alike."""

    model: Any
    rows: list[EncodedRow]
    end: int

    def trained(self, train: Train, folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[Seen]:
        """Return what the trainer holds before the first update and after each: its checkpoints say it."""
        seen: list[Seen] = []
        monkeypatch.setattr(checkpoint, "save", lambda _, cursor, groups: seen.append(_seen(cursor, groups)))
        packed = pack(self.rows, common_prefix(self.rows), self.end)
        Trainer(self.model, train, LORA, packed, packed, 1, folder, Silent(), StopAfter()).run()
        return seen


def _seen(cursor: checkpoint.Cursor, groups: dict[str, Any]) -> Seen:
    held = {name: {key: np.array(array) for key, array in group.items()} for name, group in groups.items()}
    last = cursor.curve[-1] if cursor.curve else {"loss": 0.0, "gradient_norm": 0.0, "learning_rate": 0.0}
    weights = held["adapter"]
    moments = Moments(*({key: held["optimizer"][f"{key}.{one}"] for key in weights} for one in "mv"))
    return Seen(last["loss"], last["gradient_norm"], last["learning_rate"], weights, moments)


def world(folder: Path, system: str | None, lora: Lora = LORA, limit: int = 200) -> World:
    """Return the model of a folder with an adapter that already does something, and the talks as its tokenizer cuts them."""
    tokenizer = load_tokenizer(folder)
    encoder = Encoder(tokenizer, format_of(tokenizer.pieces()), system, limit, MARKER)
    rows = encoder.encode([_row(turns, levels) for turns, levels in TALKS], MaskProof())
    model = load_model(folder)[0]
    adapter.attach(model, lora, 1)
    chance = np.random.default_rng(5)
    noise = {key: chance.normal(0, 0.05, array.shape) for key, array in adapter.parameters(model).items()}
    model.load_weights([(key, mx.array(array.astype(np.float32))) for key, array in noise.items()], strict=False)
    return World(model, rows, encoder.end)


def _row(turns: Sequence[str], levels: tuple[tuple[str, int] | None, ...]) -> FormattedRow:
    messages = tuple(Message(("user", "assistant")[i % 2], text) for i, text in enumerate(turns))
    kind: Any = "marker" if turns[0] == "derin" else "chat"
    return FormattedRow(
        messages, kind, "any", "text", None, None, ("tr", "en")[len(turns) % 3 % 2], (), turns[0], levels
    )


def far(got: np.ndarray, wanted: np.ndarray, scale: float) -> float:
    """Return how far two arrays are apart, as a share of their size; what is small beside the whole gradient counts for little."""
    return float(np.linalg.norm(got - wanted) / max(float(np.linalg.norm(wanted)), 1e-3 * scale))


def hold(found: World, train: Train, folder: Path, monkeypatch: pytest.MonkeyPatch, near: float = 5e-5) -> None:
    """Fail unless every update is the reference's, each judged from where the one before left the adapter."""
    seen = found.trained(train, folder, monkeypatch)
    packed = pack(found.rows, common_prefix(found.rows), found.end)
    batches = [batch for epoch in range(train.epochs) for batch in epoch_batches(packed, train, 1, epoch)]
    updates = groups(batches, train.grad_accumulation)
    assert len(seen) == len(updates) + 1
    for step, group in enumerate(updates, start=1):
        before, after = seen[step - 1], seen[step]
        found.model.load_weights([(key, mx.array(array)) for key, array in before.weights.items()], strict=False)
        wanted = mean_gradient(found.model, [found.rows[i] for i in group], found.end, train)
        assert after.loss == pytest.approx(wanted.loss, rel=near)
        assert after.norm == pytest.approx(wanted.norm, rel=near)
        assert after.rate == pytest.approx(rate_of(step, len(updates), train), rel=1e-6)
        moments = before.moments.after(clipped(wanted, train.max_grad_norm))
        scale = min(wanted.norm, train.max_grad_norm or wanted.norm)
        for key, array in moments.first.items():
            assert far(after.moments.first[key], array, 0.1 * scale) < near, (step, key)
            assert far(after.moments.second[key], moments.second[key], 1e-3 * scale**2) < 2 * near, (step, key)
        weights = stepped(before.weights, after.moments, step, after.rate, train.weight_decay)
        for key, array in weights.items():
            np.testing.assert_allclose(after.weights[key], array, rtol=0, atol=1e-3 * after.rate, err_msg=key)
