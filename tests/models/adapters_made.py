"""Adapters as mlx-lm and PEFT write them, made of given arrays."""

import json
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

PEFT_CONFIG = {
    "peft_type": "LORA", "task_type": "CAUSAL_LM", "peft_version": "0.21.2", "base_model_name_or_path": "some/base", "r": 4,
    "lora_alpha": 8, "lora_dropout": 0.05, "target_modules": "all-linear", "bias": "none", "fan_in_fan_out": False,
    "init_lora_weights": True, "inference_mode": True, "use_rslora": False, "use_dora": False, "modules_to_save": None,
    "rank_pattern": {}, "alpha_pattern": {}, "layers_to_transform": None, "layers_pattern": None, "megatron_config": None,
    "megatron_core": "megatron.core", "loftq_config": {}, "trainable_token_indices": None, "qalora_group_size": 16,
}  # fmt: skip


def numbers(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng([seed, *shape]).standard_normal(shape).astype(np.float32)


def peft_adapter(folder: Path, arrays: dict[str, np.ndarray], prefix: str = "base_model.model.", **config) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    save_file({prefix + name: array for name, array in arrays.items()}, folder / "adapter_model.safetensors")
    (folder / "adapter_config.json").write_text(json.dumps({**PEFT_CONFIG, **config}))
    return folder


def mlx_adapter(folder: Path, arrays: dict[str, np.ndarray], kind: str | None = "lora", **config) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    save_file(arrays, folder / "adapters.safetensors")
    settings = {"lora_parameters": {"rank": 4, "scale": 0.5, "dropout": 0.0}, "num_layers": 2, **config}
    (folder / "adapter_config.json").write_text(json.dumps({**settings, **({"fine_tune_type": kind} if kind else {})}))
    return folder


def halves(module: str, out: int, width: int, rank: int = 4, seed: int = 0) -> dict[str, np.ndarray]:
    """Return a linear module's two halves by PEFT's names."""
    return {
        f"{module}.lora_A.weight": numbers(rank, width, seed=seed),
        f"{module}.lora_B.weight": numbers(out, rank, seed=seed),
    }
