"""Whether an answer is in the language that its row declares.

Answers of twenty letters or more are judged by lingua, limited to ten languages (two would call German and Azeri
Turkish); shorter ones by words that only one of the two languages has. In doubt a row stays: a filter that eats good
Turkish is worse than none.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from jessyfile.dataset.filters import Dropped, Tally
from jessyfile.dataset.lexicon import load_table
from jessyfile.resources import resource
from jessyfile.text.turkish import TURKISH_LETTERS, ascii_folded, tokens

if TYPE_CHECKING:
    from jessyfile.dataset.rows import Row

ENOUGH_LETTERS = 20
_LANGUAGES = [
    "AZERBAIJANI",
    "ARABIC",
    "DUTCH",
    "ENGLISH",
    "FRENCH",
    "GERMAN",
    "ITALIAN",
    "RUSSIAN",
    "SPANISH",
    "TURKISH",
]
_TAKEN = {"tr": ("TURKISH",), "en": ("ENGLISH",), "mixed": ("TURKISH", "ENGLISH")}
_UNLIKELY = 0.15
_WORDY = 0.12
_NATIVE = TURKISH_LETTERS | frozenset("âîûÂÎÛ")
_CODE = re.compile(r"```.*?(?:```|$)|`[^`\n]*`", re.DOTALL)


@cache
def _detector() -> Any:  # noqa: ANN401 (lingua ships no types)
    from lingua import Language, LanguageDetectorBuilder

    return LanguageDetectorBuilder.from_languages(*(getattr(Language, name) for name in _LANGUAGES)).build()


@cache
def _words(language: str) -> frozenset[str]:
    """The language's everyday words; the Turkish ones also as people type them without Turkish letters."""
    words = {item["word"] for item in load_table(resource("data").parent, f"words_{language}").items}
    return frozenset(words | {ascii_folded(word) for word in words})


def keep_declared(rows: Sequence[Row], tally: Tally) -> list[Row]:
    """Return the rows whose answer is in the declared language; the others are counted under `language`."""
    refused = dict(language_faults(rows))
    for index, reason in refused.items():
        tally.add(Dropped(rows[index], "language", reason))
    return [row for index, row in enumerate(rows) if index not in refused]


def language_faults(rows: Sequence[Row]) -> list[tuple[int, str]]:
    """Return (index, reason) of every row whose answer is not in the language that it declares."""
    texts = [_CODE.sub(" ", row.example.response or "") for row in rows]
    long = [index for index, text in enumerate(texts) if sum(c.isalpha() for c in text) >= ENOUGH_LETTERS]
    judged = dict(zip(long, _confidences([texts[index] for index in long]), strict=True))
    reasons = (_refusal(row.example.language, texts[index], judged.get(index)) for index, row in enumerate(rows))
    return [(index, reason) for index, reason in enumerate(reasons) if reason is not None]


def _confidences(texts: Sequence[str]) -> list[Mapping[str, float]]:
    if not texts:
        return []
    judged = _detector().compute_language_confidence_values_in_parallel(list(texts))
    return [{value.language.name: value.value for value in values} for values in judged]


def _refusal(declared: str, text: str, confidence: Mapping[str, float] | None) -> str | None:
    taken = _TAKEN[declared]
    shares = {"TURKISH": _share(text, "tr"), "ENGLISH": _share(text, "en")}
    if confidence is None:
        return _by_words(declared, text, shares)
    likely = max(confidence, key=lambda name: confidence[name])
    if likely in taken or sum(confidence[name] for name in taken) >= _UNLIKELY:
        return None
    native = all(letter.isascii() or letter in _NATIVE for letter in text if letter.isalpha())
    if native and likely not in shares and max(shares[name] for name in taken) >= _WORDY:
        return None
    return f"reads like {likely.title()}, declared `{declared}`"


def _share(text: str, language: str) -> float:
    """Return how many of the words are everyday words of this language and not of the other."""
    found = tokens(text)
    own, other = _words(language), _words("en" if language == "tr" else "tr")
    return sum(word in own and word not in other for word in found) / len(found) if found else 0.0


def _by_words(declared: str, text: str, shares: Mapping[str, float]) -> str | None:
    turkish = shares["TURKISH"] or not TURKISH_LETTERS.isdisjoint(text)
    if declared == "tr" and shares["ENGLISH"] >= 0.5 and not turkish:
        return "reads like English, declared `tr`"
    if declared == "en" and turkish and not shares["ENGLISH"]:
        return "reads like Turkish, declared `en`"
    return None
