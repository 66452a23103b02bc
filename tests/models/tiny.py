"""Tiny random models of every architecture, with real tokenizers, small enough to load in milliseconds."""

import json
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

LETTERS = "abcçdefgğhıijklmnoöprsştuüvyzABCÇDEFGĞHIİJKLMNOÖPRSŞTUÜVYZ0123456789.,!?'[]"
PAIRS = ("se", "la", "m▁", "▁s", "mer", "er", "ha", "ba", "lo", "ow", "low", "▁k", "an", "ka", "kan", "nka", "ın", "iş")
SPM_SPECIAL = ["<pad>", "<eos>", "<bos>", "<unk>", "<start_of_turn>", "<end_of_turn>", "[INST]", "[/INST]"]
BYTE_SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
HIDDEN, LAYERS, HEADS, KV_HEADS, HEAD_DIM, WIDE = 64, 3, 4, 2, 32, 96
TYPES = ("gemma", "gemma2", "gemma3_text", "llama", "mistral", "phi3", "qwen2", "qwen3", "smollm3")


def tiny_model(
    folder: Path, model_type: str = "gemma3_text", seed: int = 0, tokenizer: dict | None = None, **changes: object
) -> Path:
    """Fill a folder with config.json, model.safetensors (float32) and tokenizer files; return it."""
    folder.mkdir(parents=True, exist_ok=True)
    byte_level = model_type.startswith("qwen")
    tokenizer = tokenizer or (byte_level_tokenizer() if byte_level else spm_tokenizer())
    config = {**_config(model_type, len(tokenizer["model"]["vocab"])), **changes}
    names = ["<|endoftext|>"] * 2 if byte_level else ["<bos>", "<eos>"]
    settings = {"bos_token": names[0], "eos_token": names[1], "add_bos_token": not byte_level}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer, ensure_ascii=False))
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    save_file(weights(config, seed), folder / "model.safetensors", metadata={"format": "mlx"})
    return folder


def multimodal_model(folder: Path, layout: str = "language_model.model.") -> tuple[Path, Path]:
    """Fill a folder as Gemma 3 4B is published, text model nested, numbers left out that its class has anyway, and a vision
    tower; return it and the folder of the same text model alone.
    """
    class_has = {"num_attention_heads": 8, "num_key_value_heads": 4, "head_dim": 256, "query_pre_attn_scalar": 256}
    said = {"rope_scaling": {"factor": 8.0, "rope_type": "linear"}, "sliding_window": 128}
    plain = tiny_model(folder.with_name(f"{folder.name}-text"), **class_has, **said, max_position_embeddings=131_072)
    numbers = json.loads((plain / "config.json").read_text())
    inner = ("hidden_size", "intermediate_size", "model_type", "num_hidden_layers")
    config = {
        "architectures": ["Gemma3ForConditionalGeneration"],
        "model_type": "gemma3",
        "text_config": {**{key: numbers[key] for key in inner}, **said},
        "vision_config": {"hidden_size": 8, "num_hidden_layers": 1},
    }
    arrays = weights(numbers, 0)
    outer = "model." if layout.startswith("model.") else ""
    renamed = {f"{layout}{name.removeprefix('model.')}": array for name, array in arrays.items()}
    renamed[f"{outer}vision_tower.vision_model.encoder.layers.0.mlp.fc1.weight"] = np.ones((8, 8), np.float32)
    renamed[f"{outer}multi_modal_projector.mm_input_projection_weight"] = np.ones((8, HIDDEN), np.float32)
    folder.mkdir(parents=True)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (folder / name).write_bytes((plain / name).read_bytes())
    (folder / "config.json").write_text(json.dumps(config))
    save_file(renamed, folder / "model.safetensors", metadata={"format": "mlx"})
    return folder, plain


def _config(model_type: str, vocab: int) -> dict:
    config = {
        "model_type": model_type, "vocab_size": vocab, "hidden_size": HIDDEN, "num_hidden_layers": LAYERS,
        "intermediate_size": WIDE, "num_attention_heads": HEADS, "num_key_value_heads": KV_HEADS, "head_dim": HEAD_DIM,
        "rms_norm_eps": 1e-6, "rope_theta": 10000.0, "max_position_embeddings": 512, "tie_word_embeddings": True,
    }  # fmt: skip
    if model_type in ("phi3", "qwen2"):
        config["head_dim"] = HIDDEN // HEADS
    if model_type == "smollm3":
        config["num_hidden_layers"] = 5  # one of which has no rope
    if model_type in ("gemma2", "gemma3_text"):
        config |= {"query_pre_attn_scalar": HEAD_DIM, "sliding_window": 128}
    if model_type == "gemma3_text":
        config |= {
            "num_hidden_layers": 6,
            "sliding_window_pattern": 6,
            "rope_local_base_freq": 10000.0,
            "rope_theta": 1000000.0,
        }
    if model_type == "gemma2":
        config |= {"attn_logit_softcapping": 50.0, "final_logit_softcapping": 30.0, "sliding_window": 4096}
    return config


def weights(config: dict, seed: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    head, heads, kv = config["head_dim"], config["num_attention_heads"], config["num_key_value_heads"]
    found = {"model.embed_tokens.weight": (config["vocab_size"], HIDDEN), "model.norm.weight": (HIDDEN,)}
    if not config["tie_word_embeddings"]:
        found["lm_head.weight"] = (config["vocab_size"], HIDDEN)
    linear = {
        "self_attn.q_proj": (heads * head, HIDDEN), "self_attn.k_proj": (kv * head, HIDDEN),
        "self_attn.v_proj": (kv * head, HIDDEN), "self_attn.o_proj": (HIDDEN, heads * head),
        "mlp.gate_proj": (WIDE, HIDDEN), "mlp.up_proj": (WIDE, HIDDEN), "mlp.down_proj": (HIDDEN, WIDE),
    }  # fmt: skip
    if config["model_type"] == "phi3":
        linear = {
            "self_attn.qkv_proj": ((heads + 2 * kv) * head, HIDDEN), "self_attn.o_proj": (HIDDEN, heads * head),
            "mlp.gate_up_proj": (2 * WIDE, HIDDEN), "mlp.down_proj": (HIDDEN, WIDE),
        }  # fmt: skip
    norms = {"input_layernorm": HIDDEN, "post_attention_layernorm": HIDDEN}
    if config["model_type"] in ("gemma2", "gemma3_text"):
        norms |= {"pre_feedforward_layernorm": HIDDEN, "post_feedforward_layernorm": HIDDEN}
    if config["model_type"] in ("gemma3_text", "qwen3"):
        norms |= {"self_attn.q_norm": head, "self_attn.k_norm": head}
    for layer in range(config["num_hidden_layers"]):
        stem = f"model.layers.{layer}."
        found |= {f"{stem}{name}.weight": shape for name, shape in linear.items()}
        found |= {f"{stem}{name}.weight": (size,) for name, size in norms.items()}
        if config["model_type"] == "qwen2":
            found |= {f"{stem}self_attn.{one}_proj.bias": (linear[f"self_attn.{one}_proj"][0],) for one in "qkv"}
        if config.get("attention_bias"):
            found |= {f"{stem}{name}.bias": (shape[0],) for name, shape in linear.items()}
    centre = 0.0 if config["model_type"].startswith("gemma") else 1.0
    arrays = {name: _random(rng, shape, centre if "norm" in name else 0.0) for name, shape in found.items()}
    _silence_special_tokens(arrays["model.embed_tokens.weight"], config)
    return arrays


def _silence_special_tokens(embeddings: np.ndarray, config: dict) -> None:
    """Answers that end at once, or in half a character, have no candidates: make those tokens improbable."""
    if config["model_type"].startswith("qwen"):
        embeddings[-len(BYTE_SPECIAL) :] = 0.0
        embeddings[128:256] = 0.0
    else:
        embeddings[: len(SPM_SPECIAL) + 256] = 0.0


def _random(rng: np.random.Generator, shape: tuple[int, ...], centre: float) -> np.ndarray:
    return (centre + 0.25 * rng.standard_normal(shape)).astype(np.float32)


def spm_tokenizer() -> dict:
    pieces = ["▁", *dict.fromkeys(LETTERS)]
    tokens = [*SPM_SPECIAL, *(f"<0x{byte:02X}>" for byte in range(256)), *pieces]
    merges = []
    for pair in PAIRS:
        cut = next((c for c in range(1, len(pair)) if pair[:c] in tokens and pair[c:] in tokens), None)
        if cut and pair not in tokens:
            merges.append([pair[:cut], pair[cut:]])
            tokens.append(pair)
    return {
        "version": "1.0",
        "added_tokens": _added(SPM_SPECIAL),
        "normalizer": {"type": "Replace", "pattern": {"String": " "}, "content": "▁"},
        "pre_tokenizer": None,
        "post_processor": None,
        "decoder": {
            "type": "Sequence",
            "decoders": [
                {"type": "Replace", "pattern": {"String": "▁"}, "content": " "},
                {"type": "ByteFallback"},
                {"type": "Fuse"},
            ],
        },
        "model": {
            "type": "BPE", "vocab": {token: number for number, token in enumerate(tokens)}, "merges": merges,
            "byte_fallback": True, "fuse_unk": True, "unk_token": "<unk>",
        },
    }  # fmt: skip


def byte_level_tokenizer(special: list[str] = BYTE_SPECIAL, pre: str = "qwen2") -> dict:
    from jessyfile.models.pre_tokenizers import PRE_TOKENIZERS

    symbols = _byte_symbols()
    tokens = list(symbols)
    merges = []
    for left, right in (
        ("s", "e"),
        ("l", "a"),
        ("Ġ", "s"),
        ("l", "o"),
        ("lo", "w"),
        ("Ä", "±"),
        ("k", "a"),
        ("n", "Ä±"),
    ):
        merges.append([left, right])
        tokens.append(left + right)
    vocab = {token: number for number, token in enumerate([*tokens, *special])}
    rule = PRE_TOKENIZERS[pre]
    pattern = {"Regex": rule.expressions[0]}
    split = {"type": "Split", "pattern": pattern, "behavior": "Isolated", "invert": False}
    level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False, "use_regex": False}
    return {
        "version": "1.0",
        "added_tokens": _added(special, len(tokens)),
        "normalizer": {"type": "NFC"},
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [split, level]},
        "post_processor": None,
        "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
        "model": {"type": "BPE", "vocab": vocab, "merges": merges, "ignore_merges": rule.ignore_merges},
    }


def _added(tokens: list[str], first: int = 0) -> list[dict]:
    plain = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    return [{"id": first + number, "content": token, **plain} for number, token in enumerate(tokens)]


def _byte_symbols() -> list[str]:
    kept = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = iter(range(256, 512))
    return [chr(byte) if byte in kept else chr(next(others)) for byte in range(256)]


def tiny_adapter(
    folder: Path, modules: dict[str, tuple[int, int]], rank: int = 4, scale: float = 2.0, seed: int = 1
) -> Path:
    """Write an adapter for modules given as name -> (out, in)."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    arrays = {}
    for name, (out, width) in modules.items():
        arrays[f"{name}.lora_a"] = rng.standard_normal((width, rank)).astype(np.float32)
        arrays[f"{name}.lora_b"] = rng.standard_normal((rank, out)).astype(np.float32)
    save_file(arrays, folder / "adapters.safetensors")
    config = {
        "rank": rank,
        "scale": scale,
        "dropout": 0.0,
        "targets": ["q_proj"],
        "layers": None,
        "keys": sorted(modules),
    }
    (folder / "adapter_config.json").write_text(json.dumps(config))
    return folder
