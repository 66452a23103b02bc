"""Whether an answer holds a word, as a reader of Turkish would say: suffixes, letters typed in ASCII, either case."""

from __future__ import annotations

import re
from functools import cache

from jessyfile.dataset.text import ascii_folded, lower, nfc, tokens

_TOKEN = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")


def holds(text: str, word: str) -> bool:
    """Return whether a word of the text begins with `word`; several words must follow each other.

    Case counts by neither Turkish nor plain rules, and the given word may stand without its Turkish letters. One with
    other signs in it (`&mut`, `i/o`) is looked for as written.
    """
    wanted = lower(word).strip()
    if tokens(wanted) != wanted.split():
        return any(wanted in form for form in forms(text))
    parts = wanted.split()
    folded = [ascii_folded(part) for part in parts]
    return any(_follows(words, parts) or _follows(words, folded) for words in _words(text))


def forms(text: str) -> tuple[str, ...]:
    """Return the text in lower case by Turkish and by plain rules; `If` begins with ı by the first."""
    return tuple(dict.fromkeys((lower(text), nfc(text).lower())))


@cache
def _words(text: str) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(_TOKEN.findall(form)) for form in forms(text))


def _follows(words: tuple[str, ...], parts: list[str]) -> bool:
    last = len(words) - len(parts)
    return any(
        all(words[start + offset].startswith(part) for offset, part in enumerate(parts)) for start in range(last + 1)
    )
