"""Token ids equal llama.cpp's for every way to split words that jessy knows."""

import doubles
import pytest
import tiny
from corpus import texts
from embedded import llama_cpp

from jessyfile.errors import ModelError
from jessyfile.export.gguf_writer import write_gguf
from jessyfile.models.from_gguf import convert_gguf
from jessyfile.models.pre_tokenizers import PRE_TOKENIZERS, pre_tokenizer, splitting_name
from jessyfile.models.tokenizer import load_tokenizer


def document(name):
    return doubles.byte_level(tiny.BYTE_SPECIAL, name)


TEXTS = texts(66)


@pytest.mark.parametrize("name", PRE_TOKENIZERS)
def test_token_ids_equal_llama_cpps(name, tmp_path, monkeypatch):
    """A SmolLM2 was refused, a Mistral with tekken as well, and `default` was taken for GPT-2's way to split."""
    folder = tiny.tiny_model(tmp_path / "model", "qwen2", tokenizer=document(name))
    monkeypatch.setattr("jessyfile.export.gguf_tokenizer.splitting_name", lambda document: name)
    write_gguf(folder, tmp_path / "model.gguf", "f32", lambda *_: None)
    (tmp_path / "base").mkdir()
    convert_gguf(tmp_path / "model.gguf", tmp_path / "base")
    tokenizer = load_tokenizer(tmp_path / "base")
    with llama_cpp(tmp_path / "model.gguf") as engine:
        wrong = [text for text in TEXTS if engine.tokenize(text) != tokenizer.encode(text)]
    assert not wrong


@pytest.mark.parametrize("name", PRE_TOKENIZERS)
def test_a_published_tokenizer_gets_the_name_of_its_rule(name):
    rule = PRE_TOKENIZERS[name]
    found = PRE_TOKENIZERS[splitting_name(document(name))]
    assert (found.expressions, found.ignore_merges) == (rule.expressions, rule.ignore_merges)


def test_single_digits_before_gpt_2s_way_are_smollms():
    """They were called gpt-2, under which llama.cpp takes a whole number as one word."""
    made = tiny.byte_level_tokenizer()
    digits, level = {"type": "Digits", "individual_digits": True}, {"type": "ByteLevel", "use_regex": True}
    made["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": [digits, level]}
    assert splitting_name(made) == "smollm"


@pytest.mark.parametrize(
    "stage",
    [
        {"type": "Punctuation", "behavior": "Isolated"},
        {"type": "Split", "pattern": {"Regex": r"\w+"}, "behavior": "Isolated"},
        {"type": "Split", "pattern": {"Regex": r"\s+"}, "behavior": "Removed", "invert": False},
    ],
)
def test_another_way_to_split_has_no_name(stage):
    made = tiny.byte_level_tokenizer()
    made["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": [stage, {"type": "ByteLevel", "use_regex": True}]}
    with pytest.raises(ModelError, match="no known name"):
        splitting_name(made)


def test_an_unknown_name_is_told():
    with pytest.raises(ModelError, match=r"`a\.gguf` splits words by 'kimi-k2'"):
        pre_tokenizer("kimi-k2", "a.gguf")
