"""A GGUF holds what the folder holds, and llama.cpp computes from it what MLX computes from the folder."""

import json

import numpy as np
import pytest
from embedded import check_tokens, llama_cpp
from tiny import TYPES, tiny_model

from jessyfile.errors import ExportError
from jessyfile.export.gguf_writer import QUANTIZATIONS, write_gguf
from jessyfile.export.parity import compare
from jessyfile.models.from_gguf import convert_gguf, dequantized
from jessyfile.models.gguf_reader import read_gguf
from jessyfile.models.weights import Weights

TEXTS = [
    "selam",
    "Merhaba dünya, napıyon?",
    " İyiyim  knk",
    "low 1\nkankam",
    "日本 🤽",
    "<start_of_turn>user\nse<end_of_turn>",
]


def silent(*_):
    pass


@pytest.mark.parametrize("model_type", TYPES)
def test_llama_cpp_computes_what_mlx_computes(model_type, tmp_path):
    """Norm shifts, permutation, rope, soft caps and tokenizer are right for every architecture."""
    folder = tiny_model(tmp_path / "model", model_type)
    write_gguf(folder, tmp_path / "model.gguf", "f32", silent)
    with llama_cpp(tmp_path / "model.gguf") as engine:
        check_tokens(folder, engine.tokenize, TEXTS)
        parity = compare(folder, engine.ask, TEXTS[:4], steps=2)
    assert parity.agreement == 1.0
    assert parity.divergence < 1e-3, parity.facts()


def test_a_wrong_permutation_is_noticed(tmp_path):
    """The comparison above can fail: a llama file whose q and k are in Hugging Face's order diverges."""
    folder = tiny_model(tmp_path / "model", "llama")
    write_gguf(folder, tmp_path / "model.gguf", "f32", silent)
    other = tiny_model(tmp_path / "other", "llama", seed=5)
    with llama_cpp(tmp_path / "model.gguf") as engine:
        parity = compare(other, engine.ask, TEXTS[:2], steps=1)
    with pytest.raises(ExportError, match="differs from the trained one"):
        parity.require("f32")


@pytest.mark.parametrize("model_type", TYPES)
def test_a_gguf_read_and_written_untouched_gives_back_every_tensor(model_type, tmp_path):
    folder = tiny_model(tmp_path / "model", model_type)
    write_gguf(folder, tmp_path / "first.gguf", "f32", silent)
    (tmp_path / "again").mkdir()
    convert_gguf(tmp_path / "first.gguf", tmp_path / "again")
    write_gguf(tmp_path / "again", tmp_path / "second.gguf", "f32", silent)
    first, second = read_gguf(tmp_path / "first.gguf"), read_gguf(tmp_path / "second.gguf")
    assert list(first.tensors) == list(second.tensors)
    for name, tensor in first.tensors.items():
        np.testing.assert_allclose(dequantized(second, second.tensors[name]), dequantized(first, tensor), atol=2e-7)


def test_the_bases_own_keys_are_kept_byte_for_byte(tmp_path):
    """The tokenizer that llama.cpp reads is the base's, not our idea of it."""
    folder = tiny_model(tmp_path / "model")
    write_gguf(folder, tmp_path / "first.gguf", "f32", silent)
    (tmp_path / "again").mkdir()
    convert_gguf(tmp_path / "first.gguf", tmp_path / "again")
    write_gguf(tmp_path / "again", tmp_path / "second.gguf", "q8_0", silent)
    first, second = read_gguf(tmp_path / "first.gguf").raw, read_gguf(tmp_path / "second.gguf").raw
    assert {key for key in first if first[key] != second.get(key)} == {"general.file_type"}


@pytest.mark.parametrize("model_type", TYPES)
def test_the_file_tells_other_programs_the_format_that_was_trained(model_type, tmp_path):
    """llama-server asked a Gemma that came as a folder in ChatML: its GGUF had no chat template. And the base's own
    must not stay: Ollama prefers one that knows tools to the TEMPLATE it is given."""
    folder = tiny_model(tmp_path / "model", model_type)
    (folder / "chat_template.jinja").write_text("{% if tools %}{{ tools }}{% endif %}")
    write_gguf(folder, tmp_path / "model.gguf", "f32", silent)
    template = read_gguf(tmp_path / "model.gguf").metadata["tokenizer.chat_template"]
    assert ("<|im_start|>" if model_type.startswith("qwen") else "<start_of_turn>") in template
    assert ("bos_token" in template) == (not model_type.startswith("qwen"))  # which begins with none
    assert "tools" not in template


def test_the_same_folder_gives_the_same_bytes(tmp_path):
    folder = tiny_model(tmp_path / "model", "qwen3")
    for name in ("a.gguf", "b.gguf"):
        write_gguf(folder, tmp_path / name, "q8_0", silent)
    assert (tmp_path / "a.gguf").read_bytes() == (tmp_path / "b.gguf").read_bytes()


@pytest.mark.parametrize("quantize", QUANTIZATIONS)
def test_every_type_is_written_and_loaded_by_llama_cpp(quantize, tmp_path):
    folder = tiny_model(tmp_path / "model")
    written = write_gguf(folder, tmp_path / "model.gguf", quantize, silent)
    assert written.worst_nmse <= QUANTIZATIONS[quantize][2]
    file = read_gguf(tmp_path / "model.gguf")
    assert {t.kind for n, t in file.tensors.items() if n.endswith("_norm.weight")} == {0}
    with llama_cpp(tmp_path / "model.gguf") as engine:
        assert len(engine.ask("selam", 5)) == 5


def test_rows_that_do_not_divide_into_blocks_become_f16(tmp_path):
    """A row of 96 numbers has three blocks of 32; one of 80 has none and must not be cut."""
    import tiny

    folder = tiny_model(tmp_path / "model", "llama", intermediate_size=80)
    config = json.loads((folder / "config.json").read_text())
    arrays = tiny.weights(config, 0)
    for layer in range(tiny.LAYERS):
        for name, cut in (("gate_proj", np.s_[:80]), ("up_proj", np.s_[:80]), ("down_proj", np.s_[:, :80])):
            key = f"model.layers.{layer}.mlp.{name}.weight"
            arrays[key] = np.ascontiguousarray(arrays[key][cut])
    tiny.save_file(arrays, folder / "model.safetensors")
    write_gguf(folder, tmp_path / "model.gguf", "q8_0", silent)
    kinds = {name: tensor.kind for name, tensor in read_gguf(tmp_path / "model.gguf").tensors.items()}
    assert kinds["blk.0.ffn_down.weight"] == 1
    assert kinds["blk.0.ffn_up.weight"] == 8


def test_an_unknown_tensor_is_named_instead_of_dropped(tmp_path):
    import tiny

    folder = tiny_model(tmp_path / "model", "llama")
    arrays = tiny.weights(json.loads((folder / "config.json").read_text()), 0)
    arrays["model.layers.0.self_attn.extra.weight"] = np.zeros((4, 4), np.float32)
    tiny.save_file(arrays, folder / "model.safetensors")
    with pytest.raises(ExportError, match="extra"):
        write_gguf(folder, tmp_path / "model.gguf", "f32", silent)
    assert not (tmp_path / "model.gguf").exists()


def test_the_local_rope_base_of_a_gemma_3_is_served_as_it_was_trained(tmp_path):
    """It was left out, and every engine took 10,000."""
    folder = tiny_model(tmp_path / "model", "gemma3_text", rope_local_base_freq=300.0)
    write_gguf(folder, tmp_path / "model.gguf", "f32", silent)
    with llama_cpp(tmp_path / "model.gguf") as engine:
        assert compare(folder, engine.ask, TEXTS[:2], steps=2).divergence < 1e-3
    (tmp_path / "again").mkdir()
    convert_gguf(tmp_path / "model.gguf", tmp_path / "again")
    assert Weights(tmp_path / "again").config["rope_local_base_freq"] == 300.0


def test_llama_3_rope_scaling_survives_both_ways(tmp_path):
    """Llama 3.1's rope scaling is four numbers in config.json and one tensor in GGUF."""
    scaling = {
        "rope_type": "llama3",
        "factor": 8.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 8192,
    }
    folder = tiny_model(tmp_path / "model", "llama", rope_scaling=scaling, rope_theta=500000.0)
    write_gguf(folder, tmp_path / "model.gguf", "f32", silent)
    (tmp_path / "again").mkdir()
    convert_gguf(tmp_path / "model.gguf", tmp_path / "again")
    found = Weights(tmp_path / "again").config["rope_scaling"]
    assert {key: found[key] for key in scaling} == scaling
    with llama_cpp(tmp_path / "model.gguf") as engine:
        assert compare(folder, engine.ask, TEXTS[:2], steps=2).divergence < 1e-3
