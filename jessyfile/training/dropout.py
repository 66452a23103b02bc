"""What dropout drops on a CPU: drawn for each row by itself, so that it matters to no row beside which others it is computed, nor where."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

    from jessyfile.training.batches import Packed
    from jessyfile.training.tape import Matrix

_STEPS = 1 << 16  # a unit is kept with a probability of so many steps


@dataclass(frozen=True, slots=True)
class Drops:
    """What one layer drops of some rows: of each how many tokens there are and which of them are here, and what its numbers follow from."""

    tokens: Sequence[tuple[int, slice]]
    keys: Sequence[Sequence[int]]
    _streams: list[np.random.SFC64] = field(default_factory=list)

    def at(self, counts: Sequence[int]) -> Drops:
        """Return what goes on with so many tokens of each row."""
        return replace(self, tokens=[(count, slice(count)) for count in counts])

    def factors(self, width: int, kept: float) -> Matrix:
        """Return what the units of each token are multiplied by, shape (tokens, width): 0 where dropped."""
        import numpy as np

        if not self._streams:
            self._streams.extend(np.random.SFC64(key) for key in self.keys)
        least = max(1, round(kept * _STEPS))
        drawn = [
            stream.random_raw(-(-count * width // 4)).view(np.uint16)[: count * width].reshape(count, width)[here]
            for (count, here), stream in zip(self.tokens, self._streams, strict=True)
        ]
        return np.multiply(np.concatenate(drawn) < least, np.float32(_STEPS / least), dtype=np.float32)


def seed_at(seed: int, update: int, part: int) -> int:
    """Mix seed and place into 63 bits (SplitMix64's multiplier), so that dropout follows from where training is."""
    return (seed * 0x9E3779B97F4A7C15 + update * 0xBF58476D1CE4E5B9 + part * 0x94D049BB133111EB) % (1 << 63)


def drops(batch: Packed, seed: int, layer: int) -> Drops:
    """Return what a layer drops of a batch's rows, and of the tokens of their prefix that lie with them."""
    layout, own = batch.rows, batch.rows.own
    tokens = [(end - start, slice(end - start)) for start, end in pairwise(layout.starts)]
    keys = [(seed, layer, number + 1) for number in batch.numbers]
    if own:
        tokens, keys = [(layout.shared, slice(own.start, own.stop)), *tokens], [(seed, layer, 0), *keys]
    return Drops(tokens, keys)


def targets_of_rows(batch: Packed) -> list[int]:
    """Return how many targets lie in each row, and in the prefix where it lies with them: none."""
    import numpy as np

    ends = [end for _, end, _ in batch.rows.spans()]
    return [int(count) for count in np.diff(np.searchsorted(batch.where, ends), prepend=0)]
