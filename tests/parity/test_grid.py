"""Whether stored numbers are roundings of given ones: whoever rounded them, and nobody else's."""

import numpy as np
import pytest
from gguf.constants import GGMLQuantizationType
from gguf.quants import dequantize, quantize

from jessyfile.export.ggml import Kind, packed
from jessyfile.parity.grid import misplaced
from jessyfile.parity.limits import limit_of

ROWS, WIDTH = 64, 512
RNG = np.random.default_rng(7)
BASE = RNG.normal(size=(ROWS, WIDTH)).astype(np.float32) * np.float32(0.02)
TUNE = BASE + RNG.normal(size=BASE.shape).astype(np.float32) * np.float32(0.0008)
UNEVEN = RNG.lognormal(0, 2, size=WIDTH).astype(np.float32)
SIMPLE = ("Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0")
KINDS = [kind for kind in Kind if kind.name not in ("F32", "F16", "BF16")]


def share(given, data, kind):
    """Return the share of numbers that are no roundings of the given ones, as times the type's limit."""
    stored = dequantize(data.reshape(ROWS, -1), GGMLQuantizationType[kind.name])
    off, looked = misplaced(given, stored, int(kind))
    return off / looked / limit_of(kind.name).grid


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_an_importance_matrix_rounds_the_right_numbers_and_no_others(kind):
    """ggml fits the scale anew behind the rounding where an importance matrix is given: right files were refused for it."""
    for importance in (None, UNEVEN, UNEVEN[::-1].copy(), np.sqrt(UNEVEN)):
        assert share(TUNE, packed(TUNE, kind, importance), kind) < 0.85
        assert share(TUNE, packed(BASE, kind, importance), kind) > 3


@pytest.mark.parametrize("kind", SIMPLE)
@pytest.mark.parametrize("offset", [0, 0.02, 0.2])
def test_another_quantizer_rounds_the_right_numbers_and_no_others(kind, offset):
    """It rounds with the scale and the minimum in 32 bits and stores 16 of them, which moves every point a little."""
    right, wrong = TUNE + np.float32(offset), BASE + np.float32(offset)
    number = GGMLQuantizationType[kind]
    assert share(right, quantize(right, number), Kind[kind]) < 0.2
    if offset < 0.1:
        assert share(right, quantize(wrong, number), Kind[kind]) > 3


def test_numbers_beyond_the_ends_of_a_grid_lie_on_its_ends():
    given = TUNE.copy()
    given[:, ::32] = np.float32(0.5)
    stored = np.clip(np.round(given / np.float32(0.01)), -8, 7) * np.float32(0.01)
    assert misplaced(given, stored, int(Kind.Q4_0)) == (0, given.size)
    stored[:, 1::32] += np.float32(0.01)
    assert misplaced(given, stored, int(Kind.Q4_0))[0] > given.size // 50
