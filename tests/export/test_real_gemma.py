"""The real Gemma 3 270M through the whole export: package, MLX folder, GGUF, llama.cpp."""

import json

import pytest
from corpus import texts
from embedded import check_tokens, compare, llama_cpp

from jessyfile.export.gguf_writer import write_gguf
from jessyfile.parity.limits import limit_of

pytestmark = [pytest.mark.real, pytest.mark.slow]
PROMPTS = [
    "The capital of Turkey is",
    "Rust'ta ownership demek",
    "<start_of_turn>user\nsana bisi sorucam<end_of_turn>\n<start_of_turn>model\n",
]


@pytest.fixture
def base(real_base):
    source = json.loads((real_base / "source.json").read_text("utf-8"))
    assert (source["from"], source["parameters"]) == ("gemma3:270m-pt", 268_098_176)
    return real_base


@pytest.mark.parametrize("quantize", ["f16", "q8_0"])
def test_llama_cpp_says_what_mlx_says(quantize, base, tmp_path):
    """Token ids equal in five scripts, emoji and code; the next tokens agree after every prompt."""
    write_gguf(base, tmp_path / "model.gguf", quantize, lambda *_: None)
    with llama_cpp(tmp_path / "model.gguf") as engine:
        check_tokens(base, engine.tokenize, texts(1000 if quantize == "f16" else 60))
        parity = compare(base, engine.ask, PROMPTS)
    limit = limit_of(quantize)
    assert (parity.agreement >= limit.agreement, parity.divergence <= limit.divergence) == (True, True), parity
    if quantize == "f16":
        assert parity.agreement == 1.0
        assert parity.divergence < 1e-4
