"""What an update makes smaller: a sum of the targets' cross-entropies, each times what it weighs.

What answers are trained with is that sum itself, and the weights are the recipe's. How far preferred answers lie ahead of others
(`preference_loss`) has the gradient of such a sum, whose weights are known once the answers have been read forward.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from jessyfile.training.batches import COMPARED, EVEN, LossWeights, Targets
from jessyfile.training.vectors import Array, Arrays

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from jessyfile.training.encoded import Encoded

Read = Callable[
    ["Encoded", Sequence[int]], Any
]  # what rows' summed cross-entropy is now: a number, or an array not computed yet


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


class Laid(Protocol):
    """Targets as they lie in a batch: (targets,) their tokens, how much each counts, and which of its rows each belongs to, negative
    for none."""

    @property
    def targets(self) -> NDArray[np.int32]:
        """The tokens."""

    @property
    def weights(self) -> NDArray[np.float32]:
        """How much each counts."""

    @property
    def row(self) -> NDArray[np.integer[Any]]:
        """Which row each belongs to."""


class Objective(Protocol):
    """What is made smaller; `unit` rows lie side by side and are judged together, `counted` weighs tokens beforehand."""

    @property
    def unit(self) -> int:
        """How many rows are judged together."""

    @property
    def counted(self) -> LossWeights:
        """The weights of end-of-turn and level tokens."""

    def for_rows(self, chosen: Sequence[int], read: Read) -> Objective:
        """Return the objective of an update of these rows, with what follows from all of them at once."""

    def mass(self, chosen: Sequence[int], weights: NDArray[np.float32]) -> float:
        """Return what the loss of rows is divided by, whose targets count so much."""

    def weighed(self, chosen: Sequence[int], batch: Targets, losses: NDArray[np.float64]) -> Weighed:
        """Return what rows come to whose targets have these cross-entropies."""

    def given(self, chosen: Sequence[int], laid: Laid, room: int) -> Arrays:
        """Return what `value` takes beside the losses, in shapes that follow from the targets and from `room`, for so many rows."""

    def value(self, given: Arrays, losses: Array) -> tuple[Array, Array]:
        """Return the summed loss of rows, and loss, margin and preferred together, shape (3,), computed by MLX."""


@dataclass(frozen=True, slots=True)
class Answers:
    """The cross-entropy of the trained tokens."""

    counted: LossWeights = EVEN
    unit: int = 1

    def for_rows(self, chosen: Sequence[int], read: Read) -> Answers:
        """Return this."""
        del chosen, read
        return self

    def mass(self, chosen: Sequence[int], weights: NDArray[np.float32]) -> float:
        """Return the sum of the weights."""
        del chosen
        return float(weights.sum(dtype="float64"))

    def weighed(self, chosen: Sequence[int], batch: Targets, losses: NDArray[np.float64]) -> Weighed:
        """Return the loss, each target as often as it counts."""
        del chosen
        return Weighed(float(losses @ batch.weights), batch.mass, batch.weights)

    def given(self, chosen: Sequence[int], laid: Laid, room: int) -> Arrays:
        """Return the weights."""
        del chosen, room
        return {"weights": laid.weights}

    def value(self, given: Arrays, losses: Array) -> tuple[Array, Array]:
        """Return the loss, each target as often as it counts."""
        import mlx.core as mx

        loss = mx.sum(losses * given["weights"])
        return loss, mx.concatenate([loss.reshape(1), mx.zeros(2)])


ANSWERS, BETWEEN = Answers(), Answers(COMPARED)  # whole answers, or what is compared of them


def as_arrays(given: Arrays) -> dict[str, Array]:
    """Return numbers as MLX computes with them."""
    import mlx.core as mx

    return {name: one if isinstance(one, mx.array) else mx.array(one) for name, one in given.items()}
