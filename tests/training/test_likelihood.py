"""Log-probabilities of single tokens, against the logits of mlx-lm's own models."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny import tiny_model

from jessyfile.models.load import load_model
from jessyfile.training import likelihood
from jessyfile.training.encoded import EncodedRow, common_prefix, pack
from jessyfile.training.likelihood import reader

START = (2, 40, 41, 42)
ROWS = [(*START, 50, 51, 52), (*START, 60), (*START, 61, 62, 63, 64, 65, 66), (*START, 50, 70)]
COUNTED = [(0, 0, 0, 0, 1, 1, 1), (0, 0, 0, 0, 1), (0, 0, 0, 0, 0, 1, 1, 1, 0, 1), (0, 0, 0, 0, 0, 1)]


def split(rows: list[tuple[int, ...]], counted: list[tuple[int, ...]]) -> Any:
    made = [
        EncodedRow(row, tuple(map(bool, flags)), "c", "tr", persona=False)
        for row, flags in zip(rows, counted, strict=True)
    ]
    return pack(made, common_prefix(made))


def expected(model: Any, row: tuple[int, ...], counted: tuple[int, ...]) -> list[float]:
    """Return a row's log-probabilities by the model itself, the whole row at once and in double precision."""
    import mlx.core as mx

    scores = np.array(model(mx.array([row]))[0].astype(mx.float32), dtype=np.float64)
    places = [place for place, one in enumerate(counted) if one]
    return [scores[place - 1][row[place]] - np.logaddexp.reduce(scores[place - 1]) for place in places]


@pytest.mark.parametrize("model_type", ["gemma3_text", "gemma2", "llama", "qwen3"])
def test_they_are_those_of_the_model_itself(tmp_path: Path, model_type: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows of different lengths, two splits with prefixes of their own, one part and several, one worker and two."""
    model = load_model(tiny_model(tmp_path / "model", model_type))[0]
    splits = [split(ROWS, COUNTED), split(ROWS[::-1][:1], COUNTED[::-1][:1]), split(ROWS[1:3], COUNTED[1:3])]
    wanted = [
        [expected(model, row, flags) for row, flags in zip(rows, counted, strict=True)]
        for rows, counted in ((ROWS, COUNTED), (ROWS[::-1][:1], COUNTED[::-1][:1]), (ROWS[1:3], COUNTED[1:3]))
    ]
    for count, tokens in ((1, 4096), (2, 4096), (2, 5)):
        monkeypatch.setattr(likelihood, "cores", lambda count=count: count)
        monkeypatch.setattr(likelihood, "_TOKENS", tokens)
        with reader(model) as read:
            found = read.logprobs(splits)
        for some, right in zip(found, wanted, strict=True):
            assert len(some) == len(right)
            for row, values in zip(some, right, strict=True):
                assert row.tolist() == pytest.approx(values, abs=2e-4)


def test_a_gpu_reads_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a GPU computes is MLX's own arithmetic, here on a CPU, with the logits of few places in memory at once."""
    model = load_model(tiny_model(tmp_path / "model", "gemma3_text"))[0]
    monkeypatch.setattr(likelihood, "on_gpu", lambda: True)
    monkeypatch.setattr(likelihood, "_POSITIONS", 2)
    with reader(model) as read:
        (found,) = read.logprobs([split(ROWS, COUNTED)])
    for row, tokens, flags in zip(found, ROWS, COUNTED, strict=True):
        assert row.tolist() == pytest.approx(expected(model, tokens, flags), abs=2e-4)


def test_the_probabilities_of_a_vocabulary_add_up(tmp_path: Path) -> None:
    """Every token of the vocabulary once as the only counted one behind the same start: together they are certain."""
    model = load_model(tiny_model(tmp_path / "model", "llama"))[0]
    size = model.args.vocab_size
    rows = split([(*START, token) for token in range(size)], [(0, 0, 0, 0, 1)] * size)
    with reader(model) as read:
        (found,) = read.logprobs([rows])
    assert math.fsum(math.exp(row[0]) for row in found) == pytest.approx(1.0, abs=1e-4)
