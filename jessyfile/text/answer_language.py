"""Which language an answer is in.

Twenty letters or more are judged by lingua, limited to ten languages (with only two it calls German and Azeri
Turkish) and the one that is asked for; shorter ones by everyday words and Turkish letters, where there is a list of such
words. Neither code nor JSON counts. Turkish that carries English terms,
as teams speak it, is Turkish: its words bend by Turkish suffixes, and English holds no sentence together in it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from jessyfile.resources import resource
from jessyfile.text.json_lines import parse_value
from jessyfile.text.lexicon import FOLDER, load_table
from jessyfile.text.turkish import TURKISH_LETTERS, ascii_folded, lower, nfc, tokens

ANY = "any"  # labels, numbers, code: no language is asked for
MIXED = "mixed"
Words = Mapping[str, frozenset[str]]  # of each listed language
_Lingua = Any  # a language of lingua, which ships no types
_TEN = ("az", "ar", "nl", "en", "fr", "de", "it", "ru", "es", "tr")  # told apart first; they are known without lingua
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


def is_language(word: str) -> bool:
    """Return whether a word is the ISO 639-1 code of a language that can be told, `mixed` or `any`."""
    return word in (ANY, MIXED, *_TEN) or word in _known()


def language_codes() -> tuple[str, ...]:
    """Return the ISO 639-1 codes of the languages that can be told."""
    return tuple(sorted(_known()))


def language_name(code: str) -> str:
    """Return a language's English name."""
    return _known()[code].name.title() if code in _known() else code


def languages(wanted: str) -> tuple[str, ...]:
    """Return the languages that a label takes: `mixed` is Turkish and English."""
    return ("tr", "en") if wanted == MIXED else (wanted,)


def confidences(texts: Sequence[str], besides: Iterable[str] = ()) -> list[Mapping[str, float]]:
    """Return how likely each of ten languages and some more is, for each of some longer texts."""
    if not texts:
        return []
    judged = _detector(_more(besides)).compute_language_confidence_values_in_parallel(list(texts))
    return [{_code(value.language): value.value for value in values} for values in judged]


def detected(texts: Sequence[str]) -> list[str]:
    """Return the likeliest of all languages for each text, `any` for one that is too short to tell."""
    from lingua import LanguageDetectorBuilder

    long = [index for index, text in enumerate(texts) if is_long(text)]
    detector = LanguageDetectorBuilder.from_all_languages().with_low_accuracy_mode().build()
    found = detector.detect_languages_in_parallel_of([texts[index] for index in long]) if long else []
    named = {index: _code(one) for index, one in zip(long, found, strict=True) if one is not None}
    return [named.get(index, ANY) for index in range(len(texts))]


def in_language(text: str, wanted: str) -> bool:
    """Return whether an answer is in a language, or, for `mixed`, in Turkish or English; `any` takes whichever was spoken.

    An empty one is in none, a bare number in all.
    """
    said = prose(text)
    if wanted == ANY or not any(map(str.isalpha, said)):
        return bool(text.strip())
    taken = languages(wanted)
    if not is_long(said):
        return any(_may_be(said, name) for name in taken)
    found = language_of(said, _more(taken))
    return found in taken or ("tr" in taken and found in _NEAR_ENGLISH and mixed_turkish(said))


def mixed_turkish(text: str) -> bool:
    """Return whether Turkish carries a text of English terms: `201 Created dön, Location header'ına URL'ini koy`."""
    words = tokens(text)
    bent = sum(_BENT.fullmatch(word) is not None or not TURKISH_LETTERS.isdisjoint(word) for word in words)
    turkish, joined = bent / len(words) + everyday_share(text, "tr"), everyday_share(text, "en")
    return turkish >= _CARRIED and joined < turkish / 4


@cache
def language_of(text: str, besides: frozenset[str] = frozenset()) -> str:
    """Return the likeliest of ten languages and some more of a longer text; Azeri without its own letters is Turkish."""
    found = _detector(besides).detect_language_of(text)
    name = _code(found) if found is not None else "unknown"
    return "tr" if name == "az" and "az" not in besides and _AZERI_LETTERS.isdisjoint(text) else name


def everyday_share(text: str, name: str, words: Words | None = None) -> float:
    """Return how many of the words are everyday words of one listed language alone, by jessy's lists unless others are given."""
    found, own = tokens(text), (words or _shipped()).get(name, frozenset())
    return sum(word in own for word in found) / len(found) if found else 0.0


def leaning(text: str) -> str | None:
    """Return `tr` or `en`, whichever a question speaks for by its letters and everyday words; None where nothing in it does."""
    if not TURKISH_LETTERS.isdisjoint(text):
        return "tr"
    turkish, english = everyday_share(text, "tr"), everyday_share(text, "en")
    return None if turkish == english else "tr" if turkish > english else "en"


def looks_turkish(text: str) -> bool:
    """Return whether a word or a letter speaks for Turkish."""
    return everyday_share(text, "tr") > 0 or not TURKISH_LETTERS.isdisjoint(text)


def _may_be(text: str, name: str) -> bool:
    """Return whether nothing in a short text speaks for another language than this one; `ok` is in all."""
    if name not in _shipped():
        return True
    speak = {language for language in _shipped() if everyday_share(text, language) > 0}
    speak |= {"tr"} if looks_turkish(text) else set()
    return name in speak or not speak


def listed(root: Path) -> tuple[str, ...]:
    """Return the languages that have a list of everyday words, `data/lexicon/words_<code>.tsv` of jessy or of a project."""
    folders = (resource("data", "lexicon"), root / FOLDER)
    found = {path.stem.removeprefix("words_") for folder in folders for path in folder.glob("words_*.tsv")}
    return tuple(sorted(found & _known().keys()))


def everyday_words(root: Path) -> Words:
    """Return of each listed language the words that only it has, also without Turkish letters; a project's own list is
    taken before jessy's. Raises DatasetError for a list that is no table.
    """
    tables = {name: load_table(root, f"words_{name}") for name in listed(root)}
    words = {name: {nfc(item[table.columns[0]]) for item in table.items} for name, table in tables.items()}
    words |= {name: {form for word in words[name] for form in _written(word)} for name in words.keys() - {"tr", "en"}}
    others = {name: frozenset[str]().union(*(words[one] for one in words if one != name)) for name in words}
    return {name: frozenset((own | {*map(ascii_folded, own)}) - others[name]) for name, own in words.items()}


def _written(word: str) -> Iterator[str]:
    """Yield a word as `tokens` gives it, which reads the capital of `Ich` as a Turkish one."""
    small = word.lower()
    yield from (small, lower(small[:1].upper()) + small[1:])


@cache
def _shipped() -> Words:
    return everyday_words(resource("data").parent)


def _more(names: Iterable[str]) -> frozenset[str]:
    """Return what must be told besides the ten."""
    return frozenset(names) & _known().keys() - {*_TEN}


def _code(language: _Lingua) -> str:
    return str(language.iso_code_639_1.name).lower()


@cache
def _known() -> Mapping[str, _Lingua]:
    from lingua import Language

    return {_code(language): language for language in Language.all()}


@cache
def _detector(besides: frozenset[str]) -> Any:  # noqa: ANN401 (lingua ships no types)
    from lingua import LanguageDetectorBuilder

    return LanguageDetectorBuilder.from_languages(*(_known()[name] for name in (*_TEN, *sorted(besides)))).build()
