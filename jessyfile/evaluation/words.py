"""Where an answer holds a word, as a reader of Turkish would say: whole words with their suffixes, in either case, also typed in ASCII.

`kaba` is found in `kabaca`, not in `kabak`. A verb is asked for by its infinitive. `felsef*` takes every word with that
beginning, `=ünvan` must be written with its letters, several words follow each other, and `kış + çık*` stands for two
ideas within one sentence.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache

from jessyfile.evaluation.clauses import Word, read
from jessyfile.text.inflection import Forms, forms_of
from jessyfile.text.patterns import BOTH
from jessyfile.text.turkish import ascii_folded, lower, nfc, tokens

_VOWELS = "aeıioöuüâîû"
_SOFTENED = {"k": "ğg", "p": "b", "ç": "c", "t": "d"}

Place = tuple[int, int, bool]
"""Where a word begins and ends in the answer, and whether it is affirmed there."""


def holds(text: str, word: str) -> bool:
    """Return whether a text holds a word in any of its forms, denied or not.

    One with other signs in it (`&mut`, `i/o`) is looked for as written.
    """
    return next(places(text, word), None) is not None


def affirms(text: str, word: str) -> bool:
    """Return whether a text claims a word somewhere: not `beş diyenler`, not `gitme`, not `Merkür değil`."""
    return any(affirmed for _, _, affirmed in places(text, word))


def denies(text: str, word: str) -> bool:
    """Return whether a text negates a word somewhere."""
    return any(not affirmed for _, _, affirmed in places(text, word))


def places(text: str, word: str) -> Iterator[Place]:
    """Yield where a word stands in a text."""
    wanted = lower(word).strip()
    if BOTH in wanted:
        yield from _together(text, wanted.split(BOTH))
    elif not _plain(wanted):
        yield from ((0, 0, True) for form in forms(text) if wanted in form)
    else:
        said, parts = read(text), [_part(part) for part in wanted.split()]
        for start in said.starts.get(ascii_folded(wanted.removeprefix("="))[0], ()):
            matched = [_matched(*pair) for pair in zip(parts, said.tokens[start : start + len(parts)], strict=False)]
            if len(matched) == len(parts) and None not in matched:
                end = start + len(parts)
                yield start, end, said.affirmed(start, end) == all(matched)


def forms(text: str) -> tuple[str, ...]:
    """Return the text in lower case by Turkish and by plain rules; `If` begins with ı by the first."""
    return tuple(dict.fromkeys((lower(text), nfc(text).lower())))


def _plain(wanted: str) -> bool:
    """Return whether a text is searched word by word; a part without letters makes the whole a sign."""
    bare = [part.removeprefix("=").replace("*", "") for part in wanted.split()]
    return all(bare) and tokens(" ".join(bare)) == bare


def _together(text: str, words: list[str]) -> Iterator[Place]:
    """Yield the last word's places in sentences that hold the others too; one denied part denies the whole."""
    sentences = [token.sentence for token in read(text).tokens] or [0]
    *others, last = ([*places(text, word)] for word in words)
    for start, end, affirmed in last:
        near = [[place for place in found if sentences[place[0]] == sentences[start]] for found in others]
        if all(near):
            yield start, end, affirmed and all(any(place[2] for place in found) for found in near)


def _matched(part: str | Forms, word: Word) -> bool | None:
    """Return None for another word, False for a negated form of it, True for any other form."""
    head = part.head if isinstance(part, Forms) else _head(part)
    if not any(folded.startswith(head) for folded in word.folded):
        return None
    for token in word.spellings:
        found = _begins(token, part) if isinstance(part, str) else part.match(token)
        if found is not None:
            return found
    return None


@cache
def _head(part: str) -> str:
    return ascii_folded(part)[:-1]


@cache
def _part(word: str) -> str | Forms:
    return word[:-1] if word.endswith("*") else forms_of(word)


def _begins(token: str, part: str) -> bool | None:
    """Return True when a word begins with a part, whose last consonant may be softened in more than one syllable."""
    if token.startswith((part, ascii_folded(part))):
        return True
    soft = _SOFTENED.get(part[-1:])
    at = len(part)
    if soft is None or not token.startswith((part[:-1], ascii_folded(part[:-1]))) or _syllables(part) < 2:
        return None
    return True if re.match(f"[{soft}][{_VOWELS}]", token[at - 1 :]) else None


def _syllables(word: str) -> int:
    return sum(letter in _VOWELS for letter in word)
