"""Doubles of what Ollama's store holds: keys, token types and oddities as published, small random weights.

Each names its source. What a source does not show follows from the converter of its time, and is said so.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import tiny
from doubles import (
    CHATML,
    DOUBLES,
    GEMMA,
    MISTRAL,
    PREPEND,
    REPLACE,
    Double,
    byte_level,
    put_double,
    sentencepiece,
)

from jessyfile.export.gguf_writer import permuted
from jessyfile.models.architectures import ARCHITECTURES
from jessyfile.models.gguf_container import ARRAY, BOOL, F32, STRING, U32, OutTensor, Pair, pair_bytes, write_container
from jessyfile.models.rope import llama3_factors

NORMAL, UNKNOWN, CONTROL, USER, BYTE = 1, 2, 3, 4, 6
TOOLS = "{{- bos_token }}{%- if tools %}{{- tools | tojson }}{%- endif %}{%- if thinking %}<think>{%- endif %}"
PLAIN = "{{ bos_token }}{% for message in messages %}{{ message['content'] }}{% endfor %}"
Value = str | bool | int | float
_KINDS = {str: STRING, bool: BOOL, int: U32, float: F32}


@dataclass(frozen=True)
class Blob:
    """One entry of the store: the model that it means, the keys that are its own, and what of its tokens is odd."""

    double: Double
    keys: Mapping[str, Value]
    ids: Mapping[str, str]
    types: Mapping[str, int]
    appended: tuple[str, ...] = ()  # user-defined tokens without a row
    vision: bool = False
    epsilon: float | None = 1e-6

    @property
    def template(self) -> str:
        """Return the name of the template that its authors published."""
        return self.double.template


# <mask> is an ordinary token, as in the tokenizer.model that the converters read
_GEMMA_TOKENS = [*GEMMA[:4], "<mask>", *GEMMA[4:]]
_GEMMA_TYPES = {"<unk>": UNKNOWN, "<mask>": NORMAL}
_GEMMA_IDS = {"bos": "<bos>", "eos": "<eos>", "padding": "<pad>", "unknown": "<unk>"}
_ORDINARY_TURNS = {"<start_of_turn>": NORMAL, "<end_of_turn>": NORMAL}
_CHATML_IDS = {"bos": "<|endoftext|>", "eos": "<|im_end|>", "padding": "<|endoftext|>"}
_HTML = {"</s>": NORMAL}  # an ordinary token of Qwen's, which llama.cpp takes for a control token all the same
# the flags that Ollama's own converter writes with every vocabulary
_BY_OLLAMA = {
    "tokenizer.ggml.pre": "default",
    "tokenizer.ggml.add_bos_token": True,
    "tokenizer.ggml.add_eos_token": False,
    "tokenizer.ggml.add_padding_token": False,
    "tokenizer.ggml.add_unknown_token": False,
}
_GEMMA3 = {
    "gemma3.attention.sliding_window": 512,
    "gemma3.rope.global.freq_base": 1e6,
    "gemma3.rope.local.freq_base": 1e4,
    **_BY_OLLAMA,
}
_VISION = {
    "attention.head_count": 16, "attention.layer_norm_epsilon": 1e-6, "block_count": 27, "embedding_length": 1152,
    "feed_forward_length": 4304, "image_size": 896, "num_channels": 3, "patch_size": 14,
}  # fmt: skip
_SCALED = {"max_position_embeddings": 131072, "rope_scaling": {"rope_type": "linear", "factor": 8.0}}


def _gemma(name: str, **changes: object) -> Double:
    return replace(DOUBLES[name], tokenizer=lambda: sentencepiece(_GEMMA_TOKENS, REPLACE), changes=changes)


def _qwen(word: str) -> Mapping[str, Value]:
    return {f"{word}.rope.freq_base": 1e6, "tokenizer.ggml.pre": "qwen2", "tokenizer.ggml.add_bos_token": False,
            "tokenizer.chat_template": TOOLS}  # fmt: skip


BLOBS = {
    # Google's first GGUF: the log of this blob in Ollama's issue 1756. 256,128 tokens of the types 3, 3, 3, 2, 1, 1, ...; no
    # `pre`, no flag at all. That turn tokens are among the ordinary ones follows from <mask>, which is.
    "gemma:2b": Blob(_gemma("Gemma"), {}, _GEMMA_IDS, {**_GEMMA_TYPES, **_ORDINARY_TURNS}),
    # not seen; it was made before the rope key was renamed in December 2025, so it should hold what gemma3:1b holds
    "gemma3:270m": Blob(_gemma("Gemma 3, text"), _GEMMA3, _GEMMA_IDS, _GEMMA_TYPES, appended=("<image_soft_token>",)),
    # `ollama show` of it, kept in the repository attogram/ollama-bash-lib; token types from gemma3:4b
    "gemma3:1b": Blob(
        _gemma("Gemma 3, text"), {**_GEMMA3, "gemma3.final_logit_softcapping": 30.0}, _GEMMA_IDS, _GEMMA_TYPES,
        appended=("<image_soft_token>",),
    ),
    # logs in ipex-llm's issue 12963 (262,145 tokens: 5 control, 1 unknown, 1 user-defined, 256 bytes; no epsilon), in llama.cpp's
    # 12367 and in Ollama's 10243 (neither rope base)
    "gemma3:4b": Blob(
        _gemma("Gemma 3, text", **_SCALED),
        {
            "gemma3.attention.sliding_window": 1024, "gemma3.mm.tokens_per_image": 256,
            **{f"gemma3.vision.{key}": value for key, value in _VISION.items()},
            **_BY_OLLAMA, "tokenizer.chat_template": PLAIN,
        },
        _GEMMA_IDS, _GEMMA_TYPES, appended=("<image_soft_token>",), vision=True, epsilon=None,
    ),
    # converted by llama.cpp: logs of the 9b and 27b in Ollama's issues 5634 and 5821, 256,000 tokens of the types 3, 3, 3, 3, ...
    "gemma2:2b": Blob(
        _gemma("Gemma 2"),
        {
            "gemma2.attention.sliding_window": 4096, "gemma2.attn_logit_softcapping": 50.0,
            "gemma2.final_logit_softcapping": 30.0, "tokenizer.ggml.pre": "default", "tokenizer.ggml.add_bos_token": True,
            "tokenizer.ggml.add_eos_token": False, "tokenizer.ggml.add_space_prefix": False, "tokenizer.chat_template": PLAIN,
        },
        _GEMMA_IDS, {},
    ),
    # the logs in Ollama's issues 8200 and 12887: 30 keys, no add_bos_token, Meta's template with tools
    "llama3.2:1b": Blob(
        DOUBLES["Llama 3.2"],
        {
            "llama.rope.freq_base": 500000.0, "llama.rope.dimension_count": tiny.HEAD_DIM, "tokenizer.ggml.pre": "llama-bpe",
            "tokenizer.chat_template": TOOLS,
        },
        {"bos": "<|begin_of_text|>", "eos": "<|eot_id|>"}, {}, epsilon=1e-5,
    ),
    # a log in Ollama's issue 9031; the order and values of its keys in 7373
    "qwen2.5:0.5b": Blob(
        replace(DOUBLES["Qwen2.5"], tokenizer=lambda: byte_level([*CHATML, "</s>"], "qwen2")), _qwen("qwen2"), _CHATML_IDS, _HTML
    ),
    # logs in Ollama's issues 10476 and 10503, and in its pull request 16031 for the template
    "qwen3:0.6b": Blob(
        replace(DOUBLES["Qwen3"], tokenizer=lambda: byte_level([*CHATML, "</s>"], "qwen2")), _qwen("qwen3"), _CHATML_IDS, _HTML
    ),
    # a log of the blob f5074b1221da in the tests of the Julia package TestLLM: 25 keys, 32,768 tokens of the types 2, 3, 3, 3, ...
    "mistral:7b": Blob(
        replace(DOUBLES["Mistral 0.3"], model_type="llama", tokenizer=lambda: sentencepiece(MISTRAL, PREPEND)),
        {
            "llama.rope.freq_base": 1e6, "llama.rope.dimension_count": tiny.HEAD_DIM, "tokenizer.ggml.pre": "default",
            "tokenizer.ggml.add_bos_token": True, "tokenizer.ggml.add_eos_token": False, "tokenizer.chat_template": PLAIN,
        },
        {"bos": "<s>", "eos": "</s>", "unknown": "<unk>"}, {"<unk>": UNKNOWN}, epsilon=1e-5,
    ),
}  # fmt: skip


def write_blob(path: Path, name: str, without: tuple[str, ...] = (), with_: tuple[Pair, ...] = ()) -> Path:
    """Write the double of a store's blob, some keys left out or other."""
    blob = BLOBS[name]
    document = blob.double.tokenizer()
    config = {**tiny._config(blob.double.model_type, _rows(document)), **blob.double.changes}
    own = ((key, _KINDS[type(value)], value) for key, value in blob.keys.items())
    pairs = {pair[0]: pair for pair in (*_counts(blob, config), *own, *_vocabulary(blob, document), *with_)}
    kept = [pair_bytes(*pair) for key, pair in pairs.items() if key not in without]
    write_container(path, kept, list(_tensors(blob, config)))
    return path


def reference(folder: Path, name: str) -> Path:
    """Write the same model as a folder: what the blob means."""
    blob = BLOBS[name]
    return put_double(
        folder, replace(blob.double, changes={**blob.double.changes, "rms_norm_eps": blob.epsilon or 1e-6})
    )


def _rows(document: dict) -> int:
    return len({*document["model"]["vocab"], *(token["content"] for token in document["added_tokens"])})


def _counts(blob: Blob, config: dict) -> Iterator[Pair]:
    word = ARCHITECTURES[blob.double.model_type].gguf
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
    if blob.epsilon is not None:
        yield f"{word}.attention.layer_norm_rms_epsilon", F32, blob.epsilon


def _vocabulary(blob: Blob, document: dict) -> Iterator[Pair]:
    model = document["model"]
    added = {token["content"]: CONTROL if token["special"] else USER for token in document["added_tokens"]}
    kinds = {token: BYTE if token.startswith("<0x") else NORMAL for token in model["vocab"]} | added | blob.types
    kinds |= dict.fromkeys(blob.appended, USER)
    yield "tokenizer.ggml.tokens", ARRAY, list(kinds)
    yield "tokenizer.ggml.token_type", ARRAY, list(kinds.values())
    numbers = {token: number for number, token in enumerate(kinds)}
    yield from ((f"tokenizer.ggml.{key}_token_id", U32, numbers[token]) for key, token in blob.ids.items())
    if not model.get("byte_fallback"):
        yield "tokenizer.ggml.model", STRING, "gpt2"
        yield "tokenizer.ggml.merges", ARRAY, [" ".join(merge) for merge in model["merges"]]
        return
    yield "tokenizer.ggml.model", STRING, "llama"
    ranks = {"".join(merge): -float(rank) for rank, merge in reversed(list(enumerate(model["merges"])))}
    yield "tokenizer.ggml.scores", ARRAY, [ranks.get(token, -1e6) for token in kinds]


def _tensors(blob: Blob, config: dict) -> Iterator[OutTensor]:
    architecture = ARCHITECTURES[blob.double.model_type]
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
