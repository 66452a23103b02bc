"""PEFT's adapter_config.json: the factor of each module's product, and by name what no merge into a plain base can keep.

A setting that is not known here is refused too, unless it is off: new ones have changed what the same tensors mean.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jessyfile.errors import ModelError
from jessyfile.models.adapters.changes import finite_number
from jessyfile.text.patterns import pattern_fault

MERGE_THERE = (
    "merge it with PEFT (`model.merge_and_unload().save_pretrained(FOLDER)`), "
    "name that folder in FROM and leave ADAPTER out"
)
_TRAIN_LORA = "train a LoRA instead (peft_type LORA)"
_PROMPTS = (
    "PROMPT_TUNING", "MULTITASK_PROMPT_TUNING", "P_TUNING", "PREFIX_TUNING", "ADAPTION_PROMPT", "CPT", "CARTRIDGE",
)  # fmt: skip
_ROUTED = ("XLORA", "POLY")
_TASKS = ("SEQ_CLS", "TOKEN_CLS", "SEQ_2_SEQ_LM", "QUESTION_ANS", "FEATURE_EXTRACTION")
_CHANGE_THE_BASE = {
    "pissa": "takes the largest singular values out of the base",
    "olora": "takes an orthonormal part out of the base",
    "corda": "takes the directions of its data out of the base",
    "lora_ga": "takes its first gradients out of the base",
    "loftq": "replaces the base by a quantized one",
}
_KEEP_THE_BASE = ("true", "false", "none", "gaussian", "eva", "orthogonal", "mica")
_REFUSED = {
    "alora_invocation_tokens": "works only after its invocation tokens (aLoRA)",
    "arrow_config": "chooses between several adapters for each token (Arrow)",
    "kasa_config": "was trained on a base with singular values cut off (KaSA)",
    "layer_replication": "repeats layers of the base",
    "lora_bias": "adds biases to its products",
    "monteclora_config": "draws its weights at random (MonteCLoRA)",
    "target_parameters": "changes parameters that are no layers, as those of experts",
    "use_bdlora": "has block-diagonal halves (BD-LoRA)",
    "use_qalora": "pools its inputs (QALoRA)",
}
# read here or by the tensors' names, or without effect on merged weights
_KNOWN = {
    "alpha_pattern", "auto_mapping", "base_model_class", "base_model_name_or_path", "bias", "corda_config",
    "ensure_weight_tying", "eva_config", "exclude_modules", "fan_in_fan_out", "inference_mode", "init_lora_weights",
    "layers_pattern", "layers_to_transform", "loftq_config", "lora_alpha", "lora_dropout", "lora_ga_config",
    "megatron_config", "megatron_core", "modules_to_save", "parent_library", "peft_type", "peft_version",
    "qalora_group_size", "r", "rank_pattern", "revision", "runtime_config", "target_modules", "task_type",
    "trainable_token_indices", "use_dora", "use_rslora", "velora_config", *_REFUSED,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class PeftSettings:
    """What of adapter_config.json says how tensors are applied. The patterns are tried in their order."""

    rank: int
    alpha: float
    ranks: Sequence[tuple[re.Pattern[str], int]]
    alphas: Sequence[tuple[re.Pattern[str], float]]
    rank_stabilized: bool
    dora: bool
    tied: bool
    saved: Sequence[str]
    tokens: Mapping[str, Sequence[int]]

    def rank_of(self, module: str) -> int:
        """Return the rank of a module's product, given the module's name in PEFT's model."""
        return next((rank for pattern, rank in self.ranks if pattern.match(module)), self.rank)

    def scale_of(self, module: str) -> float:
        """Return the factor before a module's product: alpha/r, or alpha/√r when it is rank-stabilized."""
        alpha = next((alpha for pattern, alpha in self.alphas if pattern.match(module)), self.alpha)
        rank = self.rank_of(module)
        return alpha / (math.sqrt(rank) if self.rank_stabilized else rank)

    def rows_of(self, module: str) -> tuple[int, ...]:
        """Return which rows of a module `trainable_token_indices` names."""
        return next(
            (tuple(rows) for name, rows in self.tokens.items() if f".{module}".endswith(f".{name}" if name else "")), ()
        )

    def saved_by(self, module: str) -> str | None:
        """Return which entry of `modules_to_save` names the module or one around it, None when none does."""
        return next((name for name in self.saved if f".{name}." in f".{module}."), None)


def peft_settings(config: Mapping[str, Any]) -> PeftSettings:
    """Return the settings. Raises ModelError for an adapter that cannot be merged into a plain base, with what it is."""
    _refuse_kind(config)
    _refuse_initialization(config.get("init_lora_weights", True))
    _refuse_settings(config)
    ranks, alphas = (_patterns(config, key) for key in ("rank_pattern", "alpha_pattern"))
    return PeftSettings(
        rank=_rank("r", config.get("r", 8)),
        alpha=_number("lora_alpha", config.get("lora_alpha", 8)),
        ranks=[(pattern, _rank("rank_pattern", value)) for pattern, value in ranks],
        alphas=[(pattern, _number("alpha_pattern", value)) for pattern, value in alphas],
        rank_stabilized=_flag(config, "use_rslora"),
        dora=_flag(config, "use_dora"),
        tied=_flag(config, "ensure_weight_tying"),
        saved=_names(config.get("modules_to_save")),
        tokens=_tokens(config.get("trainable_token_indices")),
    )


def _refuse_kind(config: Mapping[str, Any]) -> None:
    kind, task = str(config.get("peft_type", "LORA"))[:40].upper(), str(config.get("task_type")).upper()
    if kind in _PROMPTS:
        raise ModelError(
            f"ADAPTER is PEFT's {kind}, learned inputs before the text, which no weights can hold", hint=_TRAIN_LORA
        )
    if kind in _ROUTED:
        raise ModelError(
            f"ADAPTER is PEFT's {kind}, several adapters of which each text chooses its own, which no weights can hold",
            hint=_TRAIN_LORA,
        )
    if kind != "LORA":
        raise ModelError(f"ADAPTER is PEFT's {kind}, and of PEFT's kinds only LORA is known", hint=MERGE_THERE)
    if task in _TASKS:
        raise ModelError(f"ADAPTER was trained for {task}, not to write text", hint="take one of the task CAUSAL_LM")


def _refuse_initialization(way: object) -> None:
    word = str(way)[:40].lower()
    if word in _KEEP_THE_BASE:
        return
    found = next((why for name, why in _CHANGE_THE_BASE.items() if word.startswith(name)), "is not known")
    hint = MERGE_THERE
    if word != "loftq" and found != "is not known":
        hint = "save it with `path_initial_model_for_weight_conversion`, which makes it a plain LoRA"
    raise ModelError(f"ADAPTER was trained with init_lora_weights {word}, which {found}", hint=hint)


def _refuse_settings(config: Mapping[str, Any]) -> None:
    for key, what in _REFUSED.items():
        if config.get(key):
            raise ModelError(f"ADAPTER has {key}: it {what}, which no merge of LoRA keeps", hint=MERGE_THERE)
    unknown = sorted(key[:40] for key, value in config.items() if value and key not in _KNOWN)[:5]
    if unknown:
        raise ModelError(
            f"ADAPTER's adapter_config.json sets {', '.join(unknown)}, which is not known and may change what its "
            "tensors mean",
            hint=f"{MERGE_THERE}; or remove it there if it says nothing of the weights",
        )


def _patterns(config: Mapping[str, Any], key: str) -> list[tuple[re.Pattern[str], object]]:
    """Return the compiled patterns. PEFT's rule: the whole name of a module, or its end after a dot."""
    found = config.get(key) or {}
    if not isinstance(found, dict):
        raise _malformed(key, found)
    return [(_pattern(key, text), value) for text, value in found.items()]


def _pattern(key: str, text: str) -> re.Pattern[str]:
    whole = rf"(.*\.)?({text})$"
    if (fault := pattern_fault(whole)) is not None:
        raise ModelError(f"{key} of the adapter_config.json cannot be used: {fault}", hint="name the modules in full")
    return re.compile(whole)


def _rank(key: str, value: object) -> int:
    if type(value) is not int or value < 1:
        raise _malformed(key, value)
    return value


def _number(key: str, value: object) -> float:
    if (found := finite_number(value)) is None:
        raise _malformed(key, value)
    return found


def _flag(config: Mapping[str, Any], key: str) -> bool:
    value = config.get(key)
    if value is not None and not isinstance(value, bool):
        raise _malformed(key, value)
    return value is True


def _names(value: object) -> list[str]:
    if not isinstance(value, list | None) or not all(isinstance(name, str) for name in value or ()):
        raise _malformed("modules_to_save", value)
    return value or []


def _tokens(value: object) -> Mapping[str, Sequence[int]]:
    """Return the row numbers by module; a list names those of whatever module has rows."""
    named = value if isinstance(value, dict) else {"": value or []}
    found: dict[str, Sequence[int]] = {}
    for name, rows in named.items():
        if not isinstance(rows, list) or not all(type(row) is int and row >= 0 for row in rows):
            raise _malformed("trainable_token_indices", value)
        found[name] = rows
    return found


def _malformed(key: str, value: object) -> ModelError:
    return ModelError(
        f"ADAPTER's adapter_config.json has {key} {str(value)[:60]!r}, which PEFT does not write",
        hint="copy the adapter's folder again",
    )
