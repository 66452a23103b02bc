"""What a training holds, known from the base's shape alone."""

from training_fakes import LORA

from jessyfile.language.recipe import Lora
from jessyfile.models.precision import resolve
from jessyfile.models.shape import shape_of
from jessyfile.training.footprint import adapter_size, base_bytes, footprint, loading_bytes

GEMMA_270M = {
    "model_type": "gemma3_text", "vocab_size": 262144, "hidden_size": 640, "num_hidden_layers": 18, "head_dim": 256,
    "intermediate_size": 2048, "num_attention_heads": 4, "num_key_value_heads": 1, "tie_word_embeddings": True,
}  # fmt: skip


def test_the_published_sizes_of_gemma_270m():
    shape = shape_of(GEMMA_270M)
    numbers = base_bytes(shape, resolve("float32", "CPU")) / 4
    assert abs(numbers / 268_098_176 - 1) < 1e-3  # its parameters
    assert base_bytes(shape, resolve("bfloat16", "CPU")) == 2 * numbers
    eight, four = (base_bytes(shape, resolve(wanted, "CUDA")) / numbers for wanted in ("q8", "q4"))
    assert eight == 8.5 / 8
    assert 4.5 / 8 < four < eight  # the embeddings stay at eight bits


def test_adapter_and_optimizer_are_float32_whatever_the_base_is():
    shape = shape_of(GEMMA_270M)
    lora = Lora(16, 32, 0.0, ("q_proj", "down_proj"), 10)
    assert adapter_size(shape, lora) == 10 * 16 * ((640 + 1024) + (2048 + 640))
    found = footprint(shape, resolve("q4", "CUDA"), lora)
    assert (found.adapter, found.optimizer) == (4 * adapter_size(shape, lora), 8 * adapter_size(shape, lora))
    assert found.total == found.base + found.adapter + found.optimizer


def test_a_width_that_has_no_whole_groups_stays_as_the_base_computes():
    shape = shape_of({**GEMMA_270M, "hidden_size": 96, "num_hidden_layers": 1})
    widths = sum(inner * outer for inner, outer in (*shape.linear.values(), *shape.matrices) if inner == 96)
    whole = sum(inner * outer for inner, outer in shape.linear.values() if inner != 96)
    assert base_bytes(shape, resolve("q8", "CUDA")) == 2 * widths + whole * 8.5 / 8


def test_a_head_of_its_own_counts():
    tied, untied = (shape_of({**GEMMA_270M, "tie_word_embeddings": one}) for one in (True, False))
    precision = resolve("float32", "CPU")
    assert base_bytes(untied, precision) - base_bytes(tied, precision) == 4 * 262144 * 640
    assert footprint(tied, precision, LORA).base == base_bytes(tied, precision)


def test_loading_takes_the_largest_matrix_once_more_where_its_type_changes():
    """A base of 4 bits with a large vocabulary peaked while it was loaded: 0.93 GB, and 0.86 in training."""
    tied, untied = (shape_of({**GEMMA_270M, "tie_word_embeddings": one}) for one in (True, False))
    numbers = 262144 * 640
    four = resolve("q4", "CPU")
    assert loading_bytes(tied, four, 4) == numbers * 4 + numbers * (8 + 1) // 8
    assert loading_bytes(untied, four, 2) == numbers * (2 + 4) + base_bytes(untied, four)
    assert loading_bytes(tied, resolve("float32", "CPU"), 4) == 0
    assert loading_bytes(tied, resolve("bfloat16", "CUDA"), 2) == 0
    assert loading_bytes(tied, resolve("auto", "CPU", shape_of({**GEMMA_270M, "quantization": {"bits": 4}})), 1) == 0
