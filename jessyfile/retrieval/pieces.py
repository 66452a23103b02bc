"""The pieces of words by which texts are compared: every three letters of a word, as exact numbers.

A text is read without case, punctuation and Turkish letters (`text.turkish.folded_normal`), so `İYİYİM`, `iyiyim` and
`IYIYIM` have the same pieces. A letter that is drawn out counts twice: else `saaaaat kaç` would be nearer to `aaaaaa` than to
`saat kaç`. A piece never reaches over two words; the space before and behind a word counts as a letter of it. A text
without letters or digits, such as `🙂`, is taken as it stands.

Whoever types in a hurry leaves vowels out (`nslsn`, `gnydn`) or a letter twice. So a text may be read a second time by its consonants:
without the vowels inside and behind its words, letters that stand twice once. Their pieces are numbers below 0.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from jessyfile.text.turkish import folded_normal

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_SPACE = 32
_BITS = 21  # a code point is less than 2 ** 21, so three of them fit into 63 bits
_PART = 4096  # texts at a time: the arrays of one part stay small
_DRAWN = re.compile(r"([^\W\d_])\1{2,}")
_VOWEL = re.compile(r"\B[aeiou]")
_TWICE = re.compile(r"([^\W\d_])\1+")


def folded(text: str) -> str:
    """Return the words by which a text is compared, with single spaces between them."""
    return _DRAWN.sub(r"\1\1", folded_normal(text)) or " ".join(text.split())


def consonants_of(text: str) -> str:
    """Return the words by their consonants, each once: `nasılsınız` and `nslsnz` become `nslsnz`; a vowel that begins a word stays."""
    return _TWICE.sub(r"\1", _VOWEL.sub("", folded(text)))


@dataclass(frozen=True, slots=True)
class Counted:
    """How often each piece occurs in each text: `keys[i]` stands `counts[i]` times in the text `owners[i]`."""

    keys: NDArray[np.int64]
    owners: NDArray[np.int32]
    counts: NDArray[np.int32]


def counted(texts: Sequence[str], consonants: bool = False) -> Counted:
    """Return the pieces of some texts, text by text; with `consonants` those of their consonants, too."""
    import numpy as np

    parts = [_counted(texts[start : start + _PART], start, consonants) for start in range(0, max(len(texts), 1), _PART)]
    return Counted(*(np.concatenate([getattr(part, name) for part in parts]) for name in Counted.__slots__))


def _counted(texts: Sequence[str], first: int, consonants: bool) -> Counted:
    import numpy as np

    keys, owners = _windows([folded(text) for text in texts])
    if consonants:
        others, of = _windows([consonants_of(text) for text in texts])
        keys, owners = np.concatenate((keys, -2 - others)), np.concatenate((owners, of))
    order = np.lexsort((keys, owners))
    keys, owners = keys[order], owners[order]
    starts = np.flatnonzero(np.diff(keys, prepend=-1) | np.diff(owners, prepend=-1))
    counts = np.diff(starts, append=len(keys))
    return Counted(keys[starts], (owners[starts] + first).astype(np.int32), counts.astype(np.int32))


def _windows(texts: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return every three letters of every word, and in which text each stands."""
    import numpy as np

    # each word stands between two spaces of its own, so a window over two words has a space inside
    spaced = [f" {text.replace(' ', '  ')} " for text in texts]
    owner = np.repeat(np.arange(len(texts)), [len(text) for text in spaced])
    points = np.frombuffer("".join(spaced).encode("utf-32-le", "surrogatepass"), np.uint32).astype(np.int64)
    inside = points[1:-1] != _SPACE
    keys = ((points[:-2] << 2 * _BITS) | (points[1:-1] << _BITS) | points[2:])[inside]
    return keys, owner[: len(inside)][inside]
