"""Keys and values of the prefix that all rows share: one part of an update computes them for those that are computed beside it.

Layer by layer the others wait for them, and on the way back it waits for the gradients that the others have for them. So an update
pays for the prefix once. Nobody waits in a circle: on the way forward only the others wait, on the way back only the one.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from concurrent.futures import Future, InvalidStateError
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from jessyfile.training.tape import Matrix

Pair: TypeAlias = "tuple[Matrix, Matrix]"
Layers: TypeAlias = "list[Future[Pair]]"


@dataclass(frozen=True, slots=True)
class PrefixAt:
    """A part's way to the prefix in one layer.

    pairs      the prefix's keys and values by layer, from the part that computes them
    gradients  what each of the other parts gives back, by layer
    own        where this part gives back; nothing for the one that computes the prefix
    layer      the layer
    """

    pairs: Layers
    gradients: tuple[Layers, ...]
    own: Layers
    layer: int = 0

    def give(self, keys: Matrix, values: Matrix) -> None:
        """Tell the others what the prefix's keys and values are; a layer that is computed again tells nothing new."""
        if not self.pairs[self.layer].done():
            self.pairs[self.layer].set_result((keys.copy(), values.copy()))

    def take(self) -> Pair:
        """Wait for the prefix's keys and values."""
        return self.pairs[self.layer].result()

    def give_back(self, of_keys: Matrix, of_values: Matrix) -> None:
        """Tell the part that computes the prefix what this one's gradients of it are."""
        self.own[self.layer].set_result((of_keys, of_values))

    def take_back(self) -> Iterator[Pair]:
        """Wait for the others' gradients, and yield them in the order of the parts."""
        yield from (layers[self.layer].result() for layers in self.gradients)


def seats(layers: int, parts: int) -> list[PrefixAt]:
    """Return the ways of parts that are computed side by side: the first computes the prefix."""
    pairs, *gradients = ([Future[Pair]() for _ in range(layers)] for _ in range(parts))
    return [PrefixAt(pairs, tuple(gradients), own) for own in ([], *gradients)]


@contextlib.contextmanager
def failing_together(prefix: PrefixAt | None) -> Iterator[None]:
    """Let an error inside the block be that of every part that waits for this one."""
    try:
        yield
    except BaseException as error:
        for future in (one for layers in (prefix.pairs, *prefix.gradients) for one in layers) if prefix else ():
            with contextlib.suppress(InvalidStateError):  # it was given before
                future.set_exception(error)
        raise
