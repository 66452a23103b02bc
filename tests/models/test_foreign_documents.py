"""Values of a kind or size that no reader expects are refused where they are read, by the plan: no library meets them."""

import json
import time

import pytest
from store_blobs import write_blob
from tiny import tiny_model
from world import recipe

from jessyfile.models.base_checks import base_preflight
from jessyfile.models.gguf_container import ARRAY, F32, STRING, U32
from jessyfile.models.tokenizer import load_tokenizer
from jessyfile.planning.preflight import Outlook


def planned(root, base):
    """Return what the plan refuses a base with."""
    asked = recipe(root, base=base)
    asked.source = lambda _address: None
    (finding,) = base_preflight(Outlook(asked, root, {"base"}))
    assert finding.severity == "error"
    assert finding.help
    return finding.message


def changed(root, path, value, kind="llama"):
    """Write a model whose tokenizer.json has another value at a path."""
    place = tiny_model(root / "model", kind) / "tokenizer.json"
    document = json.loads(place.read_text())
    inner = document
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    place.write_text(json.dumps(document))
    return root / "model"


BOMB = {"Regex": "(a+)+$"}
SPLIT = {"type": "Split", "pattern": BOMB, "behavior": "Isolated", "invert": False}


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        (("normalizer",), {"type": "Lowercase"}, "at normalizer.type: invalid value 'Lowercase'"),
        (("normalizer",), {"type": "Replace", "pattern": BOMB, "content": ""}, "at normalizer.pattern"),
        (("decoder",), {"type": "Replace", "pattern": BOMB, "content": ""}, "at decoder.pattern"),
        (("post_processor",), {"type": "BertProcessing", "sep": ["a", 0], "cls": ["a", 0]}, "at post_processor.type"),
        (("model", "dropout"), 0.5, "at model.dropout"),
        (("model", "continuing_subword_prefix"), "##", "at model.continuing_subword_prefix"),
        (("model", "end_of_word_suffix"), "</w>", "at model.end_of_word_suffix"),
        (("model", "vocab", "s"), -1, "at model.vocab[...]: expected `int` >= 0"),
        (("model", "vocab", "s"), 2**40, "at model.vocab[...]: expected `int` <="),
        (("model", "vocab", "s"), 3, "two tokens have the same number"),
        (("model", "merges", 0), ["z", "q9"], "joins 'z' and 'q9'"),
        (("model", "merges", 0), "s e", "merges are written in two ways"),
        (("added_tokens", 0, "id"), 7, "'<pad>' has the number 7, and is read as 0"),
        (("added_tokens", 0, "content"), "new", "'new' has the number 0, and is read as 35"),
        (("added_tokens", 0, "special"), "yes", "at added_tokens[0].special"),
        (("more",), {}, "unknown field `more`"),
    ],
)
def test_what_no_engine_does_in_a_tokenizer_json_is_refused(path, value, says, tmp_path):
    """A prefix of parts of words made the tokenizers library panic, which no `except Exception` sees; a nested expression took hours;
    a tokenizer that lowers its letters trained on other tokens than every engine sees."""
    changed(tmp_path, path, value)
    assert says in planned(tmp_path, "./model")


def test_texts_are_tokenized_whole_whatever_the_file_says_of_truncation(tmp_path):
    """Rows were cut to the length that somebody's script had saved; with a stride above it the library panicked."""
    cut = {"max_length": 2, "strategy": "LongestFirst", "stride": 5, "direction": "Right"}
    folder = changed(tmp_path, ("truncation",), cut)
    assert load_tokenizer(folder).decode(load_tokenizer(folder).encode("merhaba")) == "merhaba"


def test_texts_get_no_padding_whatever_the_file_says(tmp_path):
    padding = {"strategy": {"Fixed": 1 << 30}, "direction": "Right", "pad_to_multiple_of": None, "pad_id": 0, "pad_type_id": 0, "pad_token": "x"}  # fmt: skip
    assert len(load_tokenizer(changed(tmp_path, ("padding",), padding)).encode("merhaba")) < 10


@pytest.mark.parametrize("text", ['{"add_bos_token": "yes"}', '{"bos_token": 5}', "{,}"])
def test_a_malformed_tokenizer_config_is_told_by_the_plan(text, tmp_path):
    """It was read by the step for the first time, after the weights had been copied."""
    (tiny_model(tmp_path / "model") / "tokenizer_config.json").write_text(text)
    assert "tokenizer_config.json" in planned(tmp_path, "./model")


@pytest.mark.parametrize(
    ("name", "pair", "says"),
    [
        ("gemma:2b", ("tokenizer.ggml.bos_token_id", ARRAY, [1, 2]), "no token's number"),
        ("gemma:2b", ("tokenizer.ggml.padding_token_id", STRING, "0"), "no token's number"),
        ("gemma:2b", ("tokenizer.ggml.add_bos_token", ARRAY, [1, 0]), "neither true nor false"),
        ("gemma:2b", ("tokenizer.ggml.add_space_prefix", STRING, "yes"), "neither true nor false"),
        ("gemma:2b", ("split.count", ARRAY, [1, 2]), "split.count"),
        ("gemma:2b", ("gemma.expert_count", ARRAY, [1, 2]), "no count under 'gemma.expert_count'"),
        ("gemma:2b", ("gemma.attention.layer_norm_rms_epsilon", F32, float("nan")), "no number above 0"),
        ("gemma:2b", ("gemma.rope.freq_base", F32, -1.0), "no number above 0"),
        ("gemma:2b", ("gemma.rope.scaling.type", ARRAY, [1, 2]), "no text"),
        ("gemma:2b", ("tokenizer.ggml.scores", STRING, "1"), "no list of numbers"),
        ("gemma:2b", ("tokenizer.ggml.token_type", ARRAY, [1, 2]), "2 token types"),
        ("gemma3:1b", ("gemma3.block_count", U32, 2**31 - 1), "no count under 'gemma3.block_count'"),
        ("gemma3:1b", ("gemma3.attention.sliding_window_pattern", STRING, "6"), "layers"),
        ("gemma3:1b", ("gemma3.attention.sliding_window_pattern", U32, 0), "no count under"),
        ("qwen3:0.6b", ("tokenizer.ggml.merges", ARRAY, ["s"]), "a merge of 's' and ''"),
        ("qwen3:0.6b", ("tokenizer.ggml.merges", ARRAY, [1, 2]), "no list of texts"),
    ],
)
def test_a_key_of_another_kind_is_refused_by_the_plan(name, pair, says, tmp_path):
    """A list where one number belongs ended as "the truth value of an array is ambiguous", a bug in jessy; two thousand million layers
    became a list of as many flags."""
    write_blob(tmp_path / "model.gguf", name, with_=(pair,))
    started = time.process_time()
    assert says in planned(tmp_path, "./model.gguf")
    assert time.process_time() - started < 2


def test_scores_that_are_no_numbers_are_refused_by_the_plan(tmp_path):
    """NaN has no place in an order: the merges came out in any."""
    path = write_blob(tmp_path / "model.gguf", "gemma:2b")
    from jessyfile.models.gguf_reader import read_gguf

    scores = read_gguf(path).metadata["tokenizer.ggml.scores"].tolist()
    write_blob(path, "gemma:2b", with_=(("tokenizer.ggml.scores", ARRAY, [*scores[:-1], float("nan")]),))
    assert "scores" in planned(tmp_path, "./model.gguf")


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ({"model_file": "evil.py"}, "code of its own"),
        ({"quantize_activations": True}, "quantizes its activations"),
        ({"hidden_act": "x" * 3000}, "the activation 'xxx"),
    ],
)
def test_a_config_that_asks_for_more_than_is_done_is_refused_by_the_plan(setting, says, tmp_path):
    tiny_model(tmp_path / "model", "llama", **setting)
    message = planned(tmp_path, "./model")
    assert says in message
    assert len(message) < 500


def test_an_index_that_names_a_file_of_an_impossible_name_is_refused_by_the_plan(tmp_path):
    """The system said that the name was too long, which ended as a bug in jessy."""
    folder = tiny_model(tmp_path / "model", "llama")
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": "x" * 3000}}))
    assert "index names `xxx" in planned(tmp_path, "./model")
