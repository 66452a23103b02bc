"""What the layers below the lowest adapted one make of rows: it never changes while an adapter is trained, so it is computed once.

It is computed before the first update, in parts that follow from the rows alone: a training that goes on holds the same bits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from jessyfile.models.shape import shape_of
from jessyfile.training.cpu_pass import CpuPass, Portion
from jessyfile.training.decoder import frozen_layers

if TYPE_CHECKING:
    from jessyfile.training.batches import Packed
    from jessyfile.training.encoded import Encoded
    from jessyfile.training.tape import Matrix

FROZEN_BYTES = 1 << 25  # of the trained rows, and of the held-out ones; of more nothing is kept


@dataclass(frozen=True, slots=True)
class FrozenStates:
    """What enters the lowest adapted layer of some rows: of their prefix, shape (shared, hidden), and of each row by its number."""

    of: Encoded
    prefix: Matrix
    rows: Mapping[int, Matrix]

    def given(self, batch: Packed) -> Packed:
        """Return a batch that begins with the lowest adapted layer."""
        import numpy as np

        first, rows = batch.rows.own, [self.rows[number] for number in batch.numbers]
        return replace(batch, entering=np.concatenate([self.prefix[first.start : first.stop], *rows]))


def worth_keeping(model: Any, rows: Encoded) -> bool:
    """Return whether layers are frozen below the lowest adapted one, and what they make of rows is little enough to be kept."""
    size = 4 * shape_of(vars(model.args)).hidden * (int(rows.lengths().sum()) + len(rows.prefix))
    return len(rows) > 0 and frozen_layers(model) > 0 and size <= FROZEN_BYTES


def frozen_states(work: CpuPass, rows: Encoded, groups: Sequence[Sequence[Packed]]) -> FrozenStates:
    """Return what enters the lowest adapted layer of rows, which are given in parts, those together that are computed at once."""
    import numpy as np

    found: dict[int, Matrix] = {}
    for group in groups:
        computed = work.below([Portion(batch) for batch in group])
        for batch, states in zip(group, computed, strict=True):
            own = [states[start:end] for start, end, _ in batch.rows.spans()][-len(batch.numbers) :]
            found.update(zip(batch.numbers, own, strict=True))
        prefix = np.concatenate([states[: len(batch.rows.own)] for batch, states in zip(group, computed, strict=True)])
    return FrozenStates(rows, prefix, found)
