"""Causal attention of rows that lie one after the other and share a prefix, in NumPy, with its gradient.

Scores are computed for some queries at a time, up to the last key that these see, and again for the gradient: they are never kept, so
memory grows with a row's length and not with its square (as in FlashAttention, Dao et al. 2022).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jessyfile.training.batches import Layout
    from jessyfile.training.prefix import PrefixAt
    from jessyfile.training.tape import Matrix, Tape, Traced

_QUERIES = 128


@dataclass(frozen=True, slots=True)
class Heads:
    """How a layer attends.

    count, kv_count  heads of the queries, and of the keys and values that groups of them share
    scale            what scores are multiplied by
    cap              scores are bent to stay below it (Gemma 2); None for no cap
    window           how many tokens back are seen, itself included; None for all
    rope             cosine and sine by position, shape (positions, rotated / 2); None for no rotation
    interleaved      whether neighbours are rotated together, or the two halves
    """

    count: int
    kv_count: int
    scale: float
    cap: float | None
    window: int | None
    rope: tuple[Matrix, Matrix] | None
    interleaved: bool


def attended(
    tape: Tape,
    queries: Traced,
    keys: Traced,
    values: Traced,
    heads: Heads,
    rows: Layout,
    prefix: PrefixAt | None = None,
) -> Traced:
    """Return what each token's heads gather from the tokens before it, shape (tokens, heads * size).

    Args:
        tape: where the operation is recorded.
        queries: shape (tokens, heads * size).
        keys: shape (tokens, kv heads * size).
        values: as the keys.
        heads: how the layer attends.
        rows: where the rows lie.
        prefix: the way to a prefix that several parts share; None where nothing is shared.
    """
    import numpy as np

    q, k = _rotated(queries.value, heads.count, heads, rows), _rotated(keys.value, heads.kv_count, heads, rows)
    v, shapes = values.value.reshape(k.shape), (queries.value.shape, keys.value.shape)
    queries.let_go()
    keys.let_go()
    own = len(rows.own)
    if prefix is not None:
        whole = [*prefix.exchanged(k[:own], v[:own]), (k[own:], v[own:])]
        k, v = (np.concatenate(pieces) for pieces in zip(*whole, strict=True))
    out, spread = np.empty_like(q), np.empty(q.shape[:2], np.float32)
    for piece in _pieces(heads, rows):
        scores, _ = piece.scores(q, k)
        top = scores.max(axis=-1, keepdims=True)
        scores -= top
        np.exp(scores, out=scores)
        total = scores.sum(axis=-1, keepdims=True)
        scores /= total
        np.log(total, out=total)
        total += top
        piece.queries(spread[..., None])[...] = total
        piece.queries(out)[...] = scores @ piece.seen(v)

    def back(gradient: Matrix) -> None:
        pulled = gradient.reshape(q.shape)
        of_q, of_k, of_v = np.empty_like(q), np.zeros_like(k), np.zeros_like(v)
        along = np.einsum("thd,thd->th", pulled, out)
        for piece in _pieces(heads, rows):
            scores, bent = piece.scores(q, k)
            scores -= piece.queries(spread[..., None])
            np.exp(scores, out=scores)
            back_to = piece.queries(pulled)
            of_values: Matrix = scores.swapaxes(-1, -2) @ back_to
            piece.give(of_v, of_values)
            pull: Matrix = back_to @ piece.seen(v).swapaxes(-1, -2)
            pull -= piece.queries(along[..., None])
            pull *= scores
            if bent is not None:
                pull *= bent
            pull *= np.float32(heads.scale)
            piece.queries(of_q)[...] = pull @ piece.seen(k)
            piece.give(of_k, pull.swapaxes(-1, -2) @ piece.queries(q))
        if prefix is not None:
            mine, shared = slice(rows.own.start, rows.own.stop), rows.shared
            for others in prefix.exchanged_back(of_k[:shared], of_v[:shared], wanted=bool(rows.own)):
                of_k[mine] += others[0][mine]
                of_v[mine] += others[1][mine]
            of_k, of_v = (np.concatenate([one[mine], one[shared:]]) for one in (of_k, of_v))
        queries.receive(_rotated(of_q, heads.count, heads, rows, back=True).reshape(shapes[0]))
        keys.receive(_rotated(of_k, heads.kv_count, heads, rows, back=True).reshape(shapes[1]))
        values.receive(of_v.reshape(shapes[1]))

    needed = queries.needed or keys.needed or values.needed
    return tape.record(out.reshape(shapes[0]), back, needed=needed)


@dataclass(frozen=True, slots=True)
class _Piece:
    """Some queries of a row, from `first` to `last`, and the keys that they may see: the prefix and the row's from `start` to `last`,
    which lie `ahead` places further on than the queries.
    """

    heads: Heads
    ahead: int
    before: int
    start: int
    first: int
    last: int

    def queries(self, matrix: Matrix) -> Matrix:
        """Return these queries' part of an array (tokens, heads, size) as (kv heads, group, queries, size), a view."""
        part = matrix[self.first : self.last]
        grouped = part.reshape(len(part), self.heads.kv_count, -1, part.shape[-1])
        return grouped.transpose(1, 2, 0, 3)

    def seen(self, matrix: Matrix) -> Matrix:
        """Return the keys' part of an array (tokens, kv heads, size) as (kv heads, 1, keys, size)."""
        import numpy as np

        own = matrix[self.ahead + self.start : self.ahead + self.last]
        part = np.concatenate([matrix[: self.before], own]) if self.before else own
        return part.transpose(1, 0, 2)[:, None]

    def give(self, matrix: Matrix, gradient: Matrix) -> None:
        """Add a gradient, shape (kv heads, group, keys, size), to the keys' part of an array."""
        summed = gradient.sum(axis=1).transpose(1, 0, 2)
        matrix[: self.before] += summed[: self.before]
        matrix[self.ahead + self.start : self.ahead + self.last] += summed[self.before :]

    def scores(self, q: Matrix, k: Matrix) -> tuple[Matrix, Matrix | None]:
        """Return the masked scores, shape (kv heads, group, queries, keys), and the slope of the cap."""
        import numpy as np

        scores: Matrix = self.queries(q) @ self.seen(k).swapaxes(-1, -2)
        scores *= np.float32(self.heads.scale)
        slope = None
        if self.heads.cap:
            scores /= np.float32(self.heads.cap)
            np.tanh(scores, out=scores)
            slope = 1 - scores * scores
            scores *= np.float32(self.heads.cap)
        scores += self._mask()
        return scores, slope

    def _mask(self) -> Matrix:
        import numpy as np

        keys = np.arange(self.before + self.last - self.start)
        at = np.arange(self.first, self.last)[:, None] + self.before - self.start
        hidden = keys > at
        if self.heads.window:
            hidden |= keys <= at - self.heads.window
        return np.where(hidden, np.float32(-np.inf), np.float32(0))


def _pieces(heads: Heads, rows: Layout) -> Iterator[_Piece]:
    own = len(rows.own)
    for start, end, before in rows.spans():
        ahead = rows.shared - own if start >= own else rows.own.start
        for first in range(start, end, _QUERIES):
            yield _Piece(heads, ahead, before, start, first, min(first + _QUERIES, end))


def _rotated(matrix: Matrix, count: int, heads: Heads, rows: Layout, *, back: bool = False) -> Matrix:
    """Return queries or keys, shape (tokens, heads, size), turned by their positions; `back` is the gradient's way."""

    grouped = matrix.reshape(len(matrix), count, -1)
    if heads.rope is None:
        return grouped
    places = rows.positions()
    cosine, sine = (table[places][:, None] for table in heads.rope)
    left, right = _pairs(cosine.shape[-1], interleaved=heads.interleaved)
    sine = -sine if back else sine
    turned = grouped.copy()
    turned[left] = grouped[left] * cosine - grouped[right] * sine
    turned[right] = grouped[left] * sine + grouped[right] * cosine
    return turned


def rope_tables(rope: Any, rotated: int, size: int, positions: int, *, interleaved: bool) -> tuple[Matrix, Matrix]:
    """Return a rotation's cosine and sine by position, as the model's own layer turns ones.

    Whatever scaling a base has is in that layer.

    Args:
        rope: the layer of the model.
        rotated: how many numbers of a head are rotated; the others stay.
        size: the numbers of a head.
        positions: for how many positions.
        interleaved: whether neighbours are rotated together.
    """
    import mlx.core as mx
    import numpy as np

    probe = np.zeros((1, 1, positions, size), np.float32)
    left, right = _pairs(rotated // 2, interleaved=interleaved)
    probe[left] = 1
    turned = np.array(rope(mx.array(probe)))[0, 0]
    return turned[left], turned[right]


def _pairs(half: int, *, interleaved: bool) -> tuple[Any, Any]:
    """Return where the two numbers of each rotated pair are."""
    import numpy as np

    if interleaved:
        return np.s_[..., 0 : 2 * half : 2], np.s_[..., 1 : 2 * half : 2]
    return np.s_[..., :half], np.s_[..., half : 2 * half]
