"""Which known name a mistyped one was meant to be."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_LONGEST = 60


def distance(a: str, b: str) -> int:
    """Return the edit distance with transpositions of neighbours (optimal string alignment)."""
    older: list[int] = []
    above = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        row = [i]
        for j, y in enumerate(b, 1):
            best = min(above[j] + 1, row[-1] + 1, above[j - 1] + (x != y))
            if i > 1 and j > 1 and x == b[j - 2] and a[i - 2] == y:
                best = min(best, older[j - 2] + 1)
            row.append(best)
        older, above = above, row
    return above[-1]


def plain(name: str) -> str:
    """Return a name in lower-case ASCII letters where it has them, Turkish ones included: `İNCLUDE` is `include`."""
    import unicodedata

    folded = unicodedata.normalize("NFKD", name.replace("İ", "i").replace("ı", "i").replace("I", "i").lower())
    return "".join(c for c in folded if not unicodedata.combining(c))


def similar(name: str, known: Iterable[str]) -> str | None:
    """Return the known name within a third of its length of edits, the nearest first; None when there is none."""
    if len(name) > _LONGEST:
        return None
    names = sorted(known)
    folded = plain(name)
    for candidate in names:
        if plain(candidate) == folded:
            return candidate
    ranked = sorted((distance(folded, plain(candidate)), candidate) for candidate in names)
    if ranked and ranked[0][0] <= max(len(name), 3) // 3:
        return ranked[0][1]
    return None


def help_for(name: str, known: Iterable[str], kind: str, otherwise: str) -> str:
    """Return the help for an unknown name: a similar known name, or another way out.

    Args:
        name: the unknown name.
        known: all names that would be right.
        kind: what the names are called, such as `setting`.
        otherwise: the help when no name is similar.

    Returns:
        One line of help.
    """
    near = similar(name, known)
    return f"a similar {kind} exists: `{near}`" if near else otherwise


def listed(names: Iterable[str]) -> str:
    """Return names as a message lists them."""
    return ", ".join(f"`{name}`" for name in names)
