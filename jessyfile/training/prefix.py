"""Keys and values of the prefix that all rows share: parts that are computed side by side each have some of its tokens.

Layer by layer every part gives the others its keys and values of the prefix and waits for theirs, and on the way back its gradients of
the whole of it. So an update pays for the prefix once, and its tokens even out what the rows leave uneven. Nobody waits in a circle:
what a part waits for, the others give before they wait themselves.
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

    part       which of the parts it is
    pairs      of every part, by layer: the keys and values of its tokens of the prefix
    gradients  of every part, by layer: what its rows pull the whole prefix's keys and values by
    layer      the layer
    """

    part: int
    pairs: tuple[Layers, ...]
    gradients: tuple[Layers, ...]
    layer: int = 0

    def exchanged(self, keys: Matrix, values: Matrix) -> list[Pair]:
        """Give this part's keys and values, and return every part's; a layer that is computed again gives nothing new."""
        _give(self.pairs[self.part][self.layer], (keys, values))
        return [layers[self.layer].result() for layers in self.pairs]

    def exchanged_back(self, of_keys: Matrix, of_values: Matrix, *, wanted: bool) -> Iterator[Pair]:
        """Give this part's gradients of the whole prefix, and yield the others' where they are wanted."""
        _give(self.gradients[self.part][self.layer], (of_keys, of_values))
        others = (layers for part, layers in enumerate(self.gradients) if wanted and part != self.part)
        yield from (layers[self.layer].result() for layers in others)


def ways(layers: int, parts: int) -> list[PrefixAt]:
    """Return the ways of parts that are computed side by side."""
    pairs, gradients = (tuple([Future[Pair]() for _ in range(layers)] for _ in range(parts)) for _ in range(2))
    return [PrefixAt(part, pairs, gradients) for part in range(parts)]


@contextlib.contextmanager
def failing_together(prefix: PrefixAt | None) -> Iterator[None]:
    """Let an error inside the block be that of every part that waits for this one."""
    try:
        yield
    except BaseException as error:
        for future in (one for layers in (*prefix.pairs, *prefix.gradients) for one in layers) if prefix else ():
            with contextlib.suppress(InvalidStateError):  # it was given before
                future.set_exception(error)
        raise


def _give(future: Future[Pair], pair: Pair) -> None:
    if not future.done():
        with contextlib.suppress(InvalidStateError):  # another part has failed meanwhile
            future.set_result((pair[0].copy(), pair[1].copy()))
