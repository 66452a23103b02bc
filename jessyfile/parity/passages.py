"""Which tokens are compared: conversations that were not trained on, and places along their own answers.

Each place asks for the token that stands there in the conversation, after the tokens before it (teacher forcing), so that
one wrong token changes nothing behind it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jessyfile.training.encoded import Encoded

_PLACES = 12


@dataclass(frozen=True, slots=True)
class Passage:
    """A conversation's token ids, and the places in it, ascending and none of them 0, whose token is asked for."""

    ids: tuple[int, ...]
    places: tuple[int, ...]

    @property
    def targets(self) -> tuple[int, ...]:
        """Return the tokens that stand at the places."""
        return tuple(self.ids[place] for place in self.places)


def trained_passages(rows: Encoded, count: int) -> list[Passage]:
    """Return `count` rows, spread over all, with places at what is trained of them."""
    prefix, found = tuple(int(token) for token in rows.prefix), list[Passage]()
    for number in spread(len(rows), count):
        tokens, trained = rows.row(number)
        places = [len(prefix) + at for at, one in enumerate(trained.tolist()) if one and len(prefix) + at]
        if places:
            ids = (*prefix, *tokens.tolist())
            found.append(Passage(ids[: places[-1] + 1], tuple(places[at] for at in spread(len(places), _PLACES))))
    return found


def plain_passage(ids: Sequence[int]) -> Passage:
    """Return a text's ids with places spread over all of it."""
    return Passage(tuple(ids), tuple(1 + at for at in spread(len(ids) - 1, _PLACES)))


def spread(count: int, most: int) -> list[int]:
    """Return at most `most` of `count` numbers, evenly spread, the first and the last among them."""
    if count <= most:
        return list(range(count))
    return sorted({round(at * (count - 1) / (most - 1)) for at in range(most)})
