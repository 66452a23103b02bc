"""Doubles of what Ollama's store holds: keys, token types and oddities as published, tiny random weights.

Sources are named at each; what no source shows follows from the converter of its time.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import tiny

from jessyfile.export.gguf_writer import permuted
from jessyfile.models.architectures import ARCHITECTURES
from jessyfile.models.gguf_container import ARRAY, BOOL, F32, STRING, U32, OutTensor, Pair, pair_bytes, write_container
from jessyfile.models.rope import LLAMA3_DEFAULTS, llama3_factors

NORMAL, UNKNOWN, CONTROL, BYTE = 1, 2, 3, 6
TOOLS = "{{- bos_token }}{%- if tools %}{{- tools | tojson }}{%- endif %}{%- if thinking %}<think>{%- endif %}"
LLAMA3_SPECIAL = ["<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"]
LLAMA32_SCALING = {**LLAMA3_DEFAULTS, "factor": 32.0}


@dataclass(frozen=True)
class Blob:
    """One entry of the store: its architecture, its own keys, and what of its vocabulary is odd."""

    model_type: str
    keys: tuple[Pair, ...]
    changes: dict = field(default_factory=dict)
    special: tuple[str, ...] = ()  # of a byte-level vocabulary
    ordinary: tuple[str, ...] = ()  # special tokens that the file types as ordinary
    appended: tuple[str, ...] = ()  # tokens without a row
    vision: bool = False
    omitted: tuple[str, ...] = ()


def _spm(*more: Pair) -> tuple[Pair, ...]:
    return (
        ("tokenizer.ggml.model", STRING, "llama"),
        ("tokenizer.ggml.bos_token_id", U32, 2),
        ("tokenizer.ggml.eos_token_id", U32, 1),
        ("tokenizer.ggml.padding_token_id", U32, 0),
        ("tokenizer.ggml.unknown_token_id", U32, 3),
        *more,
    )


# the flags that Ollama's own converter wrote with every vocabulary (a log of gemma3:4b in llama.cpp's issue 12367)
_BY_OLLAMA = (
    ("tokenizer.ggml.pre", STRING, "default"),
    ("tokenizer.ggml.add_bos_token", BOOL, True),
    ("tokenizer.ggml.add_eos_token", BOOL, False),
    ("tokenizer.ggml.add_padding_token", BOOL, False),
    ("tokenizer.ggml.add_unknown_token", BOOL, False),
)
# ollama show --json of gemma3:1b, kept in the repository attogram/ollama-bash-lib
_GEMMA3 = (
    ("gemma3.attention.sliding_window", U32, 512),
    ("gemma3.rope.global.freq_base", F32, 1e6),
    ("gemma3.rope.local.freq_base", F32, 1e4),
    *_spm(*_BY_OLLAMA),
)
BLOBS = {
    # Google's first GGUF (the page of the blob c1864a5eb193; the same counts in Ollama's issue 1756)
    "gemma:2b": Blob("gemma", _spm(), ordinary=("<start_of_turn>", "<end_of_turn>")),
    # from before the rope key was renamed
    "gemma3:270m": Blob("gemma3_text", _GEMMA3, appended=("<image_soft_token>",)),
    "gemma3:1b": Blob(
        "gemma3_text",
        (*_GEMMA3, ("gemma3.final_logit_softcapping", F32, 30.0)),
        appended=("<image_soft_token>",),
    ),
    # logs in ipex-llm's issue 12963 and llama.cpp's 12367
    "gemma3:4b": Blob(
        "gemma3_text",
        (
            ("gemma3.attention.sliding_window", U32, 1024),
            ("gemma3.mm.tokens_per_image", U32, 256),
            ("gemma3.vision.attention.head_count", U32, 16),
            ("gemma3.vision.attention.layer_norm_epsilon", F32, 1e-6),
            ("gemma3.vision.block_count", U32, 27),
            ("gemma3.vision.embedding_length", U32, 1152),
            ("gemma3.vision.feed_forward_length", U32, 4304),
            ("gemma3.vision.image_size", U32, 896),
            ("gemma3.vision.num_channels", U32, 3),
            ("gemma3.vision.patch_size", U32, 14),
            *_spm(*_BY_OLLAMA, ("tokenizer.chat_template", STRING, "{{ bos_token }}{{ messages }}")),
        ),
        changes={"max_position_embeddings": 131072, "rope_scaling": {"rope_type": "linear", "factor": 8.0}},
        appended=("<image_soft_token>",),
        vision=True,
        omitted=("gemma3.attention.layer_norm_rms_epsilon",),
    ),
    # converted by llama.cpp (logs of the 9b and 27b in Ollama's issues 5634 and 5821)
    "gemma2:2b": Blob(
        "gemma2",
        (
            ("gemma2.attention.sliding_window", U32, 4096),
            ("gemma2.attn_logit_softcapping", F32, 50.0),
            ("gemma2.final_logit_softcapping", F32, 30.0),
            *_spm(
                ("tokenizer.ggml.pre", STRING, "default"),
                ("tokenizer.ggml.add_bos_token", BOOL, True),
                ("tokenizer.ggml.add_eos_token", BOOL, False),
                ("tokenizer.ggml.add_space_prefix", BOOL, False),
                ("tokenizer.chat_template", STRING, "{{ bos_token }}{% for m in messages %}{{ m }}{% endfor %}"),
            ),
        ),
    ),
    # a log in Ollama's issue 12887: no add_bos_token, Meta's template with tools
    "llama3.2:1b": Blob(
        "llama",
        (
            ("llama.rope.freq_base", F32, 500000.0),
            ("llama.rope.dimension_count", U32, tiny.HEAD_DIM),
            ("tokenizer.ggml.model", STRING, "gpt2"),
            ("tokenizer.ggml.pre", STRING, "llama-bpe"),
            ("tokenizer.chat_template", STRING, TOOLS),
        ),
        changes={"rope_theta": 500000.0, "rope_scaling": LLAMA32_SCALING, "max_position_embeddings": 131072},
        special=tuple(LLAMA3_SPECIAL),
    ),
    # qwen2.5 and qwen3: converted by llama.cpp and by Ollama; the template knows tools (the log of Ollama's pull request 16031)
    "qwen2.5:0.5b": Blob(
        "qwen2",
        (
            ("qwen2.rope.freq_base", F32, 1e6),
            ("tokenizer.ggml.model", STRING, "gpt2"),
            ("tokenizer.ggml.pre", STRING, "qwen2"),
            ("tokenizer.ggml.add_bos_token", BOOL, False),
            ("tokenizer.chat_template", STRING, TOOLS),
        ),
        changes={"rope_theta": 1e6},
        special=tuple(tiny.BYTE_SPECIAL),
    ),
    "qwen3:0.6b": Blob(
        "qwen3",
        (
            ("qwen3.rope.freq_base", F32, 1e6),
            ("tokenizer.ggml.model", STRING, "gpt2"),
            ("tokenizer.ggml.pre", STRING, "qwen2"),
            ("tokenizer.ggml.add_bos_token", BOOL, False),
            ("tokenizer.chat_template", STRING, TOOLS),
        ),
        changes={"rope_theta": 1e6},
        special=tuple(tiny.BYTE_SPECIAL),
    ),
    # Mistral 7B Instruct v0.3: SentencePiece, the turn tokens are control tokens, its own output matrix
    "mistral:7b": Blob(
        "llama",
        (
            ("llama.rope.freq_base", F32, 1e6),
            ("llama.rope.dimension_count", U32, tiny.HEAD_DIM),
            *_spm(
                ("tokenizer.ggml.pre", STRING, "default"),
                ("tokenizer.ggml.add_bos_token", BOOL, True),
                ("tokenizer.ggml.add_eos_token", BOOL, False),
                ("tokenizer.chat_template", STRING, TOOLS),
            ),
        ),
        changes={"rope_theta": 1e6, "tie_word_embeddings": False},
    ),
}


def write_blob(path: Path, name: str, without: tuple[str, ...] = (), with_: tuple[Pair, ...] = ()) -> Path:
    """Write the double of a store's blob, some keys left out or other."""
    blob = BLOBS[name]
    document = _document(blob, name)
    config = {**tiny._config(blob.model_type, len(document["model"]["vocab"])), **blob.changes}
    pairs = {key: (key, kind, value) for key, kind, value in (*_counts(blob, config), *blob.keys)}
    pairs |= {key: (key, kind, value) for key, kind, value in (*_vocabulary(blob, document), *with_)}
    kept = [pair_bytes(*pair) for key, pair in pairs.items() if key not in (*without, *blob.omitted)]
    write_container(path, kept, list(_tensors(blob, config)))
    return path


def reference(folder: Path, name: str) -> Path:
    """Write the same model as a folder: what the blob means."""
    blob = BLOBS[name]
    return tiny.tiny_model(folder, blob.model_type, tokenizer=_document(blob, name), **blob.changes)


def _document(blob: Blob, name: str) -> dict:
    if blob.special:
        return tiny.byte_level_tokenizer(list(blob.special), "llama-bpe" if name.startswith("llama") else "qwen2")
    document = tiny.spm_tokenizer()
    if name.startswith("mistral"):  # no Gemma's turn tokens
        text = json.dumps(document)
        return json.loads(text.replace("<start_of_turn>", "[TOOL_CALLS]").replace("<end_of_turn>", "[TOOL_RESULTS]"))
    return document


def _counts(blob: Blob, config: dict) -> Iterator[Pair]:
    word = ARCHITECTURES[blob.model_type].gguf
    yield from (("general.architecture", STRING, word), ("general.file_type", U32, 0))
    counts = {
        "context_length": config["max_position_embeddings"],
        "embedding_length": tiny.HIDDEN,
        "block_count": config["num_hidden_layers"],
        "feed_forward_length": tiny.WIDE,
        "attention.head_count": tiny.HEADS,
        "attention.head_count_kv": tiny.KV_HEADS,
        "attention.key_length": config["head_dim"],
        "attention.value_length": config["head_dim"],
    }
    yield from ((f"{word}.{key}", U32, number) for key, number in counts.items())
    yield f"{word}.attention.layer_norm_rms_epsilon", F32, 1e-6


def _vocabulary(blob: Blob, document: dict) -> Iterator[Pair]:
    model = document["model"]
    vocab = list(model["vocab"])
    control = {token["content"] for token in document["added_tokens"]} - set(blob.ordinary)
    kinds = [CONTROL if token in control else BYTE if token.startswith("<0x") else NORMAL for token in vocab]
    if not blob.special:
        kinds[vocab.index("<unk>")] = UNKNOWN
    yield "tokenizer.ggml.tokens", ARRAY, [*vocab, *blob.appended]
    yield "tokenizer.ggml.token_type", ARRAY, [*kinds, *(CONTROL for _ in blob.appended)]
    joined = ["".join(merge) for merge in model["merges"]]
    if blob.special:
        yield "tokenizer.ggml.merges", ARRAY, [" ".join(merge) for merge in model["merges"]]
        yield "tokenizer.ggml.bos_token_id", U32, model["vocab"][blob.special[0]]
        yield "tokenizer.ggml.eos_token_id", U32, model["vocab"][blob.special[-1]]
        return
    ranks = {token: -float(rank) for rank, token in reversed(list(enumerate(joined)))}
    yield "tokenizer.ggml.scores", ARRAY, [ranks.get(token, -1e6) for token in [*vocab, *blob.appended]]


def _tensors(blob: Blob, config: dict) -> Iterator[OutTensor]:
    architecture = ARCHITECTURES[blob.model_type]
    arrays = {}
    if "llama3" in str(config.get("rope_scaling")):
        arrays["rope_freqs.weight"] = llama3_factors(config["rope_scaling"], config["rope_theta"], config["head_dim"])
    for source, array in tiny.weights(config, 0).items():
        name = architecture.gguf_name(source)
        heads = architecture.heads_of(name, config)
        shifted = array + 1 if architecture.norm_shift and architecture.is_norm(name) else array
        arrays[name] = permuted(shifted, heads) if heads else shifted
    if blob.vision:
        arrays |= {"v.blk.0.attn_q.weight": np.ones((8, 8)), "mm.mm_input_projection.weight": np.ones((8, 8))}
    for name, array in arrays.items():
        data = np.ascontiguousarray(array, dtype=np.float32)
        yield OutTensor(name, data.shape, 0, data.nbytes, lambda data=data: iter([data]))
