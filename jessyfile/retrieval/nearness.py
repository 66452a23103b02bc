"""How near a question is to a row that has several wordings, from 0 to 1.

Four measures are mixed, each a share of 1 (`docs/retrieval.md` says on which half of the rows they were chosen):

- the nearest wording: who types a wording again, with slips, means its row;
- the average of all: what is near to one wording by chance comes after what is near to several;
- the row as a whole, which is the sum of its wordings: one that says the same in many ways is not further from all for it;
- how much of the question its wordings hold between them.

Of a short text and a short question more is alike by chance than of long ones. So the first two are divided by a length that lies between
the wording's own and the mean of all, and the whole by one that lies so for the question (pivoted normalization, Singhal, Buckley and
Mitra 1996). The same words stay 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from jessyfile.retrieval.index import Index, Pieces

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

NEAREST, AVERAGE, WHOLE, HELD = 0.4, 0.3, 0.2, 0.1
# how much of the length by which each is divided is its own; the rest is the mean of all wordings
_WORDING, _QUESTION = 0.75, 0.6
_SAME = 0.9999
_PART = 4096  # pieces at a time: the arrays of one part stay small


@dataclass(frozen=True)
class Nearness:
    """An index of the wordings of rows; those of row i begin at `first[i]`."""

    index: Index
    first: NDArray[np.int64]

    def by_row(self, question: str, without: int | None = None) -> NDArray[np.float64]:
        """Return how near each row is to a question; the same pieces as one of its wordings are 1, nothing else is.

        Args:
            question: what is asked.
            without: the place of the wording that is asked, to be taken out of its row, which must have others.
        """
        import numpy as np

        if not len(self.first):
            return np.zeros(0)
        pieces = self.index.pieces_of(question)
        scores, held = self._scores(pieces), self._held(pieces, without)
        counts, lengths = self._counts, self._postings.lengths
        if without is not None:
            counts, lengths, row = counts.copy(), lengths.copy(), self._row_of[without]
            counts[row] -= 1
            lengths[row] -= 2 * scores[self._row_of == row].sum() - 1
            scores[without] = 0
        near = nearest = average = scores * self._weighed
        whole = scores
        if len(self.first) < len(scores):
            nearest = np.maximum.reduceat(near, self.first)
            average = np.add.reduceat(near, self.first) / counts
            whole = np.add.reduceat(scores, self.first) / np.sqrt(np.maximum(lengths, 1e-6))
        mixed = NEAREST * nearest + AVERAGE * average + WHOLE * whole + HELD * held
        mixed = np.minimum(mixed * float(_divided(self._mean, len(pieces.weights), _QUESTION)), _SAME)
        mixed[self._row_of[np.flatnonzero(scores > _SAME)]] = 1
        return mixed

    def _scores(self, pieces: Pieces) -> NDArray[np.float64]:
        """Return how near each wording is to a question of these pieces."""
        import numpy as np

        found, starts = np.zeros(self.index.size), self.index.starts
        for place, weight in pieces.known:
            inside = slice(starts[place], starts[place + 1])
            np.add.at(found, self._owners[inside], weight * self.index.weights[inside].astype(np.float64))
        return found

    def _held(self, pieces: Pieces, without: int | None) -> NDArray[np.float64]:
        """Return which share of a question of these pieces each row holds, of the wording `without` nothing."""
        import numpy as np

        found, starts, rows = np.zeros(len(self.first)), self._postings.starts, self._postings.rows
        for place, weight in pieces.known:
            np.add.at(found, rows[starts[place] : starts[place + 1]], weight * weight)
        if without is not None:
            found[self._row_of[without]] = self._held_by_others(pieces, without)
        return found

    def _held_by_others(self, pieces: Pieces, without: int) -> float:
        """Return which share of a question the other wordings of a row hold."""
        first = int(self.first[self._row_of[without]])
        others = set(range(first, first + int(self._counts[self._row_of[without]]))) - {without}
        owners, starts = self.index.owners, self.index.starts
        held = (
            weight * weight
            for place, weight in pieces.known
            if others & set(owners[starts[place] : starts[place + 1]].tolist())
        )
        return sum(held)

    @cached_property
    def _owners(self) -> NDArray[np.intp]:
        """The owners of the index's weights as NumPy adds by them the fastest."""
        import numpy as np

        return self.index.owners.astype(np.intp)

    @cached_property
    def _counts(self) -> NDArray[np.int64]:
        """How many wordings each row has."""
        import numpy as np

        return np.diff(self.first, append=self.index.size)

    @cached_property
    def _row_of(self) -> NDArray[np.intp]:
        """The row of each wording."""
        import numpy as np

        return np.repeat(np.arange(len(self.first)), self._counts)

    @cached_property
    def _pieces(self) -> NDArray[np.int64]:
        """How many pieces each wording has; one that has none counts as of one."""
        import numpy as np

        return np.maximum(np.bincount(self.index.owners, minlength=self.index.size), 1)

    @cached_property
    def _mean(self) -> float:
        """The mean length of a wording."""
        import numpy as np

        return float(np.sqrt(self._pieces).mean())

    @cached_property
    def _weighed(self) -> NDArray[np.float64]:
        """What the nearness of each wording is multiplied by: below 1 for one shorter than the mean, above for a longer one."""
        return _divided(self._mean, self._pieces, _WORDING)

    @cached_property
    def _postings(self) -> _Postings:
        """The rows that hold each piece."""
        import numpy as np

        index, many = self.index, len(self.index.keys)
        if len(self.first) == index.size:
            return _Postings(index.starts, self._owners, np.ones(len(self.first)))
        held, parts, lengths = np.zeros(many + 1, np.int64), [], np.zeros(len(self.first))
        for start in range(0, many, _PART):
            end = min(start + _PART, many)
            inside = slice(index.starts[start], index.starts[end])
            rows = self._row_of[index.owners[inside]]
            keys = np.repeat(np.arange(start, end), np.diff(index.starts[start : end + 1]))
            # the wordings that hold a piece stand in their order, so those of one row stand together
            firsts = np.flatnonzero(np.diff(rows, prepend=-1) | np.diff(keys, prepend=-1))
            sums = np.add.reduceat(index.weights[inside], firsts)
            parts.append(rows[firsts])
            lengths += np.bincount(parts[-1], sums**2, minlength=len(lengths))
            held[start + 1 : end + 1] = np.bincount(keys[firsts] - start, minlength=end - start)
        return _Postings(np.cumsum(held), np.concatenate(parts), lengths)


@dataclass(frozen=True, slots=True)
class _Postings:
    """Piece i stands in the rows `rows[starts[i]:starts[i + 1]]`; `lengths` are the squared lengths of the rows' sums of wordings."""

    starts: NDArray[np.int64]
    rows: NDArray[np.intp]
    lengths: NDArray[np.float64]


def _divided(mean: float, pieces: NDArray[np.int64] | int, own: float) -> NDArray[np.float64]:
    """Return what a nearness by the cosine is multiplied by, so that only the share `own` of its text's length divides it."""
    import numpy as np

    return np.asarray(1 / (own + (1 - own) * mean / np.sqrt(np.maximum(pieces, 1))))
