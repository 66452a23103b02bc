"""What a training gives up, rung by rung, when memory is short: what changes no result comes first."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from jessyfile.errors import InsufficientMemoryError
from jessyfile.models.accelerate import on_gpu
from jessyfile.training.adapter import with_rank

if TYPE_CHECKING:
    from jessyfile.language.recipe import Lora, Recipe, Train

_MIN_RANK = 4


@dataclass(frozen=True, slots=True)
class Ladder:
    """How a training fits into memory: the adapter, in how many parts a batch's rows are computed, whether layers keep their inputs
    alone, and in words what was given up so far; `hint` says what to change where nothing is left to give up.
    """

    lora: Lora
    splits: int = 1
    checkpointing: bool = False
    rungs: tuple[str, ...] = ()
    keeps_inputs: bool = False  # a CPU's layers do so anyway
    hint: str | None = None

    @classmethod
    def of(cls, recipe: Recipe) -> Ladder:
        """Return where a recipe's training begins."""
        return cls(recipe.lora, checkpointing=recipe.train.grad_checkpointing, keeps_inputs=not on_gpu())

    def next_rung(self, train: Train, error: InsufficientMemoryError) -> Ladder:
        """Return the next rung that the recipe allows; raises the error, with the ladder's own hint if it has one, when there is none."""
        found = next(self._below(train), None)
        if found is None:
            raise InsufficientMemoryError(error.message, hint=self.hint or error.hint) from error
        said, changed = found
        return replace(changed, rungs=(*self.rungs, f"too little memory: {said}"))

    def _below(self, train: Train) -> Iterator[tuple[str, Ladder]]:
        if train.on_memory != "stop":
            if self.splits < train.batch_size:
                splits = self.splits * 2
                many = f"{-(-train.batch_size // splits)} rows at a time instead of {train.batch_size}"
                yield f"{many}; the result stays the same", replace(self, splits=splits)
            if not (self.checkpointing or self.keeps_inputs):
                said = "layers keep their inputs alone (gradient checkpointing); the result stays the same"
                yield said, replace(self, checkpointing=True)
        rank = self.lora.rank // 2
        if train.on_memory == "shrink_rank" and rank >= _MIN_RANK:
            said = f"rank {rank} instead of {self.lora.rank}; another adapter than the recipe's, trained from its start"
            yield said, replace(self, lora=with_rank(self.lora, rank))
