"""K-quants are made here: the types of llama.cpp, the bytes of ggml, the same on any number of cores."""

import json
from pathlib import Path

import msgspec._core
import numpy as np
import pytest
import tiny
from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType
from gguf.quants import dequantize
from tiny import tiny_model

from jessyfile.errors import ExportError, Interrupted
from jessyfile.export import ggml, gguf_writer
from jessyfile.export.gguf_writer import LIMITS, write_gguf
from jessyfile.export.tensor_types import FILE_TYPES, Kind, Mixture, forecast_bytes
from jessyfile.models.architectures import ARCHITECTURES
from jessyfile.models.gguf_reader import read_gguf
from jessyfile.models.shape import shape_of

# what llama-quantize of llama.cpp b10488 wrote of these models: the tensors that are not of the file's main type, by layer
WRITTEN = json.loads((Path(__file__).parent / "llama_quantize_types.json").read_text())
MODELS = {
    "gemma3, 640 wide": ("gemma3_text", 640, 512, {"num_hidden_layers": 18}),
    "llama, four queries a key": (
        "llama", 256, 512, {"num_hidden_layers": 17, "num_attention_heads": 8, "num_key_value_heads": 2},
    ),
    "qwen2, biases": ("qwen2", 256, 768, {"num_hidden_layers": 9, "head_dim": 64}),
    "phi3, fused": ("phi3", 256, 512, {"num_hidden_layers": 16, "head_dim": 64}),
    "llama, a head of its own": ("llama", 256, 256, {"num_hidden_layers": 8, "tie_word_embeddings": False}),
    "llama, 80 layers": ("llama", 256, 256, {"num_hidden_layers": 80}),
    "qwen3, 320 wide inside": ("qwen3", 256, 320, {"num_hidden_layers": 8}),
}  # fmt: skip
QUANTIZED = [name for name, (kind, _) in FILE_TYPES.items() if kind not in (Kind.F32, Kind.F16, Kind.BF16)]


def silent(*_):
    pass


@pytest.fixture
def wide(monkeypatch):
    """Models as wide as a block of the K-quants."""
    monkeypatch.setattr(tiny, "HIDDEN", 256)
    monkeypatch.setattr(tiny, "WIDE", 512)


def layers_of(runs: str) -> list[int]:
    """Read `0-2 5`: layers; -1 is a tensor outside them."""
    ends = [one.split("-") if one != "-1" else ["-1"] for one in runs.split()]
    return [layer for end in ends for layer in range(int(end[0]), int(end[-1]) + 1)]


@pytest.mark.parametrize("model", MODELS)
def test_every_tensor_gets_the_type_that_llama_quantize_gives_it(model):
    model_type, hidden, wide, more = MODELS[model]
    config = {**tiny._config(model_type, 512), "hidden_size": hidden, "intermediate_size": wide, **more}
    architecture = ARCHITECTURES[model_type]
    shapes = {architecture.gguf_name(name): shape for name, shape in architecture.shapes(config).items()}
    for quantize in QUANTIZED:
        mixture = Mixture.of(shape_of(config), quantize)
        expected = dict.fromkeys(shapes, FILE_TYPES[quantize][0])
        for part, kinds in WRITTEN[model][quantize].items():
            for kind, runs in kinds.items():
                for layer in layers_of(runs):
                    expected[part if layer < 0 else f"blk.{layer}.{part}"] = Kind[kind]
        found = {name: mixture.kind(name, shape) for name, shape in shapes.items()}
        assert found == {n: Kind.F32 if len(shapes[n]) == 1 else kind for n, kind in expected.items()}, quantize


def test_the_blocks_are_those_of_the_format():
    for kind in Kind:
        assert (kind.block, kind.nbytes(kind.block)) == GGML_QUANT_SIZES[GGMLQuantizationType(kind)]


@pytest.mark.parametrize("kind", Kind)
def test_another_reader_sees_the_numbers_that_are_compared(kind):
    """What is written is held against numbers computed back by ggml: they must be those that `gguf` reads."""
    values = (0.1 * np.random.default_rng(0).standard_normal((7, 512))).astype(np.float32)
    for importance in (None, np.linspace(0, 3, 512, dtype=np.float32)):
        data = ggml.packed(values, kind, importance)
        back = ggml.unpacked(data, kind, values.size).reshape(values.shape)
        np.testing.assert_array_equal(back, dequantize(data.reshape(7, -1), GGMLQuantizationType(kind)))
        assert np.vdot(back - values, back - values) <= LIMITS[kind] * np.vdot(values, values)


def test_rows_that_do_not_fit_never_reach_ggml():
    """It ends the process."""
    with pytest.raises(ValueError, match="rows of 320 numbers do not fit Q4_K"):
        ggml.packed(np.zeros((2, 320), np.float32), Kind.Q4_K)
    with pytest.raises(ValueError, match="do not fit"):
        ggml.packed(np.zeros((2, 512), np.float32), Kind.Q4_K, np.ones(256, np.float32))


@pytest.mark.parametrize("quantize", ["q4_k_m", "q3_k_s", "f16"])
def test_any_number_of_cores_writes_the_same_bytes(quantize, tmp_path, monkeypatch, wide):
    monkeypatch.setattr(gguf_writer, "_RUN", 1 << 12)  # many runs a tensor, heads not divided
    folder = tiny_model(tmp_path / "model", "llama")
    for cores in (1, 2, 5):
        monkeypatch.setattr(gguf_writer, "cores", lambda cores=cores: cores)
        write_gguf(folder, tmp_path / f"{cores}.gguf", quantize, silent)
    monkeypatch.setattr(gguf_writer, "_RUN", 1 << 20)
    write_gguf(folder, tmp_path / "whole.gguf", quantize, silent)
    assert len({path.read_bytes() for path in tmp_path.glob("*.gguf")}) == 1


def test_a_file_is_about_as_large_as_was_forecast(tmp_path, wide):
    """4 bits were forecast as 10 sixteenths of a number's 16, where the embeddings alone had 8 and more."""
    folder = tiny_model(tmp_path / "model", "qwen3")
    shape = shape_of(json.loads((folder / "config.json").read_text()))
    for quantize in FILE_TYPES:
        write_gguf(folder, tmp_path / "model.gguf", quantize, silent)
        tensors = read_gguf(tmp_path / "model.gguf").tensors.values()
        matrices = sum(tensor.nbytes for tensor in tensors if len(tensor.shape) == 2)
        assert forecast_bytes(shape, quantize) == matrices


def test_a_stop_while_weights_are_written_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(gguf_writer, "_RUN", 1 << 10)
    folder, told = tiny_model(tmp_path / "model"), []

    def report(*words):
        told.append(words)
        if len(told) == 20:
            raise Interrupted("stopped")

    with pytest.raises(Interrupted):
        write_gguf(folder, tmp_path / "out" / "model.gguf", "q4_k_m", report)
    assert list((tmp_path / "out").iterdir()) == []


def test_weights_that_overflow_are_named(tmp_path):
    folder = tiny_model(tmp_path / "model")
    arrays = tiny.weights(json.loads((folder / "config.json").read_text()), 0)
    name = "model.layers.1.mlp.up_proj.weight"
    for number, quantize, what in ((7e4, "f16", "error of inf"), (np.nan, "q4_k_m", "not finite")):
        arrays[name][3, 5] = number
        tiny.save_file(arrays, folder / "model.safetensors")
        with pytest.raises(ExportError, match=what) as caught:
            write_gguf(folder, tmp_path / "model.gguf", quantize, silent)
        assert "blk.1.ffn_up.weight" in caught.value.message
        assert not (tmp_path / "model.gguf").exists()


def test_bytes_that_changed_on_the_disk_are_noticed(tmp_path, monkeypatch):
    folder, write = tiny_model(tmp_path / "model"), gguf_writer.write_container

    def write_and_spoil(path, keys, tensors):
        write(path, keys, tensors)
        data = bytearray(path.read_bytes())
        data[-100] ^= 1
        path.write_bytes(data)

    monkeypatch.setattr(gguf_writer, "write_container", write_and_spoil)
    with pytest.raises(ExportError, match=r"does not hold 'blk\."):
        write_gguf(folder, tmp_path / "model.gguf", "q8_0", silent)


@pytest.mark.parametrize(
    ("path", "what"),
    [(None, "is not installed"), (Path(msgspec._core.__file__), "does not give its ggml_quantize_chunk")],
)
def test_an_engine_without_the_functions_is_named_before_a_byte_is_read(path, what, tmp_path, monkeypatch):
    monkeypatch.setattr(ggml, "library_path", lambda: path)
    ggml.library.cache_clear()
    with pytest.raises(ExportError, match=what):
        write_gguf(tmp_path, tmp_path / "model.gguf", "q8_0", silent)
