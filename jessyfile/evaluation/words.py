"""Whether an answer holds a word, as a reader of Turkish would say: suffixes, softened endings, letters typed in ASCII, either case."""

from __future__ import annotations

import re
from functools import cache

from jessyfile.text.turkish import ascii_folded, lower, nfc, tokens

_VOWELS = "aeıioöuüâîû"
_SOFTENED = {"k": "ğg", "p": "b", "ç": "c", "t": "d"}
_TOKEN = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")


def holds(text: str, word: str) -> bool:
    """Return whether a word of the text begins with `word`; several words must follow each other.

    A word of two syllables or more may soften before a vowel: `emek` is found in `emeği`, `kitap` in `kitabı`, `hisset` in `hissediyor`.
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
        all(_begins(words[start + offset], part) for offset, part in enumerate(parts)) for start in range(last + 1)
    )


def _begins(word: str, part: str) -> bool:
    """Return whether a word begins with a part, whose last consonant may be softened (not in monosyllables: `kat` is not `kadın`)."""
    if word.startswith(part):
        return True
    soft = _SOFTENED.get(part[-1:])
    at = len(part)
    if soft is None or not word.startswith(part[:-1]) or sum(letter in _VOWELS for letter in part) < 2:
        return False
    return word[at - 1 : at] in tuple(soft) and word[at : at + 1] in tuple(_VOWELS)
