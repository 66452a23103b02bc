"""Which language an answer is in.

Twenty letters or more are judged by lingua, limited to ten languages (with only two it calls German and Azeri
Turkish); shorter ones by everyday words and Turkish letters. Neither code nor JSON counts. Turkish that carries English terms,
as teams speak it, is Turkish: its words bend by Turkish suffixes, and English holds no sentence together in it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from jessyfile.resources import resource
from jessyfile.text.json_lines import parse_value
from jessyfile.text.lexicon import load_table
from jessyfile.text.turkish import TURKISH_LETTERS, ascii_folded, tokens

NAMES = {
    "az": "Azerbaijani", "ar": "Arabic", "nl": "Dutch", "en": "English", "fr": "French",
    "de": "German", "it": "Italian", "ru": "Russian", "es": "Spanish", "tr": "Turkish",
}  # fmt: skip
_CODES = {name.upper(): code for code, name in NAMES.items()}
_ENOUGH = 20
_AZERI_LETTERS = frozenset("əxqƏXQ")
_CARRIED = 0.25
_NEAR_ENGLISH = ("en", "nl", "de")
_BENT = re.compile(  # a suffix behind an apostrophe, or the ending of a Turkish verb
    r"\w+['’](?:[yns]?[ıiuüae]|n?[ıiuü]n|[dt][ae]n?|n[dt]?[ae]n?|y?l[ae]|l[ae]r\w*|[ıiuü]n[ıiuüae]\w*|s[ıiuü]n\w*)"
    r"|\w+(?:[ıiuü]yor\w*|[ae]c[ae][kğ]\w*|m[ıiuü]ş\w*|m[ae]z(?:s\w+)?|m[ae]d[ae]n|[ae]rs[ae]\w*|[ıiuü]rs[ıiuü]n|"
    r"[ae]rs[ıi]n|[ıiuü]nc[ae]|s[ae]n\b)"
)
_CODE = re.compile(r"```.*?(?:```|$)|`[^`\n]*`", re.DOTALL)


def prose(text: str) -> str:
    """Return the text without code; a text that is one JSON object or array, as programs read it, has none."""
    return "" if _is_json(text) else _CODE.sub(" ", text)


def _is_json(text: str) -> bool:
    value, length = parse_value(text.strip())
    return isinstance(value, dict | list) and length == len(text.strip())


def is_long(text: str) -> bool:
    """Return whether a text has letters enough to tell ten languages apart."""
    return sum(map(str.isalpha, text)) >= _ENOUGH


def languages(wanted: str) -> tuple[str, ...]:
    """Return the languages that a label takes: `mixed` is Turkish and English."""
    return ("tr", "en") if wanted == "mixed" else (wanted,)


def confidences(texts: Sequence[str]) -> list[Mapping[str, float]]:
    """Return how likely each of ten languages is, for each of some longer texts."""
    if not texts:
        return []
    judged = _detector().compute_language_confidence_values_in_parallel(list(texts))
    return [{_CODES[value.language.name]: value.value for value in values} for values in judged]


def in_language(text: str, wanted: str) -> bool:
    """Return whether an answer is in `tr`, `en`, or, for `mixed`, one of the two; `any` takes whichever was spoken.

    An empty one is in none, a bare number in all.
    """
    said = prose(text)
    if wanted == "any" or not any(map(str.isalpha, said)):
        return bool(text.strip())
    taken = languages(wanted)
    if not is_long(said):
        return any(_may_be(said, name) for name in taken)
    found = language_of(said)
    return found in taken or ("tr" in taken and found in _NEAR_ENGLISH and mixed_turkish(said))


def mixed_turkish(text: str) -> bool:
    """Return whether Turkish carries a text of English terms: `201 Created dön, Location header'ına URL'ini koy`."""
    words = tokens(text)
    bent = sum(_BENT.fullmatch(word) is not None or not TURKISH_LETTERS.isdisjoint(word) for word in words)
    turkish, joined = bent / len(words) + everyday_share(text, "tr"), everyday_share(text, "en")
    return turkish >= _CARRIED and joined < turkish / 4


@cache
def language_of(text: str) -> str:
    """Return the likeliest of ten languages of a longer text; Azeri without its own letters is Turkish."""
    found = _detector().detect_language_of(text)
    name = _CODES[found.name] if found is not None else "unknown"
    return "tr" if name == "az" and _AZERI_LETTERS.isdisjoint(text) else name


def everyday_share(text: str, name: str) -> float:
    """Return how many of the words are everyday words of `tr` or `en` alone."""
    found = tokens(text)
    return sum(word in _everyday(name) for word in found) / len(found) if found else 0.0


def looks_turkish(text: str) -> bool:
    """Return whether a word or a letter speaks for Turkish."""
    return everyday_share(text, "tr") > 0 or not TURKISH_LETTERS.isdisjoint(text)


def _may_be(text: str, name: str) -> bool:
    """Return whether nothing in a short text speaks for the other language; `ok` is both."""
    turkish, english = looks_turkish(text), everyday_share(text, "en") > 0
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

    return LanguageDetectorBuilder.from_languages(*(getattr(Language, name) for name in _CODES)).build()
