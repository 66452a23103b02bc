"""Bases that are refused before any step: what spoils the project's own, and what is said."""

from __future__ import annotations

import json
import shutil
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file
from tiny import multimodal_model, spm_tokenizer, tiny_model

from jessyfile.models.gguf_container import ARRAY, F32, STRING, U32, Pair, pair_bytes


def remade(project, model_type: str, **changes: object) -> None:
    """Put a base of another type in the place of the project's."""
    shutil.rmtree(project.model)
    tiny_model(project.model, model_type, **changes)


def typed(model_type: str, **changes: object) -> Callable:
    """Return what gives the project a base of this type with these numbers in its config.json."""

    def spoil(project) -> None:
        remade(project, model_type)
        project.config(**changes)

    return spoil


def as_gguf(model_type: str = "gemma3_text", *pairs: Pair, drop: tuple[str, ...] = (), **changes: object) -> Callable:
    """Return what gives the project a GGUF of a base of this type, with these keys put in and others left out."""

    def spoil(project) -> None:
        from jessyfile.export.gguf_writer import write_gguf

        if model_type != "gemma3_text" or changes:
            remade(project, model_type, **changes)
        whole, path = project.root / "whole.gguf", project.root / "m.gguf"
        write_gguf(project.model, whole, "f16", lambda *_: None)
        _with_keys(whole, path, pairs, drop)
        project.says("./model", "./m.gguf")

    return spoil


def _with_keys(whole: Path, path: Path, pairs: tuple[Pair, ...], drop: tuple[str, ...]) -> None:
    from jessyfile.models.gguf_container import OutTensor, write_container
    from jessyfile.models.gguf_reader import read_gguf

    file = read_gguf(whole)
    raw = {key: data for key, data in file.raw.items() if key not in drop}
    raw |= {key: pair_bytes(key, kind, value) for key, kind, value in pairs}
    tensors = [
        OutTensor(one.name, one.shape, one.kind, one.nbytes, lambda one=one: iter([file.stored(one)]))
        for one in file.tensors.values()
        if one.name not in drop
    ]
    write_container(path, list(raw.values()), tensors)


def extra_gguf_tensor(project) -> None:
    as_gguf("llama", rope_scaling=LLAMA3)(project)
    path = project.root / "m.gguf"
    path.write_bytes(path.read_bytes().replace(b"rope_freqs.weight", b"rope_frexs.weight"))


def quantized(project, **settings: object) -> None:
    """Say that the base is quantized by MLX, and store one of its tensors so."""
    import mlx.core as mx

    path = project.model / "model.safetensors"
    arrays = load_file(path)
    name = "model.layers.0.self_attn.q_proj"
    parts = mx.quantize(mx.array(arrays.pop(f"{name}.weight")), 64, 8)
    ends = (".weight", ".scales", ".biases")
    save_file({**arrays, **{name + end: np.array(part) for end, part in zip(ends, parts, strict=True)}}, path)
    if settings:
        project.config(quantization=settings)


def eight_bit_floats(project) -> None:
    path = project.model / "model.safetensors"
    arrays = load_file(path)
    save_file({**arrays, "model.norm.weight": arrays["model.norm.weight"].astype(np.int32)}, path)


def header(text: bytes, length: int | None = None) -> Callable:
    """Return what gives the base's weights this header."""

    def spoil(project) -> None:
        claimed = len(text) if length is None else length
        (project.model / "model.safetensors").write_bytes(struct.pack("<Q", claimed) + text)

    return spoil


def loose_merge(project) -> None:
    document = json.loads((project.model / "tokenizer.json").read_text())
    document["model"]["merges"].append(["se", "zzz"])
    project.tokenizer(**document)


def rope_freqs_of_another_kind(project) -> None:
    """Factors that follow from no four numbers."""
    as_gguf("llama", rope_scaling=LLAMA3)(project)
    from jessyfile.models.gguf_reader import read_gguf

    path = project.root / "m.gguf"
    tensor = read_gguf(path).tensors["rope_freqs.weight"]
    with open(path, "r+b") as handle:
        handle.seek(tensor.offset)
        handle.write(np.linspace(3, 9, tensor.nbytes // 4, dtype="<f4").tobytes())


def wrapped(**changes: object) -> Callable:
    """Return what gives the project a base that also reads images, with these words in its config.json."""

    def spoil(project) -> None:
        shutil.rmtree(project.model)
        multimodal_model(project.model)
        project.config(**changes)

    return spoil


LLAMA3 = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
          "original_max_position_embeddings": 512}  # fmt: skip
YARN = {"rope_type": "yarn", "factor": 2.0, "original_max_position_embeddings": 512}
SHORT = {"rope_type": "longrope", "short_factor": [1.0] * 8, "long_factor": [2.0] * 8}
WHOLE_LONGROPE = {"rope_scaling": {**SHORT, "original_max_position_embeddings": 64}}
TOKENS = "tokenizer.ggml.tokens"
BASE_REFUSALS: dict[str, tuple[Callable, str]] = {
    "bitsandbytes": (lambda p: p.config(quantization_config={"quant_method": "bitsandbytes"}), "quantized by bitsandbytes"),
    "quantized without a name": (lambda p: p.config(quantization_config={"bits": 4}), "quantized by an unknown method"),
    "gptq of a model with images": (wrapped(quantization_config={"quant_method": "gptq"}), "quantized by gptq"),
    "a model with images of another kind": (wrapped(text_config={"model_type": "gemma3n_text"}), "'gemma3n_text' cannot be"),
    "a model with images without numbers": (wrapped(text_config={}), "lacks hidden_size"),
    "a Gemma 3 of three layers": (lambda p: p.config(num_hidden_layers=3), "3 layers, none of which sees"),
    "a Gemma 3 of another order": (lambda p: p.config(sliding_window_pattern=2), "another order than every sixth"),
    "a Gemma 3 of other layer types": (lambda p: p.config(layer_types=["full_attention"] * 6), "order than every sixth"),
    "a Gemma 3 that embeds": (lambda p: p.config(use_bidirectional_attention=True), "use_bidirectional_attention"),
    "a Gemma 3 with a softcap": (lambda p: p.config(final_logit_softcapping=30.0), "final_logit_softcapping"),
    "a Gemma 2 with a softcap of 64 bits": (typed("gemma2", attn_logit_softcapping=2**63), "attn_logit_softcapping"),
    "a Gemma 2 without its softcap": (typed("gemma2", attn_logit_softcapping=None), "no attn_logit_softcapping"),
    "a Gemma of another scale": (lambda p: p.config(query_pre_attn_scalar=7), "query_pre_attn_scalar 7 instead of 32"),
    "an untied Gemma": (typed("gemma", tie_word_embeddings=False), "tie_word_embeddings false"),
    "another activation": (typed("llama", hidden_act="relu2"), "the activation 'relu2'"),
    "heads that do not divide": (typed("llama", num_key_value_heads=3), "4 heads for 3 heads of keys"),
    "a head of its own size": (typed("qwen2", head_dim=32), "head_dim 32 where 4 heads share 64"),
    "sliding layers": (typed("qwen3", layer_types=["sliding_attention"] * 3), "'sliding_attention', which a GGUF of qwen3"),
    "sliding layers of an older Qwen": (typed("qwen2", use_sliding_window=True), "'use_sliding_window'"),
    "a SmolLM3 of another order": (typed("smollm3", no_rope_layers=[1] * 5), "another order than every fourth"),
    "a partly turned llama": (typed("llama", partial_rotary_factor=0.5), "turns 0.5 of each head"),
    "a GGUF by llama's rope of a SmolLM3": (typed("smollm3", rope_scaling=LLAMA3), "'llama3' (rope_scaling)"),
    "yarn of its own": (typed("llama", rope_scaling={**YARN, "beta_fast": 16}), "a beta_fast of its own"),
    "a short longrope": (typed("phi3", rope_scaling={**SHORT, "short_factor": [1.0]}, original_max_position_embeddings=64), "a short_factor of 8 numbers"),
    "longrope without its context": (typed("phi3", rope_scaling=SHORT), "lacks original_max_position_embeddings"),
    "another shape than config.json says": (lambda p: p.config(intermediate_size=97), "has the shape (96, 64), and its config"),
    "a number that is a text": (lambda p: p.config(head_dim="wide"), "is malformed at head_dim"),
    "numbers that are no weights": (eight_bit_floats, "stores 'model.norm.weight' as I32"),
    "quantized without a word": (lambda p: quantized(p), "holds quantized tensors and its config.json does not say how"),
    "quantized by other numbers": (lambda p: quantized(p, bits=8, group_size=32), "has scales of the shape (128, 1), not (128, 2)"),
    "weights of no header": (header(b"{}", 10**6), "its header claims 1000000 bytes"),
    "weights whose header is no JSON": (header(b"{]"), "its header is no JSON"),
    "weights of an unknown type": (
        header(b'{"a": {"dtype": "F4", "shape": [1], "data_offsets": [0, 1]}}'),
        "has the unknown type 'F4'",
    ),
    "a merge of no tokens": (loose_merge, "joins 'se' and 'zzz'"),
    "a tokenizer that is a list": (lambda p: (p.model / "tokenizer.json").write_text("[]"), "holds no JSON object"),
    "an empty GGUF": (lambda p: ((p.root / "m.gguf").write_bytes(b""), p.says("./model", "./m.gguf")), "is empty, not a GGUF"),
    "a split GGUF": (as_gguf("gemma3_text", ("split.count", U32, 2)), "is one part of a split GGUF"),
    "a GGUF of a mixture": (as_gguf("llama", ("llama.expert_count", U32, 8)), "is a mixture of experts"),
    "a GGUF with a tensor of another kind": (extra_gguf_tensor, "has a tensor 'rope_frexs.weight'"),
    "a GGUF without a tensor": (as_gguf("llama", drop=("blk.1.ffn_down.weight",)), "lacks mlp.down_proj of block 1"),
    "a GGUF without embeddings": (as_gguf("llama", drop=("token_embd.weight",)), "has no token embeddings"),
    "a GGUF of other numbers": (as_gguf("llama", ("llama.feed_forward_length", U32, 97)), "contradicts itself: mlp."),
    "a GGUF of another width": (as_gguf("llama", ("llama.embedding_length", U32, 128)), "contradicts itself: 128 wide"),
    "a GGUF without a number": (as_gguf("llama", drop=("llama.attention.layer_norm_rms_epsilon",)), "holds no number above 0 under"),
    "a GGUF without a count": (as_gguf("llama", drop=("llama.block_count",)), "holds no count under"),
    "a GGUF whose text is a number": (as_gguf("llama", ("tokenizer.ggml.model", U32, 1)), "holds no text under"),
    "a GGUF without merges": (as_gguf("qwen3", drop=("tokenizer.ggml.merges",)), "holds no list of texts under"),
    "a GGUF with a scaled rope of no name": (
        as_gguf("llama", ("llama.rope.scaling.type", STRING, "dynamic"), ("llama.rope.scaling.factor", F32, 2.0)),
        "scales its rope by 'dynamic', which jessy does not know",
    ),
    "a GGUF with factors of another kind": (rope_freqs_of_another_kind, "in a way that is not Llama 3's"),
    "a GGUF of fewer tokens than rows": (as_gguf("llama", (TOKENS, ARRAY, ["a", "b"])), "2 tokens, and embeddings for"),
    "a GGUF with a vocabulary of another kind": (as_gguf("llama", ("tokenizer.ggml.model", STRING, "t5")), "of the kind 't5'"),
    "a GGUF that splits otherwise": (as_gguf("qwen3", ("tokenizer.ggml.pre", STRING, "kimi-k2")), "splits words by 'kimi-k2'"),
    "a GGUF without types": (as_gguf("llama", ("tokenizer.ggml.token_type", ARRAY, [1, 2])), "token types for its"),
    "a GGUF without scores": (as_gguf("llama", ("tokenizer.ggml.scores", ARRAY, [1.0])), "has scores that are no number each"),
    "a GGUF with an unknown token of no row": (
        as_gguf("llama", ("tokenizer.ggml.unknown_token_id", U32, 10**6)),
        "names token 1000000 for the unknown",
    ),
    "a GGUF of a Gemma 3 of another order": (
        as_gguf("gemma3_text", ("gemma3.attention.sliding_window_pattern", ARRAY, [1, 0, 1, 0, 1, 0])),
        "another order than every sixth",
    ),
    "a GGUF stretched without end": (
        as_gguf("phi3", ("phi3.rope.scaling.attn_factor", F32, 9.0), **WHOLE_LONGROPE),
        "stretches its context by a factor of 9",
    ),
    "a GGUF whose flag is a number": (
        as_gguf("llama", ("tokenizer.ggml.add_bos_token", U32, 1)),
        "holds neither true nor false",
    ),
    "a GGUF whose scores are texts": (
        as_gguf("llama", ("tokenizer.ggml.scores", ARRAY, ["a"])),
        "holds no list of numbers",
    ),
    "a GGUF whose token is a text": (
        as_gguf("llama", ("tokenizer.ggml.bos_token_id", STRING, "a")),
        "holds no token's number",
    ),
    "a GGUF with a token twice": (
        as_gguf("llama", (TOKENS, ARRAY, ["a"] * len(spm_tokenizer()["model"]["vocab"]))),
        "the same token twice",
    ),
    "a target that is a part of a layer": (
        lambda p: (typed("phi3")(p), p.says("EXPORT gguf", "LORA {\n  targets q_proj v_proj\n}\nEXPORT gguf")),
        "in one layer, and the targets lack k_proj",
    ),
}  # fmt: skip
