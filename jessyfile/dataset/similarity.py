"""How alike rows are, and which of them are too alike (near duplicates).

The similarity of two texts is the Jaccard index of their sets of character 4-grams, taken from the normal form
(Turkish lower case, punctuation removed, letters kept): 1.0 is the same words, 0.0 nothing in common. Turkish glues
suffixes to words, so characters find what whole words miss.

Up to `EXACT_LIMIT` texts every pair is compared. Above that, MinHash (Broder 1997) in bands proposes pairs, and each
proposal is then measured exactly. A reported pair is therefore always right; one in some thousands at the bound may
be missed.

Of texts with one normal form only the first is compared, and each copy is paired with it alone. A text is paired with
at most `_CROWD` earlier ones. Where more texts than that share a band, it is paired with the first of them and with
`_BESIDE` neighbours. So among thousands of texts that are all alike every text is reported, but not every pair.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jessyfile.text.turkish import normal

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Pairs = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]

GRAM = 4
EXACT_LIMIT = 8192
_PERMUTATIONS = 256
_MISSED = 1e-3
_BLOCK = 512
_FEW = 4
_PAIR_BLOCK = 25_000
_HEAD = 32
_CROWD, _BESIDE, _SORTED = 64, 4, 4
_ROUNDED = 1e-9  # beside a bound, so that no rounding of numbers loses a pair


@dataclass(frozen=True, slots=True)
class Grams:
    """The 4-grams of n texts: `hashes` is flat uint32, text i owns `hashes[starts[i]:starts[i + 1]]`."""

    hashes: NDArray[np.uint32]
    starts: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.starts) - 1


def grams(texts: Sequence[str]) -> Grams:
    """Hash every 4-gram of every text's normal form; repeated 4-grams stay repeated."""
    import numpy as np

    padded = [f" {normal(text)} ".ljust(GRAM) for text in texts]
    lengths = np.fromiter((len(text) for text in padded), np.int64, len(padded))
    points = np.frombuffer("".join(padded).encode("utf-32-le"), np.uint32)
    starts = np.concatenate(([0], np.cumsum(lengths - GRAM + 1)))
    ends = np.cumsum(lengths)
    inside = np.ones(max(len(points), 1), bool)
    for back in range(1, GRAM):
        inside[ends - back] = False
    return Grams(_mixed(points)[inside[: max(len(points) - GRAM + 1, 0)]], starts)


def _mixed(points: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """Hash every window of four code points to 32 bits (multiplicative mixing after Steele and Vigna's SplitMix)."""
    import numpy as np

    count = max(len(points) - GRAM + 1, 0)
    value = np.zeros(count, np.uint64)
    for shift in range(GRAM):
        value = value * np.uint64(0x9E3779B97F4A7C15) + points[shift : shift + count]
    value ^= value >> np.uint64(30)
    value *= np.uint64(0xBF58476D1CE4E5B9)
    value ^= value >> np.uint64(27)
    return (value >> np.uint64(32)).astype(np.uint32)


def near_pairs(texts: Sequence[str], bound: float) -> Pairs:
    """Return (i, j, similarity) of every pair i < j whose similarity is at least `bound`, ordered by j, then i; a copy
    is paired with the first of its kind alone."""
    import numpy as np

    first: dict[str, int] = {}
    home = np.fromiter(
        (first.setdefault(normal(text), index) for index, text in enumerate(texts)), np.int64, len(texts)
    )
    copies = np.flatnonzero(home != np.arange(len(texts)))
    unique = np.array(list(first.values()), np.int64)
    found = grams([texts[index] for index in first.values()])
    matrix, sizes = _matrix(found)
    near = _exact(matrix, sizes, bound) if len(unique) <= EXACT_LIMIT else _proposed(found, matrix, sizes, bound)
    parts = [(unique[left], unique[right], similarity) for left, right, similarity in _thinned(near, len(unique))]
    parts.append((home[copies], copies, np.ones(len(copies))))
    left, right, similarity = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    order = np.lexsort((left, right))
    return left[order], right[order], similarity[order]


def _thinned(blocks: Iterator[Pairs], count: int) -> Iterator[Pairs]:
    """Leave every text its first `_CROWD` earlier ones; the blocks come in the order of the earlier texts."""
    import numpy as np

    met = np.zeros(count, np.int64)
    for left, right, similarity in blocks:
        order = np.lexsort((left, right))
        later = right[order]
        rank = np.arange(len(later)) - np.searchsorted(later, later)
        keep = order[rank + met[later] < _CROWD]
        met += np.bincount(right[keep], minlength=count)
        yield left[keep], right[keep], similarity[keep]


def _matrix(found: Grams) -> tuple[Any, NDArray[np.int64]]:
    """Return the texts' distinct 4-grams as a sparse n × vocabulary matrix of ones, and each text's number of them."""
    import numpy as np
    from scipy.sparse import csr_array

    vocabulary, columns = np.unique(found.hashes, return_inverse=True)
    ones = np.ones(len(columns), np.int32)
    matrix = csr_array(
        (ones, columns.astype(np.int32), found.starts.copy()), shape=(len(found), max(len(vocabulary), 1))
    )
    # sum_duplicates works in place: without the copy above it would move the caller's starts
    matrix.sum_duplicates()
    matrix.data[:] = 1
    return matrix, np.diff(matrix.indptr).astype(np.int64)


def _exact(matrix: Any, sizes: NDArray[np.int64], bound: float) -> Iterator[Pairs]:  # noqa: ANN401 (scipy)
    """Yield blocks of pairs i < j that are at least as near as the bound, in the order of the earlier texts.

    Texts that are so near share at least `bound` of either's 4-grams. So, whatever the order in which 4-grams are taken, they share one of
    those that come first in both, all but that share of them (prefix filtering, Chaudhuri et al. 2006): with the rarest first few other
    texts do. Of what comes later no more can be shared than the rest of the one whose first ones end sooner.
    """
    import numpy as np

    rest = np.maximum(np.ceil(bound * sizes - _ROUNDED).astype(np.int64) - 1, 0)
    first = _rarest(matrix, sizes - rest)
    for start in range(0, len(sizes), _BLOCK):
        met = (first[start : start + _BLOCK] @ first[start:].T).tocoo()
        left, right = met.coords[0].astype(np.int64) + start, met.coords[1].astype(np.int64) + start
        most = np.minimum(met.data + np.maximum(rest[left], rest[right]), np.minimum(sizes[left], sizes[right]))
        near = most * (1 + bound) >= bound * (sizes[left] + sizes[right]) - _ROUNDED
        fits = (left < right) & near
        yield _measured(matrix, sizes, (left[fits], right[fits]), bound)


def _rarest(matrix: Any, counts: NDArray[np.int64]) -> Any:  # noqa: ANN401 (scipy)
    """Return of each text that many of its 4-grams, those that the fewest texts have."""
    import numpy as np
    from scipy.sparse import csr_array

    begins, sizes = matrix.indptr[:-1], np.diff(matrix.indptr)
    rank = np.empty(matrix.shape[1], np.int64)
    rank[np.argsort(np.bincount(matrix.indices, minlength=matrix.shape[1]), kind="stable")] = np.arange(matrix.shape[1])
    owner = np.repeat(np.arange(len(sizes)), sizes)
    order = np.lexsort((rank[matrix.indices], owner))
    kept = order[np.arange(len(order)) - begins[owner] < counts[owner]]
    starts = np.concatenate(([0], np.cumsum(np.bincount(owner[kept], minlength=len(sizes)))))
    return csr_array((matrix.data[kept], matrix.indices[kept], starts), shape=matrix.shape)


def _measured(
    matrix: Any,  # noqa: ANN401 (scipy)
    sizes: NDArray[np.int64],
    pairs: tuple[NDArray[np.int64], NDArray[np.int64]],
    bound: float,
) -> Pairs:
    """Return those of the pairs that are at least as near as the bound, each with its similarity."""
    import numpy as np

    shared = np.empty(len(pairs[0]), np.int64)
    for start in range(0, len(shared), _PAIR_BLOCK):
        left, right = (side[start : start + _PAIR_BLOCK] for side in pairs)
        shared[start : start + _PAIR_BLOCK] = matrix[left].multiply(matrix[right]).sum(axis=1)
    left, right = pairs
    similarity = shared / (sizes[left] + sizes[right] - shared)
    keep = similarity >= bound
    return left[keep], right[keep], similarity[keep]


def cross_pairs(left: Sequence[str], right: Sequence[str], bound: float) -> Pairs:
    """Return (i, j, similarity) of every text i of `left` and j of `right` at least as near as the bound; exact."""
    import numpy as np

    if len(left) <= _FEW:
        return _few_pairs(left, right, bound)
    matrix, sizes = _matrix(grams([*left, *right]))
    turned = matrix[len(left) :].T.tocsr()
    parts = []
    for start in range(0, len(left), _BLOCK):
        shared = (matrix[start : min(start + _BLOCK, len(left))] @ turned).tocoo()
        rows, columns = shared.coords[0].astype(np.int64) + start, shared.coords[1].astype(np.int64)
        similarity = shared.data / (sizes[rows] + sizes[columns + len(left)] - shared.data)
        keep = similarity >= bound
        parts.append((rows[keep], columns[keep], similarity[keep]))
    one, other, similarity = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    return one, other, similarity


def _few_pairs(left: Sequence[str], right: Sequence[str], bound: float) -> Pairs:
    """Return what `cross_pairs` does, for so few texts that importing scipy would take longer."""
    import numpy as np

    found = grams([*left, *right])
    owner = np.repeat(np.arange(len(found)), np.diff(found.starts))
    # a text's own repetitions count once: the pair of text and hash is one number
    once = np.unique(owner.astype(np.uint64) << np.uint64(32) | found.hashes)
    owner, hashes = (once >> np.uint64(32)).astype(np.int64), once.astype(np.uint32)
    sizes = np.bincount(owner, minlength=len(found))
    parts = [(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0))]
    for one in range(len(left)):
        shared = np.bincount(owner[np.isin(hashes, hashes[owner == one])], minlength=len(found))[len(left) :]
        alike = shared / (sizes[one] + sizes[len(left) :] - shared)
        near = np.flatnonzero(alike >= bound)
        parts.append((np.full(len(near), one, np.int64), near.astype(np.int64), alike[near]))
    rows, columns, similarity = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    return rows, columns, similarity


def nearest(texts: Sequence[str]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return every text's highest similarity to another one and that one's index, the first of several, -1 where it shares nothing with
    any; exact, for up to `EXACT_LIMIT` texts."""
    import numpy as np

    matrix, sizes = _matrix(grams(texts))
    best, which = np.zeros(len(texts)), np.full(len(texts), -1, np.int64)
    for start in range(0, len(texts), _BLOCK):
        own = slice(start, min(start + _BLOCK, len(texts)))
        shared = (matrix[own] @ matrix[start:].T).toarray()
        alike = shared / (sizes[own, None] + sizes[start:] - shared)
        np.fill_diagonal(alike, 0)
        for side, part in ((0, slice(start, len(texts))), (1, own)):
            at = alike.argmax(axis=side)
            found = np.take_along_axis(alike, np.expand_dims(at, side), side).squeeze(side)
            better = np.flatnonzero(found > best[part]) + start
            best[better], which[better] = found[better - start], at[better - start] + start
    return best, which


def signatures(found: Grams, permutations: int = _PERMUTATIONS) -> NDArray[np.uint32]:
    """Return the MinHash signatures, one row a text: for each permutation the least hash of the text's 4-grams.

    A permutation is multiply-shift by an odd 64-bit number (Dietzfelbinger et al. 1997) from a fixed seed.
    """
    import numpy as np

    generator = np.random.default_rng(20_240_229)
    factors = generator.integers(0, 2**63, permutations, dtype=np.uint64) * np.uint64(2) + np.uint64(1)
    offsets = generator.integers(0, 2**63, permutations, dtype=np.uint64)
    out = np.empty((len(found), permutations), np.uint32)
    step = max(1, len(found) // max(1, len(found.hashes) // 1_000_000))
    for start in range(0, len(found), step):
        stop = min(start + step, len(found))
        piece = found.hashes[found.starts[start] : found.starts[stop]].astype(np.uint64)
        cuts = found.starts[start:stop] - found.starts[start]
        block = np.empty((permutations, stop - start), np.uint32)
        for index in range(permutations):
            block[index] = np.minimum.reduceat((piece * factors[index] + offsets[index]) >> np.uint64(32), cuts)
        out[start:stop] = block.T
    return out


def banding(bound: float, permutations: int = _PERMUTATIONS) -> tuple[int, int]:
    """Return (bands, rows a band): the longest bands that still find a pair at the bound, save one in a thousand."""
    choices = [(permutations // rows, rows) for rows in range(1, 17)]
    fitting = [(bands, rows) for bands, rows in choices if (1 - bound**rows) ** bands <= _MISSED]
    return fitting[-1] if fitting else (permutations, 1)


def _candidates(
    found: Grams, sizes: NDArray[np.int64], bound: float
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Yield blocks of pairs i < j, each pair once, that share a band and may be as near as the bound."""
    import numpy as np

    signed = signatures(found)
    head = np.ascontiguousarray(signed[:, :_HEAD])
    bands, width = banding(bound)
    fresh = [np.empty(0, np.int64)]
    for band in range(bands):
        columns = np.arange(band * width, (band + 1) * width + _SORTED) % signed.shape[1]
        for left, right in _bucket_pairs(signed[:, columns[:width]], signed[:, columns[width:]]):
            # two sets of unequal size cannot be near; after that ever more of the signatures is compared
            fits = np.minimum(sizes[left], sizes[right]) >= bound * np.maximum(sizes[left], sizes[right])
            left, right = left[fits], right[fits]
            for part, slack in ((head, 0.3), (signed, 0.12)):
                agree = (part[left] == part[right]).mean(axis=1) >= bound - slack
                left, right = left[agree], right[agree]
            fresh.append(left * len(found) + right)
    codes = np.unique(np.concatenate(fresh))
    for start in range(0, len(codes), _PAIR_BLOCK):
        yield np.divmod(codes[start : start + _PAIR_BLOCK], len(found))


def _bucket_pairs(
    band: NDArray[np.uint32], beside: NDArray[np.uint32]
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Yield blocks of pairs of texts whose band is equal; of a crowd, those pairs that leave nobody out."""
    import numpy as np

    keys = np.ascontiguousarray(band).view(np.dtype((np.void, band.dtype.itemsize * band.shape[1]))).ravel()
    _, bucket = np.unique(keys, return_inverse=True)
    # within a bucket by the next hashes, so that in a crowd neighbours are alike
    order = np.lexsort((*beside.T, bucket)).astype(np.int64)
    sizes = np.bincount(bucket)
    begins = np.concatenate(([0], np.cumsum(sizes)))[:-1]
    remaining = (begins + sizes)[bucket[order]] - np.arange(len(order)) - 1
    crowded = sizes > _CROWD
    remaining = np.where(crowded[bucket[order]], np.minimum(remaining, _BESIDE), remaining)
    if crowded.any():
        leader = np.minimum.reduceat(order, begins)[bucket]
        led = np.flatnonzero(crowded[bucket] & (leader != np.arange(len(bucket))))
        yield leader[led], led
    total = np.concatenate(([0], np.cumsum(remaining)))
    start = 0
    while start < len(order):
        stop = max(start + 1, int(np.searchsorted(total, total[start] + _PAIR_BLOCK, "right")) - 1)
        counts = remaining[start:stop]
        left = np.repeat(np.arange(start, stop), counts)
        right = left + 1 + np.arange(len(left)) - np.repeat(total[start:stop] - total[start], counts)
        one, other = order[left], order[right]
        if len(one):
            yield np.minimum(one, other), np.maximum(one, other)
        start = stop


def _proposed(found: Grams, matrix: Any, sizes: NDArray[np.int64], bound: float) -> Iterator[Pairs]:  # noqa: ANN401 (scipy)
    for pairs in _candidates(found, sizes, bound):
        yield _measured(matrix, sizes, pairs, bound)


def first_of_each(texts: Sequence[str], bound: float) -> tuple[list[int], dict[int, int]]:
    """Keep every text that is not near an earlier kept one; return the kept indices and {dropped: the kept one it is
    near}."""
    dropped: dict[int, int] = {}
    for one, other, alike in zip(*(column.tolist() for column in near_pairs(texts, bound)), strict=True):
        # what has the very grams of a dropped text is near what that one is near
        if other not in dropped and (one not in dropped or alike == 1):
            dropped[other] = dropped.get(one, one)
    return [index for index in range(len(texts)) if index not in dropped], dropped


def groups(count: int, links: Sequence[tuple[int, int]]) -> list[int]:
    """Return every item's group, named by its least member, when linked items belong together."""
    parent = list(range(count))

    def root(item: int) -> int:
        while parent[item] != item:
            parent[item] = parent[parent[item]]
            item = parent[item]
        return item

    for one, other in links:
        low, high = sorted((root(one), root(other)))
        parent[high] = low
    return [root(item) for item in range(count)]
