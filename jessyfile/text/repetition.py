"""Degenerate repetition: a model that runs into a loop, also when punctuation, numbers or line breaks hide it.

Punctuation and bare numbers are removed first, so that `1. elma, 2. elma, 3. elma` is seen as a loop. Not covered:
loops that change a word in every round, beyond what the share of repeated runs of four words catches.
"""

from __future__ import annotations

import re
from collections import Counter

from jessyfile.text.turkish import tokens, word_grams

# how often in a row a phrase of so many words is no longer style: "çok çok", "hadi hadi hadi" are
_TIMES = {1: 6, 2: 4, 3: 3, 4: 3, 5: 3, 6: 3, 7: 3}
_TIMES_BEYOND = 2
_LONGEST = 40
_CHARACTERS = re.compile(r"([^\W\d_]{1,8}?)\1{11,}|(\d)\2{17,}")  # a number may have as many equal digits as 0.1 + 0.2
_GRAM, _ENOUGH_GRAMS, _REPEATED_SHARE = 4, 20, 0.5


def find_loop(text: str) -> str | None:
    """Return the repeated phrase, or None when the text does not loop."""
    stretched = _CHARACTERS.search(text)
    if stretched is not None:
        return stretched[1] or stretched[2]
    words = [word for word in tokens(text) if not word.isdigit()]
    return _phrase_in_a_row(words) or _repeated_grams(words)


def looping(text: str) -> bool:
    """Return whether an answer under way has run into a loop: what cuts the base model's answers short."""
    return find_loop(text) is not None


def _phrase_in_a_row(words: list[str]) -> str | None:
    for size in range(1, min(_LONGEST, len(words) // 2) + 1):
        times = _TIMES.get(size, _TIMES_BEYOND)
        run = _longest_run(words, size)
        if run is not None and run[1] >= times * size:
            return " ".join(words[run[0] : run[0] + size])
    return None


def _longest_run(words: list[str], size: int) -> tuple[int, int] | None:
    """Return where the longest stretch of period `size` begins and how many words it has."""
    best, start = None, 0
    for at in range(size, len(words) + 1):
        if at == len(words) or words[at] != words[at - size]:
            length = at - start
            if length >= 2 * size and (best is None or length > best[1]):
                best = (start, length)
            start = at - size + 1
    return best


def _repeated_grams(words: list[str]) -> str | None:
    grams = Counter(word_grams(words, _GRAM))
    total = sum(grams.values())
    if total < _ENOUGH_GRAMS:
        return None
    repeated = sum(count for count in grams.values() if count > 1)
    return grams.most_common(1)[0][0] if repeated / total > _REPEATED_SHARE else None
