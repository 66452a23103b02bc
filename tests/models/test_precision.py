"""In which numbers a base is held and computed, chip by chip."""

import pytest

from jessyfile.models.precision import resolve
from jessyfile.models.shape import Shape

CHIPS = {
    "CPU": "float32", "CUDA": "bfloat16", "Apple M1": "float16", "Apple M1 Ultra": "float16", "Apple M2 Pro": "float16",
    "Apple M3": "bfloat16", "Apple M4 Max": "bfloat16", "Apple M10": "bfloat16", "Apple A16 Bionic": "float16",
    "Apple A18 Pro": "bfloat16", "Apple processor": "bfloat16",
}  # fmt: skip


def shape(model_type: str, quantized: bool = False) -> Shape:
    return Shape(model_type, 2, 64, 128, 2, 2, 32, 300, tied=True, quantized=quantized)


@pytest.mark.parametrize(("chip", "native"), CHIPS.items())
def test_auto_takes_what_the_chip_computes_natively(chip, native):
    found = resolve("auto", chip)
    assert (found.held, found.computed, str(found)) == (native, native, native)


@pytest.mark.parametrize("model_type", ["gemma2", "gemma3_text"])
def test_a_gemma_whose_states_pass_the_largest_float16_gets_bfloat16_on_an_m1(model_type):
    auto, four = (resolve(wanted, "Apple M1", shape(model_type)) for wanted in ("auto", "q4"))
    assert auto.held == auto.computed == four.computed == "bfloat16"
    assert model_type in auto.why
    assert resolve("auto", "Apple M1", shape("gemma")).computed == "float16"


def test_what_the_base_holds_quantized_stays_so():
    for wanted in ("auto", "float32", "q4"):
        found = resolve(wanted, "CPU", shape("llama", quantized=True))
        assert (found.held, str(found)) == ("stored", "its own quantization computed in float32")


def test_a_cpu_computes_float32_whatever_is_held():
    assert [resolve(wanted, "CPU").computed for wanted in ("float16", "bfloat16", "q8", "q4")] == ["float32"] * 4
    assert str(resolve("q4", "CPU")) == "q4 computed in float32"


def test_a_gpu_computes_in_what_is_asked_for_and_quantized_in_its_own_type():
    assert [str(resolve(wanted, "CUDA")) for wanted in ("float32", "float16", "q8")] == [
        "float32",
        "float16",
        "q8 computed in bfloat16",
    ]
