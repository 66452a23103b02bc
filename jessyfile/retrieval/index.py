"""An index of texts: how near a question is to each of them, from 0 (nothing in common) to 1 (the same words).

The measure is the cosine of TF-IDF weights over pieces of words (`retrieval.pieces`): a piece counts with
1 + ln(its occurrences), times 1 + ln((texts + 1) / (texts that hold it + 1)). Turkish glues suffixes to words and people
type as they speak, so pieces find what whole words miss. `benchmarks/retrieval.py` measures it against other ways. Pieces of consonants,
where an index has them, count three quarters of that.

Not covered: meaning. `ismin nedir` is not found near `adın ne`, unless a row says it so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from jessyfile.errors import DamagedError
from jessyfile.fsops import read_bytes, write_bytes
from jessyfile.retrieval.pieces import Counted, counted

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

FILE = "index.safetensors"
_ARRAYS = ("keys", "starts", "owners", "weights")
_CONSONANTS = 0.75  # what a piece of consonants counts beside one of letters: docs/retrieval.md says why


@dataclass(frozen=True, slots=True)
class Pieces:
    """The weights of a question's pieces, the squares of which come to 1, and of those `known` to an index their places in `keys`, too."""

    weights: NDArray[np.float64]
    known: list[tuple[int, float]]


@dataclass(frozen=True)
class Index:
    """n texts by their pieces: piece `keys[i]` weighs `weights[starts[i]:starts[i + 1]]` in the texts `owners[...]`; `size` is n."""

    keys: NDArray[np.int64]
    starts: NDArray[np.int64]
    owners: NDArray[np.int32]
    weights: NDArray[np.float32]
    size: int

    @classmethod
    def build(cls, texts: Sequence[str], consonants: bool = False) -> Index:
        """Return the index of these texts, by the pieces of their consonants, too, if so wished; equal texts give equal arrays."""
        import numpy as np

        found = counted(texts, consonants)
        vocabulary = np.unique(found.keys)
        columns = np.searchsorted(vocabulary, found.keys)
        held = np.bincount(columns, minlength=len(vocabulary))
        weights = (_said(found) * _rarity(held, len(texts))[columns]).astype(np.float32)
        lengths = np.sqrt(np.bincount(found.owners, weights**2, minlength=len(texts))).astype(np.float32)
        order = np.argsort(columns, kind="stable")
        return cls(
            keys=vocabulary,
            starts=np.concatenate(([0], np.cumsum(held))),
            owners=found.owners[order],
            weights=(weights / lengths[found.owners])[order],
            size=len(texts),
        )

    @cached_property
    def _rarities(self) -> NDArray[np.float64]:
        import numpy as np

        return _rarity(np.diff(self.starts), self.size)

    def scores(self, question: str) -> NDArray[np.float64]:
        """Return how near each text is to a question, from 0 to 1."""
        import numpy as np

        found = np.zeros(self.size)
        for place, weight in self.pieces_of(question).known:
            held = slice(self.starts[place], self.starts[place + 1])
            found[self.owners[held]] += weight * self.weights[held]
        return found.clip(0, 1)

    def pieces_of(self, question: str) -> Pieces:
        """Return the pieces of a question."""
        import numpy as np

        asked = counted([question], consonants=bool(len(self.keys) and self.keys[0] < 0))
        place = np.searchsorted(self.keys, asked.keys)
        known = np.append(self.keys, -1)[place] == asked.keys
        rarities = np.full(len(asked.keys), _rarity(np.zeros(1), self.size)[0])
        rarities[known] = self._rarities[place[known]]
        weights = _said(asked) * rarities
        weights /= np.sqrt((weights**2).sum()) or 1.0
        return Pieces(weights, list(zip(place[known].tolist(), weights[known].tolist(), strict=True)))

    def save(self, folder: Path) -> None:
        """Write the index into a folder; equal indexes are equal bytes."""
        from safetensors.numpy import save

        write_bytes(folder / FILE, save({name: getattr(self, name) for name in _ARRAYS}))

    @classmethod
    def load(cls, folder: Path, size: int) -> Index:
        """Return a folder's index of so many texts. Raises DamagedError when its file is not as it was written."""
        from safetensors import SafetensorError
        from safetensors.numpy import load

        try:
            arrays = load(read_bytes(folder / FILE))
            found = cls(arrays["keys"], arrays["starts"], arrays["owners"], arrays["weights"], size)
            whole = found._is_whole()
        except (FileNotFoundError, SafetensorError, KeyError, IndexError):
            whole = False
        if not whole:
            raise DamagedError(
                f"the index in `{folder}` is not as it was written",
                hint="run `jessy fsck --repair`, then `jessy apply`",
            )
        return found

    def _is_whole(self) -> bool:
        """Return whether the arrays fit together, so that no question reads outside them."""
        import numpy as np

        arrays = [getattr(self, name) for name in _ARRAYS]
        kinds = [(array.dtype, array.ndim) for array in arrays]
        if kinds != [(np.int64, 1), (np.int64, 1), (np.int32, 1), (np.float32, 1)]:
            return False
        if len(self.starts) != len(self.keys) + 1 or len(self.owners) != len(self.weights):
            return False
        ends = (int(self.starts[0]), int(self.starts[-1]))
        rising = bool((np.diff(self.starts) >= 0).all() and (np.diff(self.keys) > 0).all())
        within = not len(self.owners) or (self.owners.min() >= 0 and self.owners.max() < self.size)
        return rising and bool(within) and ends == (0, len(self.owners))


def _said(found: Counted) -> NDArray[np.float64]:
    """Return the weight of pieces that stand so often in a text."""
    import numpy as np

    return (1 + np.log(found.counts)) * np.where(found.keys < 0, _CONSONANTS, 1.0)


def _rarity(held: NDArray[np.int64] | NDArray[np.float64], texts: int) -> NDArray[np.float64]:
    """Return the weight of pieces that so many of the texts hold."""
    import numpy as np

    return 1 + np.log((1 + texts) / (1 + held))
