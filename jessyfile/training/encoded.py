"""Rows as token ids with a mask: what training reads, in one file.

`tokens`, `trained` and `level` are flat and ragged: row i spans offsets[i]:offsets[i+1]. `trained[t]` says whether token t is a target,
that is, whether the model learns to say it after the tokens before it; `level[t]` says whether it names the level in a marker.
All rows begin with the same `prefix` tokens (BOS, the opening
of the user's turn, the system prompt), which are kept once and are never trained.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from jessyfile import fsops
from jessyfile.errors import TrainingError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class EncodedRow:
    """One conversation: ids, which of them are targets, which targets name a level (empty: none), and what batching needs to know."""

    tokens: tuple[int, ...]
    trained: tuple[bool, ...]
    category: str
    language: str
    persona: bool
    level: tuple[bool, ...] = ()


@dataclass(frozen=True, slots=True)
class Encoded:
    """A split as arrays. Shapes: tokens, trained, level (sum of lengths,), offsets (rows + 1,), the rest (rows,).

    `end`, shape (1,), is the token that ends an answer, -1 where none is known.
    """

    prefix: NDArray[np.int32]
    tokens: NDArray[np.int32]
    trained: NDArray[np.bool_]
    level: NDArray[np.bool_]
    offsets: NDArray[np.int64]
    language: NDArray[np.int32]
    persona: NDArray[np.bool_]
    end: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def lengths(self) -> NDArray[np.int64]:
        """Return every row's number of tokens after the prefix."""
        return self.offsets[1:] - self.offsets[:-1]

    def row(self, index: int) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
        """Return one row's tokens and mask, without the prefix."""
        span = slice(int(self.offsets[index]), int(self.offsets[index + 1]))
        return self.tokens[span], self.trained[span]

    def part(self, start: int, end: int) -> Encoded:
        """Return the rows from one number up to another."""
        rows, span = slice(start, end), slice(int(self.offsets[start]), int(self.offsets[min(end, len(self))]))
        return replace(
            self,
            tokens=self.tokens[span],
            trained=self.trained[span],
            level=self.level[span],
            offsets=self.offsets[start : end + 1] - self.offsets[start],
            language=self.language[rows],
            persona=self.persona[rows],
        )


def common_prefix(rows: Sequence[EncodedRow]) -> tuple[int, ...]:
    """Return the tokens that all rows begin with, none of them trained, leaving every row at least one of its own."""
    if not rows:
        return ()
    first = rows[0]
    shared = min(len(row.tokens) for row in rows) - 1
    for row in rows:
        limit = 0
        while limit < shared and row.tokens[limit] == first.tokens[limit] and not row.trained[limit]:
            limit += 1
        shared = limit
    return first.tokens[:shared]


def pack(rows: Sequence[EncodedRow], prefix: Sequence[int], end: int = -1) -> Encoded:
    """Turn rows into arrays, cutting off the prefix that they share."""
    import numpy as np

    cut = len(prefix)
    languages = sorted({row.language for row in rows})
    lengths = [len(row.tokens) - cut for row in rows]
    return Encoded(
        prefix=np.array(prefix, dtype=np.int32),
        tokens=np.array([t for row in rows for t in row.tokens[cut:]], dtype=np.int32),
        trained=np.array([t for row in rows for t in row.trained[cut:]], dtype=np.bool_),
        level=np.array([t for row in rows for t in _level(row)[cut:]], dtype=np.bool_),
        offsets=np.cumsum([0, *lengths]).astype(np.int64),
        language=np.array([languages.index(row.language) for row in rows], dtype=np.int32),
        persona=np.array([row.persona for row in rows], dtype=np.bool_),
        end=np.array([end], dtype=np.int32),
    )


def with_prefix(rows: Encoded) -> Encoded:
    """Return the same rows, each with the prefix before it, and none that they share."""
    import numpy as np

    lead, count = len(rows.prefix), len(rows)
    places = np.repeat(rows.offsets[:-1], lead)
    return replace(
        rows,
        prefix=rows.prefix[:0],
        tokens=np.insert(rows.tokens, places, np.tile(rows.prefix, count)),
        trained=np.insert(rows.trained, places, False),
        level=np.insert(rows.level, places, False),
        offsets=rows.offsets + lead * np.arange(count + 1),
    )


def _level(row: EncodedRow) -> tuple[bool, ...]:
    return row.level or (False,) * len(row.tokens)


def save(encoded: Encoded, path: Path) -> None:
    """Write a split as safetensors: same rows, same bytes."""
    from safetensors.numpy import save as serialize

    fsops.write_bytes(path, serialize({name: getattr(encoded, name) for name in Encoded.__slots__}))


def load(path: Path) -> Encoded:
    """Read a split. Raises TrainingError when the file is not one."""
    from safetensors import SafetensorError
    from safetensors.numpy import load as deserialize

    try:
        return Encoded(**deserialize(path.read_bytes()))
    except (OSError, SafetensorError, TypeError) as error:
        raise TrainingError(f"cannot read the encoded rows in `{path}`: {error}") from error
