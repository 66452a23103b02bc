"""What Ollama's store holds is read as the model that it is, trained in its own format, and exported so that every
engine reads the same.
"""

import json

import numpy as np
import pytest
from corpus import texts
from embedded import check_tokens, compare, llama_cpp
from store_blobs import BLOBS, TOOLS, reference, write_blob

from jessyfile.errors import ModelError
from jessyfile.export.gguf_writer import write_gguf
from jessyfile.language.recipe import Message
from jessyfile.models.from_gguf import checked_gguf, convert_gguf
from jessyfile.models.gguf_container import ARRAY, BOOL, F32, STRING, U32
from jessyfile.models.gguf_reader import read_gguf
from jessyfile.models.tokenizer import load_tokenizer
from jessyfile.models.weights import Weights

TEXTS = texts(55)
ASKED = ["selam", "Merhaba dünya, napıyon?", "low 1\nkankam", "日本 🤽"]
BEGINS = {"qwen2.5:0.5b": False, "qwen3:0.6b": False}
SAME = ("rms_norm_eps", "rope_theta", "head_dim", "vocab_size", "tie_word_embeddings", "max_position_embeddings")


def silent(*_):
    pass


def converted(tmp_path, name, **changes):
    path = write_blob(tmp_path / "blob.gguf", name, **changes)
    folder = tmp_path / "base"
    folder.mkdir()
    return folder, convert_gguf(path, folder)


@pytest.mark.parametrize("name", BLOBS)
def test_a_stores_blob_is_the_model_that_its_folder_is(name, tmp_path):
    """Gemma 3 was trained with a rope base of 10,000 instead of a million, Llama 3 without its first token, and
    gemma:2b's turn tokens came out as letters."""
    folder, form = converted(tmp_path, name)
    own = reference(tmp_path / "reference", name)
    config, meant = (json.loads((path / "config.json").read_text()) for path in (folder, own))
    assert {key: config[key] for key in SAME} == {key: meant[key] for key in SAME}
    scaling = config.get("rope_scaling") or {}
    assert {key: scaling.get(key) for key in meant.get("rope_scaling") or {}} == (meant.get("rope_scaling") or {})
    for tensor in Weights(own).names:
        np.testing.assert_allclose(Weights(folder).read(tensor), Weights(own).read(tensor), atol=1e-6)
    tokenizer, expected = load_tokenizer(folder), load_tokenizer(own)
    chat = form.render([Message("user", "selam"), Message("assistant", "se"), Message("user", "la")])
    assert [tokenizer.encode(text) for text in [*TEXTS, chat]] == [expected.encode(text) for text in [*TEXTS, chat]]
    assert (tokenizer.bos is not None) == BEGINS.get(name, True)
    assert all(tokenizer.encode(token) == [tokenizer.id_of(token)] for token in form.turn_tokens if token != "</s>")


@pytest.mark.parametrize("name", BLOBS)
def test_what_is_exported_of_a_stores_blob_is_served_as_it_was_trained(name, tmp_path):
    """The base's own keys went out as they had come: llama.cpp could not load a Gemma 3, and Ollama asked by the base's
    template instead of the one that was trained."""
    folder, form = converted(tmp_path, name)
    write_gguf(folder, tmp_path / "model.gguf", "f32", silent)
    keys = read_gguf(tmp_path / "model.gguf").metadata
    assert keys["tokenizer.chat_template"] == form.jinja(bos=BEGINS.get(name, True))
    assert len(keys["tokenizer.ggml.tokens"]) == Weights(folder).config["vocab_size"]
    assert keys["tokenizer.ggml.add_bos_token"] is BEGINS.get(name, True)
    assert not [key for key in keys if ".vision." in key or ".mm." in key or key == "gemma3.final_logit_softcapping"]
    chat = form.render([Message("user", "selam"), Message("assistant", "se"), Message("user", "la")])
    with llama_cpp(tmp_path / "model.gguf") as engine:
        check_tokens(folder, engine.tokenize, [*TEXTS, chat])
        parity = compare(folder, engine.ask, [*ASKED, chat])
    assert parity.agreement == 1.0
    assert parity.divergence < 1e-3, parity
    again = tmp_path / "again"
    again.mkdir()
    convert_gguf(tmp_path / "model.gguf", again)
    assert (again / "tokenizer.json").read_bytes() == (folder / "tokenizer.json").read_bytes()


def test_the_first_ggufs_of_llama_3_split_words_as_llama_3_does(tmp_path):
    """They were made before the key that says how, and llama.cpp's default splits numbers and signs otherwise."""
    folder, _ = converted(tmp_path, "llama3.2:1b", without=("tokenizer.ggml.pre",))
    own = reference(tmp_path / "reference", "llama3.2:1b")
    assert load_tokenizer(folder).encode("a1234 !?") == load_tokenizer(own).encode("a1234 !?")
    assert load_tokenizer(folder).bos is not None


def test_what_the_file_says_itself_is_kept(tmp_path):
    """Only what is missing is filled in: a yarn scaling, a rope base, a wish for no first token stay."""
    own = (
        ("gemma3.rope.freq_base", F32, 50000.0),
        ("gemma3.context_length", U32, 131072),
        ("gemma3.rope.scaling.type", STRING, "none"),
        ("tokenizer.ggml.add_bos_token", BOOL, False),
        ("tokenizer.ggml.add_space_prefix", BOOL, True),
    )
    folder, _ = converted(tmp_path, "gemma3:1b", with_=own)
    config = json.loads((folder / "config.json").read_text())
    assert config["rope_theta"] == 50000.0
    assert not config.get("rope_scaling")
    assert load_tokenizer(folder).bos is None
    assert "Prepend" in (folder / "tokenizer.json").read_text()


@pytest.mark.parametrize(
    ("with_", "says"),
    [
        ((("tokenizer.ggml.tokens", ARRAY, ["a", "b"]),), "2 tokens, and embeddings for"),
        ((("gemma3.attention.sliding_window_pattern", ARRAY, [1, 0, 1, 0, 1, 0]),), "another order"),
        ((("gemma3.rope.global.freq_base", STRING, "a million"),), "no number"),
        ((("gemma3.context_length", STRING, "long"),), "no count"),
        (
            (("tokenizer.ggml.model", STRING, "gpt2"), ("tokenizer.ggml.pre", STRING, "kimi-k2")),
            "splits words by 'kimi-k2'",
        ),
        ((("tokenizer.ggml.model", STRING, "bert"),), "kind 'bert'"),
    ],
)
def test_what_cannot_be_put_right_is_refused_by_name(with_, says, tmp_path):
    path = write_blob(tmp_path / "blob.gguf", "gemma3:1b", with_=with_)
    with pytest.raises(ModelError, match=says):
        checked_gguf(path)


def test_a_tensor_that_nothing_reads_is_refused(tmp_path):
    """It was dropped without a word, from the training and from the exported GGUF."""
    path = write_blob(tmp_path / "blob.gguf", "gemma3:4b")
    path.write_bytes(path.read_bytes().replace(b"mm.mm_input_projection", b"blk.0.ffn_gate_experts"))
    with pytest.raises(ModelError, match="ffn_gate_experts"):
        checked_gguf(path)


def test_an_end_token_behind_the_prompt_is_not_exported(tmp_path):
    folder, _ = converted(tmp_path, "gemma2:2b", with_=(("tokenizer.ggml.add_eos_token", BOOL, True),))
    write_gguf(folder, tmp_path / "model.gguf", "f32", silent)
    assert read_gguf(tmp_path / "model.gguf").metadata["tokenizer.ggml.add_eos_token"] is False
    assert TOOLS not in (folder / "tokenizer_config.json").read_text()
