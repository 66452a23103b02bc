"""Words that any answer may hold whatever it is about: they say nothing of the subject (`data/lexicon/common_words.tsv`)."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, lru_cache

from jessyfile.evaluation.clauses import Word
from jessyfile.resources import resource
from jessyfile.text.inflection import Forms, forms_of
from jessyfile.text.lexicon import load_table
from jessyfile.text.turkish import ascii_folded


def is_common(token: Word) -> bool:
    """Return whether a word says nothing of what is spoken about."""
    return any(_common(spelling) for spelling in token.spellings)


@lru_cache(maxsize=16384)
def _common(word: str) -> bool:
    fixed, bending = _table()
    return word in fixed or any(forms.match(word) is not None for forms in bending.get(ascii_folded(word)[:1], ()))


@cache
def _table() -> tuple[frozenset[str], Mapping[str, list[Forms]]]:
    """Return the words that stand as written, also without Turkish letters, and by first letter those that bend."""
    items = load_table(resource("data").parent, "common_words").items
    fixed = [item["word"] for item in items if item["bends"] == "no"]
    bending = dict[str, list[Forms]]()
    for forms in (forms_of(item["word"]) for item in items if item["bends"] == "yes"):
        bending.setdefault(forms.head[:1], []).append(forms)
    return frozenset((*fixed, *map(ascii_folded, fixed))), bending
