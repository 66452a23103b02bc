"""Which language an answer is in.

Twenty letters or more are judged by lingua, limited to ten languages (with only two it calls German and Azeri
Turkish); shorter ones by everyday words and Turkish letters. Code does not count.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Any

from jessyfile.dataset.lexicon import load_table
from jessyfile.resources import resource
from jessyfile.text.turkish import TURKISH_LETTERS, ascii_folded, tokens

_ENOUGH = 20
_NAMES = {
    "AZERBAIJANI": "az", "ARABIC": "ar", "DUTCH": "nl", "ENGLISH": "en", "FRENCH": "fr",
    "GERMAN": "de", "ITALIAN": "it", "RUSSIAN": "ru", "SPANISH": "es", "TURKISH": "tr",
}  # fmt: skip
_AZERI_LETTERS = frozenset("əxqƏXQ")
_CODE = re.compile(r"```.*?(?:```|$)|`[^`\n]*`", re.DOTALL)


def in_language(text: str, wanted: str) -> bool:
    """Return whether an answer is in `tr`, `en`, or, for `mixed`, one of the two.

    An empty one is in none, a bare number in all.
    """
    prose = _CODE.sub(" ", text)
    letters = sum(character.isalpha() for character in prose)
    if not letters:
        return bool(text.strip())
    taken = ("tr", "en") if wanted == "mixed" else (wanted,)
    return language_of(prose) in taken if letters >= _ENOUGH else any(_may_be(prose, name) for name in taken)


@cache
def language_of(text: str) -> str:
    """Return the likeliest of ten languages of a longer text; Azeri without its own letters is Turkish."""
    found = _detector().detect_language_of(text)
    name = _NAMES[found.name] if found is not None else "unknown"
    return "tr" if name == "az" and _AZERI_LETTERS.isdisjoint(text) else name


def _may_be(text: str, name: str) -> bool:
    """Return whether nothing in a short text speaks for the other language; `ok` is both."""
    words = tokens(text)
    turkish = any(word in _everyday("tr") for word in words) or not TURKISH_LETTERS.isdisjoint(text)
    english = any(word in _everyday("en") for word in words)
    return turkish or not english if name == "tr" else english or not turkish


@cache
def _everyday(name: str) -> frozenset[str]:
    """Return words that only this one of the two languages has, the Turkish ones also without Turkish letters."""
    words = {
        language: {item["word"] for item in load_table(resource("data").parent, f"words_{language}").items}
        for language in ("tr", "en")
    }
    own, other = words[name], words["en" if name == "tr" else "tr"]
    return frozenset((own | {ascii_folded(word) for word in own}) - other)


@cache
def _detector() -> Any:  # noqa: ANN401 (lingua ships no types)
    from lingua import Language, LanguageDetectorBuilder

    return LanguageDetectorBuilder.from_languages(*(getattr(Language, name) for name in _NAMES)).build()
