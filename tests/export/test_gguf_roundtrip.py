"""A GGUF holds what the folder holds, and llama.cpp computes from it what MLX computes from the folder."""

import json

import numpy as np
import pytest
from embedded import check_tokens, compare, llama_cpp
from safetensors.numpy import load_file, save_file
from tiny import TYPES, byte_level_tokenizer, multimodal_model, tiny_model

from jessyfile.errors import ExportError
from jessyfile.export.gguf_writer import write_gguf
from jessyfile.export.tensor_types import FILE_TYPES
from jessyfile.language.recipe import Message
from jessyfile.models.chat_format import MISTRAL_V7
from jessyfile.models.from_folder import bring_folder
from jessyfile.models.from_gguf import convert_gguf, dequantized
from jessyfile.models.gguf_reader import read_gguf
from jessyfile.models.pre_tokenizers import PRE_TOKENIZERS
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
        parity = compare(folder, engine.ask, TEXTS[:4])
    assert parity.agreement == 1.0
    assert parity.divergence < 1e-3, parity


def test_a_wrong_permutation_is_noticed(tmp_path):
    """The comparison above can fail: a llama file whose q and k are in Hugging Face's order diverges."""
    folder = tiny_model(tmp_path / "model", "llama")
    write_gguf(folder, tmp_path / "model.gguf", "f32", silent)
    other = tiny_model(tmp_path / "other", "llama", seed=5)
    with llama_cpp(tmp_path / "model.gguf") as engine:
        parity = compare(other, engine.ask, TEXTS[:2])
    assert parity.divergence > 0.1


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


@pytest.mark.parametrize("quantize", FILE_TYPES)
def test_every_type_is_written_and_loaded_by_llama_cpp(quantize, tmp_path):
    folder = tiny_model(tmp_path / "model")
    written = write_gguf(folder, tmp_path / "model.gguf", quantize, silent)
    assert written.worst_nmse < 0.1
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
        assert compare(folder, engine.ask, TEXTS[:2]).divergence < 1e-3
    (tmp_path / "again").mkdir()
    convert_gguf(tmp_path / "model.gguf", tmp_path / "again")
    assert Weights(tmp_path / "again").config["rope_local_base_freq"] == 300.0


def both_ways(folder, tmp_path):
    """Yield a folder with its GGUF, and the folder made from that GGUF with the GGUF made from it."""
    first, second, again = tmp_path / "first.gguf", tmp_path / "second.gguf", tmp_path / "again"
    brought = tmp_path / "brought"
    brought.mkdir()
    bring_folder(folder, brought, silent)
    write_gguf(brought, first, "f32", silent)
    yield brought, first
    again.mkdir()
    convert_gguf(first, again)
    write_gguf(again, second, "f32", silent)
    yield again, second


YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 128}
LINEAR = {"rope_type": "linear", "factor": 4.0}
LONG = {"type": "longrope", "short_factor": [1 + n / 10 for n in range(6)], "long_factor": [2.0 + n for n in range(6)]}
STRETCHED = {"partial_rotary_factor": 0.75, "max_position_embeddings": 4096}
KINDS = {
    "llama, linear": ("llama", {"rope_scaling": LINEAR}),
    "llama, yarn": ("llama", {"rope_scaling": YARN}),
    "gemma3, yarn": ("gemma3_text", {"rope_scaling": YARN}),
    "phi3, in part": ("phi3", {"partial_rotary_factor": 0.75}),
    "phi3, longrope": ("phi3", {"rope_scaling": LONG, "original_max_position_embeddings": 256, **STRETCHED}),
    "phi3, as transformers 5 says it": (
        "phi3",
        {
            "rope_theta": None, "max_position_embeddings": 4096,
            "rope_parameters": {**LONG, "rope_type": "longrope", "rope_theta": 5e4, "partial_rotary_factor": 0.75,
                                "original_max_position_embeddings": 256},
        },
    ),
    "gemma3, a head of its own": ("gemma3_text", {"tie_word_embeddings": False}),
    "llama, biases": ("llama", {"attention_bias": True, "mlp_bias": True}),
}  # fmt: skip


# the others are held by their parts here, and by `make stress`
QUICK = ("llama, yarn", "llama, biases", "phi3, longrope", "gemma3, a head of its own")


@pytest.mark.parametrize("kind", [pytest.param(one, marks=() if one in QUICK else pytest.mark.stress) for one in KINDS])
def test_every_kind_of_rope_head_and_bias_is_served_as_it_is_trained(kind, tmp_path):
    """Phi's mini models turn three quarters of a head, by factors that mlx-lm takes from the list for long contexts."""
    model_type, numbers = KINDS[kind]
    folder = tiny_model(tmp_path / "model", model_type, **numbers)
    for made, file in both_ways(folder, tmp_path):
        with llama_cpp(file) as engine:
            parity = compare(made, engine.ask, [*TEXTS[:2], "se la " * 30])
        assert (parity.agreement, parity.divergence < 1e-4) == (1.0, True), parity


def test_a_stretched_context_is_served_up_to_the_one_that_is_trained(tmp_path):
    """Beyond it llama.cpp takes other factors, for every token of the context."""
    folder = tiny_model(tmp_path / "model", "phi3", **KINDS["phi3, longrope"][1])
    for _, file in both_ways(folder, tmp_path):
        found = read_gguf(file)
        assert found.metadata["phi3.context_length"] == 256
        assert found.metadata["phi3.rope.scaling.attn_factor"] == pytest.approx(1.5**0.5)
        short, long = (found.stored(found.tensors[f"rope_factors_{end}.weight"]) for end in ("short", "long"))
        np.testing.assert_array_equal(short, long)


def test_the_text_of_a_gemma_3_that_reads_images_is_served_as_it_is_trained(tmp_path):
    """Its rope is stretched by eight in the layers that see the whole context, and in those alone."""
    folder, _ = multimodal_model(tmp_path / "model")
    for made, file in both_ways(folder, tmp_path):
        keys = read_gguf(file).metadata
        assert (keys["gemma3.rope.scaling.type"], keys["gemma3.rope.scaling.factor"]) == ("linear", 8.0)
        assert not [key for key in keys if "vision" in key]
        with llama_cpp(file) as engine:
            parity = compare(made, engine.ask, [*TEXTS[:2], "se la " * 30])
        assert (parity.agreement, parity.divergence < 1e-4) == (1.0, True), parity


def test_a_mistral_with_tekken_is_read_from_its_folder(tmp_path):
    """Nemo and Small: a head wider than its share, byte-level words, and no blanks in the format; the text of a Small that
    reads images as well."""
    special = ["<s>", "</s>", "[INST]", "[/INST]", "[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]"]
    document = byte_level_tokenizer(special, "tekken")
    document["pre_tokenizer"]["pretokenizers"][0]["pattern"] = {"Regex": PRE_TOKENIZERS["tekken"].published[0]}
    folder = tiny_model(tmp_path / "model", "mistral", tokenizer=document, tie_word_embeddings=False)
    settings = {"bos_token": "<s>", "eos_token": "</s>", "add_bos_token": True}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    inner = json.loads((folder / "config.json").read_text())
    outer = {"model_type": "mistral3", "architectures": ["Mistral3ForConditionalGeneration"], "text_config": inner}
    (folder / "config.json").write_text(json.dumps(outer))
    arrays = {f"language_model.{name}": array for name, array in load_file(folder / "model.safetensors").items()}
    save_file(arrays, folder / "model.safetensors")
    form = MISTRAL_V7
    chat = form.render([Message("user", "HTTPServer'dan don't 1234"), Message("assistant", "se")], "Kısa konuş.")
    for made, file in both_ways(folder, tmp_path):
        keys = read_gguf(file).metadata
        assert (keys["tokenizer.ggml.pre"], keys["general.architecture"]) == ("tekken", "llama")
        assert keys["tokenizer.chat_template"] == form.jinja()
        with llama_cpp(file) as engine:
            check_tokens(made, engine.tokenize, [*TEXTS[:5], chat])
            parity = compare(made, engine.ask, [*TEXTS[:4], chat])
        assert (parity.agreement, parity.divergence < 1e-4) == (1.0, True), parity


def test_no_name_makes_llama_cpp_read_tokens_otherwise(tmp_path):
    """By "phi-3" in a model's name alone, llama.cpp lets special tokens take the blanks behind them."""
    folder = tiny_model(tmp_path / "model", "phi3")
    (folder / "source.json").write_text(json.dumps({"from": "hf:some/Phi-3-mini"}))
    text = "<start_of_turn> \n se"
    for made, file in both_ways(folder, tmp_path):
        assert "phi-3" not in read_gguf(file).metadata["general.name"].lower()
        with llama_cpp(file) as engine:
            check_tokens(made, engine.tokenize, [text])


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
        assert compare(folder, engine.ask, TEXTS[:2]).divergence < 1e-3
