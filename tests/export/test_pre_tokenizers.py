"""Token ids equal llama.cpp's for every way to split words that jessy knows."""

import json
import random
from functools import cache

import pytest
import tiny
from embedded import llama_cpp

from jessyfile.errors import ModelError
from jessyfile.export.gguf_writer import write_gguf
from jessyfile.models.from_gguf import convert_gguf
from jessyfile.models.pre_tokenizers import PRE_TOKENIZERS, pre_tokenizer, splitting_name
from jessyfile.models.tokenizer import load_tokenizer

SCRIPTS = {
    "latin": "abcçdğıİöşüßéñ ABCÇĞŞ",
    "cyrillic and greek": "абвгдёжЖЩЭ αβγδΩΣς",
    "arabic and hebrew": "ابتثجحخدَُِ שלוםאב",
    "devanagari": "अआइकखगघङिीुू्ं",
    "chinese, japanese and korean": "中文字日本語ひらがなカタカナ한국어",
}
COMMON = " \n\t\r.,!?'\"-_/()[]{}<>|$^~`+=@#%&*:;\\012345678901234567890٣५Ⅷ½ \u3000 \U0001f938\u200d♂️€™…。，、"
PIECES = (
    "'s",
    "'LL",
    "'ve",
    "\r\n",
    "\n\n",
    "   ",
    "1234567",
    "camelCase",
    "HTTPServer",
    "don't",
    "/a/b//",
    "a1b22c333",
)


@cache
def texts(count=60):
    """Runs of a script's letters between signs, digits and blanks, from a fixed seed."""
    chance = random.Random(7)
    found = []
    for number in range(count):
        letters = list(SCRIPTS.values())[number % len(SCRIPTS)]
        parts = [_run(chance, letters) for _ in range(chance.randint(3, 14))]
        found.append("".join(parts).strip("\0"))
    return found


def _run(chance, letters):
    kind = chance.random()
    if kind < 0.15:
        return chance.choice(PIECES)
    source = letters if kind < 0.65 else COMMON
    return "".join(chance.choice(source) for _ in range(chance.randint(1, 6)))


@cache
def vocabulary():
    """Merges learned without any splitting: they reach over blanks, digits and signs, so that every cut shows."""
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    trained = Tokenizer(models.BPE())
    trained.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=1500, initial_alphabet=alphabet, show_progress=False)
    trained.train_from_iterator([*texts(), *PIECES], trainer)
    return json.loads(trained.to_str())["model"]


def document(rule):
    stage = {"type": "Split", "behavior": "Isolated", "invert": False}
    stages = [{**stage, "pattern": {"Regex": expression}} for expression in rule.published or rule.expressions]
    level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False, "use_regex": False}
    made = tiny.byte_level_tokenizer()
    learned = vocabulary()
    vocab = {**learned["vocab"]}
    for token in tiny.BYTE_SPECIAL:
        vocab[token] = len(vocab)
    made["model"] |= {"vocab": vocab, "merges": learned["merges"], "ignore_merges": rule.ignore_merges}
    made["added_tokens"] = tiny._added(tiny.BYTE_SPECIAL, len(learned["vocab"]))
    made["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": [*stages, level]}
    made["normalizer"] = None
    return made


@pytest.mark.parametrize("name", PRE_TOKENIZERS)
def test_token_ids_equal_llama_cpps(name, tmp_path, monkeypatch):
    """A SmolLM2 was refused, a Mistral with tekken as well, and `default` was taken for GPT-2's way to split."""
    rule = PRE_TOKENIZERS[name]
    folder = tiny.tiny_model(tmp_path / "model", "qwen2", tokenizer=document(rule))
    monkeypatch.setattr("jessyfile.export.gguf_tokenizer.splitting_name", lambda document: name)
    write_gguf(folder, tmp_path / "model.gguf", "f32", lambda *_: None)
    (tmp_path / "base").mkdir()
    convert_gguf(tmp_path / "model.gguf", tmp_path / "base")
    tokenizer = load_tokenizer(tmp_path / "base")
    with llama_cpp(tmp_path / "model.gguf") as engine:
        wrong = [text for text in texts() if engine.tokenize(text) != tokenizer.encode(text)]
    assert not wrong


@pytest.mark.parametrize("name", PRE_TOKENIZERS)
def test_a_published_tokenizer_gets_the_name_of_its_rule(name):
    rule = PRE_TOKENIZERS[name]
    found = PRE_TOKENIZERS[splitting_name(document(rule))]
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
