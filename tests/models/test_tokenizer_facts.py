"""What is read of a tokenizer without building it is what the built one says."""

import json

import pytest
from tiny import tiny_model

from jessyfile.errors import ModelError
from jessyfile.models.model_json import strict_json
from jessyfile.models.tokenizer import load_tokenizer
from jessyfile.models.tokenizer_facts import document_ids, tokenizer_document, tokenizer_facts


@pytest.mark.parametrize("kind", ["llama", "gemma3_text", "qwen3"])
@pytest.mark.parametrize("wish", [True, False, None])
def test_the_facts_are_the_librarys(tmp_path, kind, wish):
    folder = tiny_model(tmp_path / "model", kind)
    path = folder / "tokenizer_config.json"
    config = {**json.loads(path.read_text("utf-8")), "add_bos_token": wish}
    path.write_text(json.dumps({key: value for key, value in config.items() if value is not None}), "utf-8")
    built, facts = load_tokenizer(folder), tokenizer_facts(folder, document_ids(tokenizer_document(folder)))
    assert facts.begins == (built.bos is not None)
    assert dict(facts.ids) == {token: built.id_of(token) for token in built.pieces()}
    assert facts.special("eos_token") == built.eos


def test_one_wrong_merge_among_right_ones_is_named(tmp_path):
    folder = tiny_model(tmp_path / "model", "qwen3")
    path = folder / "tokenizer.json"
    document = json.loads(path.read_text("utf-8"))
    document["model"]["merges"].append(["a", "no such piece"])
    path.write_text(json.dumps(document), "utf-8")
    with pytest.raises(ModelError, match="no such piece"):
        tokenizer_document(folder)


def test_half_a_surrogate_pair_is_told_from_its_spelling():
    assert strict_json(rb'["\\ud800", "\ud83d\ude00"]') == ["\\ud800", "\U0001f600"]
    with pytest.raises(ValueError, match="surrogate"):
        strict_json(rb'["\uDfff"]')


@pytest.mark.parametrize("depth", [64, 65])
def test_nesting_is_counted(depth):
    text = b"[" * depth + b"1" + b"]" * depth
    if depth == 64:
        strict_json(text)
    else:
        with pytest.raises(RecursionError):
            strict_json(text)
