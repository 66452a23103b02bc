"""Files that `jessy import` does not read: whose each one is, and what in it has an equivalent here.

A configuration of another trainer is not imported: what its rows, its prompt format and its defaults are is not written in it,
so a recipe made of it would train something else. Its base and its numbers are named, as a recipe spells them.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from jessyfile.errors import ProjectError
from jessyfile.importing.quote import number, one_line
from jessyfile.importing.yaml_strict import Tree

_REPO = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")
# what only this tool's files say; the tool with the most of its keys present is taken
_TOOLS: dict[str, tuple[str, ...]] = {
    "axolotl": ("base_model", "micro_batch_size", "sequence_len", "lora_r", "lora_target_linear", "sample_packing",
                "val_set_size", "num_epochs", "datasets", "lora_model_dir", "pad_to_sequence_len"),
    "LLaMA-Factory": ("model_name_or_path", "finetuning_type", "stage", "template", "cutoff_len", "lora_rank",
                      "lora_target", "dataset_dir", "do_train", "num_train_epochs", "dataset"),
    "TRL": ("model_name_or_path", "dataset_name", "use_peft", "lora_r", "lora_target_modules", "num_train_epochs",
            "per_device_train_batch_size", "torch_dtype", "attn_implementation", "output_dir"),
    "Unsloth": ("model_name", "load_in_4bit", "use_gradient_checkpointing", "full_finetuning", "use_rslora"),
    "torchtune": ("_component_", "checkpointer", "metric_logger", "tokenizer", "enable_activation_checkpointing"),
    "mergekit": ("merge_method", "slices", "models", "base_model"),
    "PEFT": ("peft_type", "base_model_name_or_path", "task_type", "target_modules"),
    "Transformers": ("architectures", "model_type", "hidden_size", "num_hidden_layers"),
    "an OpenAI fine-tuning job": ("training_file", "validation_file", "hyperparameters", "n_epochs"),
}  # fmt: skip
_DECISIVE = ("base_model", "model_name_or_path", "base_model_name_or_path", "_component_", "merge_method", "peft_type",
             "architectures", "training_file")  # fmt: skip
_BASES = ("base_model", "model_name_or_path", "base_model_name_or_path", "model_name", "model", "checkpoint_dir")
# address here -> the names that others have for it
_EQUIVALENTS: dict[tuple[str, str], tuple[str, ...]] = {
    ("lora", "rank"): ("lora_r", "lora_rank", "r"),
    ("lora", "alpha"): ("lora_alpha",),
    ("lora", "dropout"): ("lora_dropout",),
    ("train", "epochs"): ("num_epochs", "num_train_epochs", "n_epochs", "epochs"),
    ("train", "batch_size"): ("micro_batch_size", "per_device_train_batch_size", "batch_size"),
    ("train", "grad_accumulation"): ("gradient_accumulation_steps",),
    ("train", "learning_rate"): ("learning_rate", "lr"),
    ("train", "warmup_steps"): ("warmup_steps", "num_warmup_steps"),
    ("train", "schedule"): ("lr_scheduler", "lr_scheduler_type"),
    ("train", "weight_decay"): ("weight_decay",),
    ("train", "max_length"): ("sequence_len", "cutoff_len", "max_seq_length", "max_seq_len", "max_length"),
    ("train", "seed"): ("seed",),
    ("dataset", "validation"): ("val_set_size", "val_size"),
}
_INSTEAD = {
    "mergekit": "merge first, then name the merged model's folder with FROM",
    "PEFT": "an adapter is named with ADAPTER, by its folder",
    "Transformers": "a model is named with FROM, by its folder",
}


def tool_of(tree: Tree) -> str | None:
    """Return the tool that a configuration is plainly written for; None when it may be mlx-lm's."""
    said = dict(_leaves(tree))
    found = {tool: sum(key in said or key in tree for key in keys) for tool, keys in _TOOLS.items()}
    tool = max(found, key=lambda name: found[name])
    decided = any(key in said or key in tree for key in _DECISIVE) or found[tool] > 1
    return tool if found[tool] and decided else None


def foreign_configuration(tree: Tree, tool: str, path: Path) -> ProjectError:
    """Return the refusal of another tool's configuration; its hint says what to begin with instead."""
    refused = f"`{path}` is a configuration of {tool}, which jessy does not import"
    said = dict(_leaves(tree))
    base = next((str(said[key]) for key in _BASES if isinstance(said.get(key), str)), None)
    start = f"jessy init --base {shlex.quote(_reference(base))}" if base else "jessy init"
    settings = _settings(said)
    written = f", then write {settings} into the recipe" if settings else ""
    return ProjectError(refused, hint=one_line(_INSTEAD.get(tool) or f"begin with `{start}`{written}", 600))


def foreign_file(path: Path, data: bytes) -> ProjectError | None:
    """Return the refusal of a file that is plainly no Modelfile and no configuration; None for any other."""
    suffix, head = path.suffix.lower(), data[:4096].decode("utf-8", "replace").lstrip("\ufeff \t\r\n")
    if suffix == ".jessy" or re.match(r"(?:#[^\n]*\n\s*)*JESSY\s", head):
        return ProjectError(f"`{path}` is a Jessyfile already", hint=f"see what it does: `jessy plan {_quoted(path)}`")
    if data.startswith(b"GGUF") or suffix in (".gguf", ".safetensors", ".bin", ".npz"):
        hint = f"begin a recipe on it with `jessy init --base {_quoted(path)}`"
        return ProjectError(f"`{path}` is a model, not the description of one", hint=hint)
    if suffix in (".jsonl", ".ndjson", ".csv", ".tsv", ".parquet") or _looks_like_rows(suffix, head[:1]):
        return ProjectError(
            f"`{path}` holds rows, not a recipe", hint=f"begin a project with them: `jessy init --from {_quoted(path)}`"
        )
    return None


def _looks_like_rows(suffix: str, first: str) -> bool:
    return first == "[" if suffix == ".json" else first in ("{", "[") and suffix not in (".yaml", ".yml")


def _leaves(tree: Tree) -> Iterator[tuple[str, Any]]:
    """Yield every key with its value, the outermost last: of two with one name, that one is taken."""
    for entry in tree.values():
        if isinstance(entry.value, dict):
            yield from _leaves(entry.value)
    yield from ((key, entry.value) for key, entry in tree.items() if not isinstance(entry.value, dict))


def _settings(said: dict[str, Any]) -> str:
    """Return what has an equivalent, by block, as a recipe spells it; what the table would refuse is not named."""
    blocks: dict[str, list[str]] = {}
    for (block, setting), keys in _EQUIVALENTS.items():
        value = next((said[key] for key in keys if said.get(key) is not None), None)
        if value is not None and _fits((block, setting), value):
            spelled = (
                f"{value * 100:g}%" if setting == "validation" else value if isinstance(value, str) else number(value)
            )
            blocks.setdefault(block.upper(), []).append(f"{setting} {spelled}")
    return ", ".join(f"`{block} {{ {' '.join(settings)} }}`" for block, settings in blocks.items())


def _fits(address: tuple[str, str], value: Any) -> bool:  # noqa: ANN401 (any YAML value)
    from jessyfile.language.reading import judge
    from jessyfile.language.table import node_at
    from jessyfile.language.values import InvalidValue

    node = node_at(address)
    whole = int(value) if isinstance(value, float) and value.is_integer() else value
    try:
        judge(node.schema if node else {}, whole)
    except InvalidValue:
        return False
    return True


def _reference(base: str) -> str:
    return f"hf:{base}" if _REPO.fullmatch(base) else base


def _quoted(path: Path) -> str:
    return shlex.quote(str(path))
