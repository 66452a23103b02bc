"""AUGMENT: rows whose user text is rewritten, in exactly the asked shares, the answer left alone."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from jessyfile.dataset.augment import asciified, slangy, typo
from jessyfile.dataset.rows import Row, alone, with_query
from jessyfile.dataset.select import shuffled
from jessyfile.dataset.similarity import near_pairs

if TYPE_CHECKING:
    from jessyfile.language.recipe import Augment

Rewrite = Callable[[str, random.Random], str]
REWRITES: dict[str, Rewrite] = {
    "asciify": lambda text, _: asciified(text),
    "slang": lambda text, _: slangy(text),
    "typos": typo,
}
_MARK = "augment."
_ROUNDS = 4


def _rewritten(row: Row, name: str, seed: int) -> Row | None:
    """Return the row rewritten by one of `REWRITES`, or None when that changes nothing or the row is not in Turkish."""
    if row.example.language == "en" or row.example.source.startswith(_MARK):
        return None
    query = REWRITES[name](row.example.query, random.Random(f"{seed}/{name}/{row.id}"))
    return with_query(row, query, f"{_MARK}{name}") if query != row.example.query else None


def _quotas(augment: Augment, count: int) -> dict[str, int]:
    return {name: round(getattr(augment, name) * count) for name in REWRITES}


def variants(rows: Sequence[Row], augment: Augment, count: int, seed: int, purpose: str) -> Iterator[Row]:
    """Yield rewritten copies of rows; the caller still passes them through the filters.

    Args:
        rows: the rows to rewrite.
        augment: the share of each kind of rewrite.
        count: how many rows the topic needs; the shares are shares of it.
        seed: the recipe's seed.
        purpose: what the rows are for; two purposes choose independently.

    Yields:
        One copy at a time, at most the share of each kind.
    """
    for name, quota in _quotas(augment, count).items():
        made = (_rewritten(row, name, seed) for row in shuffled(rows, seed, f"{purpose}/{name}"))
        for _, row in zip(range(quota), (row for row in made if row is not None), strict=False):
            yield alone(row)


def rewrite_shares(rows: Sequence[Row], augment: Augment, seed: int, purpose: str, bound: float) -> list[Row]:
    """Rewrite rows in place until each share is met; variants made before count too.

    A row is rewritten at most once, and not when that brings it nearer to another row than the bound. Where too few rows
    can be rewritten, the share stays below what was asked.

    Args:
        rows: the rows of one topic.
        augment: the share of each kind of rewrite.
        seed: the recipe's seed.
        purpose: what the rows are for; two purposes choose independently.
        bound: the highest similarity allowed between two rows, from 0 to 1.

    Returns:
        As many rows as were given, some of them rewritten.
    """
    out = list(rows)
    barred: set[tuple[int, str]] = set()
    for _ in range(_ROUNDS):
        changed = _fill(out, _quotas(augment, len(rows)), seed, purpose, barred)
        if not changed or not _undo_near(out, rows, changed, bound, barred):
            break
    return out


def _fill(
    out: list[Row], quotas: dict[str, int], seed: int, purpose: str, barred: set[tuple[int, str]]
) -> dict[int, str]:
    changed: dict[int, str] = {}
    position = {id(row): index for index, row in enumerate(out)}
    for name, quota in quotas.items():
        missing = quota - sum(row.example.source == f"{_MARK}{name}" for row in out)
        for row in shuffled(out, seed, f"{purpose}/{name}") if missing > 0 else ():
            index = position.get(id(row), -1)
            new = _rewritten(row, name, seed) if (index, name) not in barred else None
            if new is None or index in changed or index < 0:
                continue
            out[index] = new
            changed[index] = name
            missing -= 1
            if missing == 0:
                break
    return changed


def _undo_near(
    out: list[Row], rows: Sequence[Row], changed: dict[int, str], bound: float, barred: set[tuple[int, str]]
) -> bool:
    """Take back each rewriting that made a row too near to another; return whether any was."""
    left, right, _ = near_pairs([row.text for row in out], bound)
    near = {index for pair in zip(left.tolist(), right.tolist(), strict=True) for index in pair} & set(changed)
    for index in near:
        out[index] = rows[index]
        barred.add((index, changed[index]))
    return bool(near)
