"""Doubles of published models: the structure, configuration and kind of vocabulary of each, small random weights.

Vocabularies are learned from the corpus without splitting it, so that their merges reach over blanks, digits and signs and every
wrong cut shows in the ids.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import tiny
from corpus import texts

from jessyfile.models.pre_tokenizers import PRE_TOKENIZERS
from jessyfile.models.rope import LLAMA3_DEFAULTS

LLAMA3 = ["<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"]
CHATML = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
GEMMA = ["<pad>", "<eos>", "<bos>", "<unk>", "<start_of_turn>", "<end_of_turn>"]
RUNS = ("▁▁", "▁▁▁", "\n\n")  # tokens of their own in Gemma's vocabularies, found in a text only where it is written so
MISTRAL = ["<unk>", "<s>", "</s>", "[INST]", "[/INST]"]
SMOLLM3 = ["<|begin_of_text|>", "<|im_start|>", "<|im_end|>", "<think>", "</think>"]
PHI = ["<|endoftext|>", "<|user|>", "<|assistant|>", "<|system|>", "<|end|>"]
REPLACE = {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}
PREPEND = {"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "▁"}, REPLACE]}
METASPACE = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": False}
_SIZE = 1500


@cache
def learned(alphabet: tuple[str, ...]) -> dict:
    """Return a BPE model over bytes, or over letters where an alphabet is given; read it, never change it."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

    trained = Tokenizer(models.BPE())
    if alphabet:
        trained.normalizer = normalizers.Replace(" ", "▁")
        trainer = trainers.BpeTrainer(vocab_size=_SIZE, limit_alphabet=300, show_progress=False)
    else:
        trained.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
        letters = pre_tokenizers.ByteLevel.alphabet()
        trainer = trainers.BpeTrainer(vocab_size=_SIZE, initial_alphabet=letters, show_progress=False)
    trained.train_from_iterator(texts(300), trainer)
    return json.loads(trained.to_str())["model"]


def byte_level(special: list[str], pre: str, stages: list[dict] | None = None, normalizer: dict | None = None) -> dict:
    """Return a byte-level tokenizer.json that splits as `pre` does, spelled as it is published."""
    rule, model = PRE_TOKENIZERS[pre], learned(())
    document = tiny.byte_level_tokenizer(special)
    vocab = {**model["vocab"]}
    document["added_tokens"] = tiny._added(special, len(vocab))
    vocab |= {token: len(vocab) + number for number, token in enumerate(special)}
    split = {"type": "Split", "behavior": "Isolated", "invert": False}
    level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False, "use_regex": False}
    published = [{**split, "pattern": {"Regex": one}} for one in rule.published or rule.expressions]
    document["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": stages or [*published, level]}
    document["model"] |= {"vocab": vocab, "merges": model["merges"], "ignore_merges": rule.ignore_merges}
    return {**document, "normalizer": normalizer}


def sentencepiece(
    special: list[str], normalizer: dict | None, pre: dict | None = None, runs: tuple[str, ...] = (), **flags: bool
) -> dict:
    """Return a tokenizer.json as those that are made from a SentencePiece model; runs of blanks are user-defined tokens."""
    model, document = learned(("▁",)), tiny.spm_tokenizer()
    tokens = dict.fromkeys([*special, *(f"<0x{byte:02X}>" for byte in range(256)), *runs, *model["vocab"]])
    added = [*tiny._added(special), *({**one, "special": False} for one in tiny._added(list(runs), len(special) + 256))]
    document["added_tokens"] = [{**token, **flags} for token in added]
    document["model"] |= {"vocab": {token: number for number, token in enumerate(tokens)}, "merges": model["merges"]}
    return {**document, "normalizer": normalizer, "pre_tokenizer": pre}


@dataclass(frozen=True)
class Double:
    """One model: its type, its tokenizer.json, its BOS and EOS, the published template, and what its config says besides."""

    model_type: str
    tokenizer: Callable[[], dict]
    ends: tuple[str | None, str]
    template: str
    changes: dict = field(default_factory=dict)


_NFC = {"type": "NFC"}
_DIGITS = [
    {"type": "Digits", "individual_digits": True},
    {"type": "ByteLevel", "use_regex": True, "add_prefix_space": False, "trim_offsets": True},
]
_OF_GEMMA = ("<bos>", "<eos>")
_OF_CHATML = (None, "<|im_end|>")
_LLAMA32 = {
    "rope_theta": 500000.0,
    "rope_scaling": {**LLAMA3_DEFAULTS, "factor": 32.0},
    "max_position_embeddings": 131072,
}
DOUBLES = {
    "Gemma": Double("gemma", lambda: sentencepiece(GEMMA, REPLACE, runs=RUNS), _OF_GEMMA, "gemma"),
    "Gemma 2": Double("gemma2", lambda: sentencepiece(GEMMA, REPLACE, runs=RUNS), _OF_GEMMA, "gemma"),
    "Gemma 3, text": Double("gemma3_text", lambda: sentencepiece(GEMMA, REPLACE, runs=RUNS), _OF_GEMMA, "gemma3"),
    "Llama 3.2": Double("llama", lambda: byte_level(LLAMA3, "llama-bpe"), ("<|begin_of_text|>", "<|eot_id|>"), "llama3.2", _LLAMA32),
    "SmolLM2": Double("llama", lambda: byte_level(CHATML, "smollm", _DIGITS), ("<|im_start|>", "<|im_end|>"), "smollm2"),
    "Mistral 0.3": Double(
        "mistral", lambda: sentencepiece(MISTRAL, None, METASPACE), ("<s>", "</s>"), "mistral-v0.3",
        {"rope_theta": 1e6, "tie_word_embeddings": False},
    ),
    "Mistral with tekken": Double(
        "mistral", lambda: byte_level(MISTRAL, "tekken"), ("<s>", "</s>"), "mistral-nemo",
        {"rope_theta": 1e6, "tie_word_embeddings": False},
    ),
    "Qwen2.5": Double("qwen2", lambda: byte_level(CHATML, "qwen2", normalizer=_NFC), _OF_CHATML, "qwen2.5", {"rope_theta": 1e6}),
    "Qwen3": Double("qwen3", lambda: byte_level(CHATML, "qwen2", normalizer=_NFC), _OF_CHATML, "qwen3", {"rope_theta": 1e6}),
    "SmolLM3": Double("smollm3", lambda: byte_level(SMOLLM3, "llama-bpe"), _OF_CHATML, "smollm3", {"rope_theta": 5e6}),
    "Phi-3.5-mini": Double(
        "phi3", lambda: sentencepiece([*MISTRAL[:3], *PHI], PREPEND, rstrip=True), (None, "<|end|>"), "phi3",
        {"tie_word_embeddings": False},
    ),
    "Phi-4-mini": Double(
        "phi3", lambda: byte_level(PHI, "gpt-4o"), (None, "<|end|>"), "phi4-mini", {"partial_rotary_factor": 0.75},
    ),
}  # fmt: skip


def write_double(folder: Path, name: str) -> Path:
    """Write the model folder of a double."""
    return put_double(folder, DOUBLES[name])


def put_double(folder: Path, double: Double) -> Path:
    """Write a double's model folder."""
    document = double.tokenizer()
    tokens = len({*document["model"]["vocab"], *(token["content"] for token in document["added_tokens"])})
    tiny.tiny_model(folder, double.model_type, tokenizer=document, vocab_size=tokens, **double.changes)
    bos, eos = double.ends
    settings = {"bos_token": bos, "eos_token": eos, "add_bos_token": bos in ("<bos>", "<s>", "<|begin_of_text|>")}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    return folder


def write_multimodal(folder: Path) -> Path:
    """Write Gemma 3 4B's double: its tokens without a number get small ones, for a gradient through them is too large."""
    from safetensors.numpy import load_file, save_file

    path = tiny.multimodal_model(folder)[0] / "model.safetensors"
    arrays = load_file(path)
    rows = arrays["language_model.model.embed_tokens.weight"]
    rows[~rows.any(axis=1)] = 0.01
    save_file(arrays, path, metadata={"format": "mlx"})
    return folder
