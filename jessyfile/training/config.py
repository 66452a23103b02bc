"""How to train, in code instead of a recipe: the values of LORA and TRAIN under the names that the PEFT world uses."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Literal

from jessyfile.errors import TrainingError
from jessyfile.language.document import complete
from jessyfile.language.reading import judge
from jessyfile.language.recipe import Lora, Train
from jessyfile.language.table import document_schema
from jessyfile.language.values import InvalidValue, Json


@dataclass(frozen=True, slots=True)
class LoRAConfig:
    """A low-rank adapter: the update is scaled by `lora_alpha / r`, or by `lora_alpha / √r` with `use_rslora`; `use_dora` trains the
    lengths of a target's rows too. Raises TrainingError for a value that LORA refuses.
    """

    r: int = 16
    lora_alpha: float = 32
    target_modules: Sequence[str] = field(default_factory=lambda: ["q_proj", "k_proj", "v_proj", "o_proj"])
    lora_dropout: float = 0.05
    bias: str = "none"
    use_dora: bool = False
    use_rslora: bool = False

    def __post_init__(self) -> None:
        targets = self.target_modules
        if isinstance(targets, Iterable):
            object.__setattr__(self, "target_modules", [targets] if isinstance(targets, str) else list(targets))
        if not isinstance(self.use_dora, bool):
            raise TrainingError(f"use_dora is {self.use_dora!r}, not True or False")
        if self.bias != "none":
            raise TrainingError(f"bias is {self.bias!r}, and biases are not trained", hint='leave it at "none"')
        _check("lora", self, _LORA)

    def to_lora(self) -> Lora:
        """Return the recipe's LORA block with these values."""
        lora = complete("lora", _renamed(self, _LORA))
        kind: Literal["lora", "dora"] = "dora" if self.use_dora else "lora"
        return Lora(**{**lora, "targets": tuple(lora["targets"]), "kind": kind})


@dataclass(frozen=True, slots=True)
class TrainingConfig:
    """How long, how fast and in which batches. Raises TrainingError for a value that TRAIN refuses."""

    epochs: int = 3
    batch_size: int = 8
    learning_rate: float = 1e-4
    warmup_steps: int = 50
    gradient_accumulation: int = 4
    max_length: int = 512
    seed: int = 42

    def __post_init__(self) -> None:
        _check("train", self, _TRAIN)

    def to_train(self) -> Train:
        """Return the recipe's TRAIN block with these values and the defaults of every other."""
        return Train(**complete("train", _renamed(self, _TRAIN)))


def plain_training() -> TrainingConfig:
    """Return how a recipe trains that says nothing of it."""
    plain = complete("train", {})
    return TrainingConfig(**{own: plain[name] for own, name in _TRAIN.items()})


_LORA = {"r": "rank", "lora_alpha": "alpha", "target_modules": "targets", "lora_dropout": "dropout",
         "use_rslora": "rslora"}  # fmt: skip
_TRAIN = {part.name: part.name for part in fields(TrainingConfig)} | {"gradient_accumulation": "grad_accumulation"}


def _renamed(config: LoRAConfig | TrainingConfig, names: Mapping[str, str]) -> dict[str, Json]:
    return {name: getattr(config, own) for own, name in names.items()}


def _check(block: str, config: LoRAConfig | TrainingConfig, names: Mapping[str, str]) -> None:
    """Hold every value against the recipe's schema."""
    for (own, name), value in zip(names.items(), _renamed(config, names).values(), strict=True):
        _check_value(block, own, name, value)


def check_precision(value: str) -> None:
    """Raise TrainingError for a precision that BASE does not take."""
    _check_value("base", "precision", "precision", value)


def _check_value(block: str, own: str, name: str, value: Json) -> None:
    if isinstance(value, float) and not math.isfinite(value):
        raise TrainingError(f"{own} is {value}, not a number to train with")
    try:
        judge(document_schema()["properties"][block]["properties"][name], value)
    except InvalidValue as unfit:
        raise TrainingError(f"{own}, {value!r}, {unfit.message}", hint=unfit.help) from unfit
