"""The memory of a training by its shapes alone."""

import tracemalloc
from dataclasses import replace
from pathlib import Path

import mlx.core as mx
import pytest
from tiny import tiny_model
from training_fakes import LORA, TRAIN, encoded, loud

from jessyfile.models.load import load_model
from jessyfile.models.precision import resolve
from jessyfile.models.shape import shape_of
from jessyfile.training import activations, adapter, decoder, gradient
from jessyfile.training.activations import Workload, cpu_bytes, gpu_bytes, part_of, peak
from jessyfile.training.footprint import footprint
from jessyfile.training.workers import Workers

SHAPE = shape_of(
    {
        "model_type": "qwen2", "vocab_size": 151936, "hidden_size": 896, "num_hidden_layers": 24,
        "intermediate_size": 4864, "num_attention_heads": 14, "num_key_value_heads": 2, "tie_word_embeddings": True,
    }
)  # fmt: skip
PART = Workload(rows=2, length=256, prefix=32, targets=200, workers=2)
CPU, CUDA = resolve("float32", "CPU"), resolve("bfloat16", "CUDA")


def whole(shape=SHAPE, lora=LORA, part=PART, *, on_gpu=False):
    precision = CUDA if on_gpu else CPU
    return peak(shape, precision, lora, footprint(shape, precision, lora), part, on_gpu=on_gpu)


@pytest.mark.parametrize("on_gpu", [False, True])
@pytest.mark.parametrize(
    "change",
    [
        {"part": replace(PART, rows=4)},
        {"part": replace(PART, length=512)},
        {"shape": replace(SHAPE, layers=30)},
        {"shape": replace(SHAPE, intermediate=9728)},
        {"shape": replace(SHAPE, tied=False)},
        {"lora": replace(LORA, rank=64)},
        {"lora": replace(LORA, targets=(*LORA.targets, "gate_proj"))},
    ],
    ids=lambda change: str(next(iter(change))),
)
def test_more_of_anything_takes_more(change, on_gpu):
    assert whole(**change, on_gpu=on_gpu) > whole(on_gpu=on_gpu)


def test_a_longer_prefix_takes_more():
    assert whole(part=replace(PART, prefix=512)) > whole()
    many = replace(PART, targets=0)
    assert whole(part=replace(many, prefix=512), on_gpu=True) > whole(part=many, on_gpu=True)


def test_the_parts_make_the_whole():
    held = footprint(SHAPE, CPU, LORA)
    beside = whole() - held.total - 2 * cpu_bytes(SHAPE, LORA, PART)
    assert beside == whole(part=replace(PART, workers=4)) - held.total - 4 * cpu_bytes(SHAPE, LORA, PART)
    assert 0 < beside < 0.5e9
    assert whole(on_gpu=True) - footprint(SHAPE, CUDA, LORA).total >= gpu_bytes(SHAPE, CUDA, LORA, PART)


def test_a_cpu_cuts_batches_and_a_gpu_does_not():
    train = replace(TRAIN, batch_size=8)
    assert part_of(train, 96, 0, workers=2) == Workload(4, 96, workers=2)
    assert part_of(train, 512, 0, workers=16) == Workload(1, 512, workers=8)
    assert part_of(train, 512, 30, workers=0, targets=0.5) == Workload(8, 512, 30, targets=2048)


@pytest.mark.parametrize("dropout", [0.0, 0.1])
@pytest.mark.parametrize("kept", [1 << 30, 1 << 16], ids=["all is kept", "layers are computed again"])
@pytest.mark.parametrize("model_type", ["llama", "qwen3", "gemma3_text"])
def test_the_forecast_is_near_what_is_allocated(
    tmp_path: Path, model_type: str, kept: int, dropout: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Dropout keeps two more arrays for each adapted product: the forecast had none of them."""
    for module in (activations, decoder):
        monkeypatch.setattr(module, "KEPT_BYTES", kept)
    model, config = load_model(tiny_model(tmp_path, model_type, num_hidden_layers=6))
    lora = replace(LORA, dropout=dropout)
    adapter.attach(loud(model), lora, 0)
    mx.eval(model.parameters())
    rows, work = encoded(16), gradient.passes(Workers([model]), 1)
    work.gradient(rows, [list(range(16))], lambda part: part)  # tables of positions are made
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    work.gradient(rows, [list(range(16))], lambda part: part)
    measured = tracemalloc.get_traced_memory()[1] - before
    tracemalloc.stop()
    tokens = int(rows.lengths().sum())
    expected = cpu_bytes(shape_of(config), lora, Workload(1, tokens, len(rows.prefix)))
    assert measured / expected == pytest.approx(1, abs=0.2)
