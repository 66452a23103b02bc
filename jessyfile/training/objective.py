"""What an update makes smaller: a sum of the targets' cross-entropies, each times what it weighs.

What answers are trained with is that sum itself, and the weights are the recipe's. How far preferred answers lie ahead of others
(`preference_loss`) has the gradient of such a sum, whose weights are known once the answers have been read forward.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from jessyfile.training.batches import EVEN, LossWeights, Targets

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from jessyfile.training.gradient import Passes

Array = Any  # mx.array; MLX ships no complete types


@dataclass(frozen=True, slots=True)
class Weighed:
    """What a part of an update comes to.

    loss     summed
    mass     what the loss is divided by
    weights  (targets,) how much each target's cross-entropy weighs in the gradient, float32
    margin   reward margins, summed, and how many are above 0 (`preferred`); 0 where nothing is compared
    """

    loss: float
    mass: float
    weights: NDArray[np.float32]
    margin: float = 0.0
    preferred: float = 0.0


class Objective(Protocol):
    """What is made smaller; `unit` rows lie side by side and are judged together, `counted` weighs tokens beforehand."""

    @property
    def unit(self) -> int:
        """How many rows are judged together."""

    @property
    def counted(self) -> LossWeights:
        """The weights of end-of-turn and level tokens."""

    def for_rows(self, chosen: Sequence[int], passes: Passes) -> Objective:
        """Return the objective of an update of these rows, with what follows from all of them at once."""

    def weighed(self, chosen: Sequence[int], batch: Targets, losses: NDArray[np.float64]) -> Weighed:
        """Return what rows come to whose targets have these cross-entropies."""

    def value(self, chosen: Sequence[int], batch: Targets, losses: Array) -> tuple[Array, Array]:
        """Return the summed loss of rows, and loss, mass, margin and preferred together, shape (4,), computed by MLX."""


@dataclass(frozen=True, slots=True)
class Answers:
    """The cross-entropy of the trained tokens."""

    counted: LossWeights = EVEN
    unit: int = 1

    def for_rows(self, chosen: Sequence[int], passes: Passes) -> Answers:
        """Return this."""
        del chosen, passes
        return self

    def weighed(self, chosen: Sequence[int], batch: Targets, losses: NDArray[np.float64]) -> Weighed:
        """Return the loss, each target as often as it counts."""
        del chosen
        return Weighed(float(losses @ batch.weights), batch.mass, batch.weights)

    def value(self, chosen: Sequence[int], batch: Targets, losses: Array) -> tuple[Array, Array]:
        """Return the loss, each target as often as it counts."""
        import mlx.core as mx

        del chosen
        loss = mx.sum(losses * mx.array(batch.weights))
        return loss, mx.stack([loss, mx.array(batch.mass), mx.array(0.0), mx.array(0.0)])


ANSWERS = Answers()
