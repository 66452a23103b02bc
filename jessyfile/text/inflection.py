"""Whether a word is a form of a given dictionary word: Turkish suffixes by their order and harmony, and English endings.

The dictionary word is known, so its suffixes need only be recognized; no lexicon is asked. An infinitive (`koşmak`) takes
the suffixes of verbs, as people say and as they type them (`gidicem`, `yapıyo`); any other word those of nouns.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

from jessyfile.text.turkish import TURKISH_LETTERS, ascii_folded

_VOWELS = "aeıioöuüâîû"
_FRONT = "eiöüî"
_SOFT = {"k": "ğ", "p": "b", "ç": "c", "t": "d", "g": "ğ"}
_SOFT_SHORT = frozenset(("kap", "dip", "cep", "et", "git", "güt", "tat", "taç", "gök", "çok", "yok"))
_EITHER = re.compile(
    r"(?:[lt]|[lr]p|rf|k[aâ]r|rol|gol)$"
)  # saatler, haller, kalbi, harfi: loans that take front suffixes
_DROPPED = {
    word: word[:-2] + word[-1]
    for word in (
        "akıl", "ağız", "alın", "boyun", "beyin", "burun", "emir", "fikir", "gönül", "göğüs", "hapis", "hüzün", "isim",
        "izin",
        "karın", "keyif", "metin", "nehir", "oğul", "omuz", "ömür", "resim", "sabır", "şehir", "şekil", "vakit",
        "zehir",
        "zihin", "kısım", "cisim", "nesil", "kahır",
    )
}  # fmt: skip

# A and I follow the vowels before them, X is either of them; D and C follow the consonant, K softens to ğ
_PERSON = r"(?:y?Im|sIn|y?Iz|sInIz|lAr)"
_COPULA = rf"(?:y?(?:DI|sA)(?:m|n|k|nIz|lAr)?|y?mIş{_PERSON}?|DIr(?:lAr)?|y?ken|{_PERSON})?"
_CASES = r"(?:[yn]?I|[yn]?A|n?DA|n?DAn|n?In|y?lA|n?CA)?(?:ki(?:lAr)?(?:nX|nDAn?|nIn)?)?"
_POSSESSIVE = r"(?:I?mIz|I?nIz|I?m|I?n|s?I|lArI)?"
_NOMINAL = rf"(?:lIK|lI|CI|CI[kğ]|cA[kğ]Iz)?(?:lAr)?{_POSSESSIVE}{_CASES}{_COPULA}"
_YOR = r"y?I?yor?(?:um|sun|uz|sunuz|lar|m|n|z|du\w{0,3}|muş\w{0,4}|sa\w{0,2}|ken|dur\w{0,3})?"
_FUTURE = r"y?X?cA(?:K(?:Im|Iz|sIn|sInIz|lAr|tI\w{0,3}|mIş\w{0,3}|sA\w{0,2})?|m|n|z|k?sIn|lAr)"
_PAST = r"DI(?:m|n|k|nIz|lAr|r|ysA\w?|ydI\w?)?|mIş(?:Im|sIn|Iz|sInIz|lAr|tIr|tI\w{0,3}|sA\w{0,2})?"
_REST = r"mAlI(?:yIm|sIn|yIz|lAr|yDI\w?)?|sA(?:m|n|k|nIz|lAr|nA|ydI\w?)?|sIn(?:lAr)?"
_AORIST = r"X?r(?:Im|sIn|Iz|sInIz|lAr|DI\w{0,3}|mIş\w{0,3}|sA\w{0,3}|ken)?"
_WISH = r"y?A(?:yIm|lIm|sIn)?|y?IyIm|y?In(?:Iz)?|sAnA"
_CONVERB = r"y?Ip|y?ArA[kğ]|y?IncA|mAdAn|DIkçA|y?AlI"
_NOUN = rf"(?:y?An|DI[kğ]|mA[kğ]?|mAz|y?Iş|y?AcA[kğ]){_NOMINAL}"
_VOICE = r"(?:I?nDIr|I?ş(?:tIr|Il)?|DIr(?:Il|t)?|t(?:Il|tIr)?|Xr(?:Il|t)?|I?l|I?n(?:Il)?)?"
_NEGATIVE = (
    rf"(?:y?A)?(?:mA(?:y?{_FUTURE}|{_PAST}|{_REST}|z(?:sIn|lAr|DI\w{{0,3}}|sA\w{{0,3}}|mIş\w{{0,3}})?|"
    rf"m|y?In(?:Iz)?|yIz)?"
    rf"|m{_YOR}|mI{_FUTURE})"
)
_VERBAL = rf"{_VOICE}(?:y?Abil)?(?:{_YOR}|{_FUTURE}|{_PAST}|{_REST}|{_AORIST}|{_WISH}|{_CONVERB}|{_NOUN})?"


@dataclass(frozen=True, slots=True)
class Stem:
    """A stem, the letters one of which must follow it (none: anything may), and the vowels its suffixes take."""

    text: str
    before: str
    vowels: tuple[str, str]


class Forms:
    """The forms of one dictionary word, told apart by whether they negate it."""

    def __init__(self, word: str, *, exact: bool = False) -> None:
        """Take a word in lower case, a verb as its infinitive; with `exact` its Turkish letters must be written."""
        self._joined = word.replace("’", "'") if re.search("['’]", word) else ""
        verb = _stem(word)
        whole = verb or word
        self.head: str = ascii_folded(whole)[: max(1, len(whole) - (2 if whole in _DROPPED else 1))]
        self._nouns, self._verbs = _noun_stems(word), _verb_stems(verb) if verb else ()
        self._english = _english(word) if word.isascii() else frozenset[str]()
        self._exact = exact

    def match(self, token: str) -> bool | None:
        """Return None for another word, False for a form that negates the word (`gitme`), True for any other form."""
        if not ascii_folded(token).startswith(self.head):
            return None
        if self._joined:
            return True if token.replace("’", "'") == self._joined else None
        word = re.split("['’]", token, maxsplit=1)[0]
        folds = (False,) if self._exact or not TURKISH_LETTERS.isdisjoint(word) else (False, True)
        if any(_follows(word, self._verbs, _NEGATIVE, folded) for folded in folds):
            return False
        kinds = ((self._nouns, _NOMINAL), (self._verbs, _VERBAL))
        found = any(_follows(word, stems, suffixes, folded) for stems, suffixes in kinds for folded in folds)
        return True if found or word in self._english else None


@cache
def forms_of(word: str) -> Forms:
    """Return the forms of a dictionary word in lower case; `=ünvan` is not found in `unvan`."""
    return Forms(word.removeprefix("="), exact=word.startswith("="))


def _follows(word: str, stems: tuple[Stem, ...], suffixes: str, folded: bool) -> bool:
    for stem in stems:
        text = ascii_folded(stem.text) if folded else stem.text
        rest = word[len(text) :]
        fits = word.startswith(text) and (not stem.before or rest[:1] in tuple(stem.before))
        if fits and _suffixes(suffixes, stem.vowels, folded).fullmatch(rest) is not None:
            return True
    return False


def _stem(word: str) -> str | None:
    """Return the stem of an infinitive; `ye-mek` is the shortest."""
    return word[:-3] if word.endswith(("mak", "mek")) and len(word) > 4 else None


def _noun_stems(word: str) -> tuple[Stem, ...]:
    vowels = _vowels(word)
    found, last = [Stem(word, "", vowels)], word[-1:]
    if last in _SOFT and (_syllables(word) > 1 or word in _SOFT_SHORT or word[-2:-1] in ("l", "r", "n")):
        found.append(Stem(word[:-1] + _SOFT[last], _VOWELS, vowels))
        if word.endswith("nk"):
            found.append(Stem(word[:-1] + "g", _VOWELS, vowels))
    if word in _DROPPED:
        found.append(Stem(_DROPPED[word], _VOWELS, vowels))
    return tuple(found)


def _verb_stems(stem: str) -> tuple[Stem, ...]:
    vowels = _vowels(stem)
    found = [Stem(stem, "", vowels)]
    if stem.endswith("t"):
        found.append(Stem(stem[:-1] + "d", _VOWELS, vowels))
    if stem[-1] in "ae":  # başla-, başlıyor; de-, diyor
        found.append(Stem(stem[:-1], "ıiuü", _vowels(stem[:-1])))
        if len(stem) == 2:
            found.append(Stem(stem[0] + "i", "y", ("e", "iü")))
    return tuple(found)


def _english(word: str) -> frozenset[str]:
    endings = ("s", "es", "ed", "d", "ing", "er", "ers", "ly", "n", "en")
    found = [word + middle + ending for middle in ("", word[-1:]) for ending in endings]
    if word.endswith("e"):
        found += [word[:-1] + ending for ending in ("ing", "ed", "er", "ers", "able")]
    if word.endswith("y"):
        found += [word[:-1] + ending for ending in ("ies", "ied", "ier", "ily")]
    return frozenset(found)


def _vowels(stem: str) -> tuple[str, str]:
    """Return the wide and the narrow vowels of a stem's suffixes by its harmony."""
    vowels = [letter for letter in stem if letter in _VOWELS]
    front = bool(vowels) and vowels[-1] in _FRONT
    if not vowels or (not front and _EITHER.search(stem) is not None):
        return "ae", "ıiuü"
    return ("e", "iü") if front else ("a", "ıu")


@cache
def _suffixes(pattern: str, vowels: tuple[str, str], folded: bool) -> re.Pattern[str]:
    """Write harmony into a pattern of suffixes."""
    wide, narrow = vowels
    names = {"A": f"[{wide}]", "I": f"[{narrow}]", "X": f"[{wide}{narrow}]", "D": "[dt]", "C": "[cç]", "K": "[kğ]"}
    spelled = re.sub("[AIXDCK]", lambda found: names[found[0]], pattern)
    return re.compile(ascii_folded(spelled) if folded else spelled)


def _syllables(word: str) -> int:
    return sum(letter in _VOWELS for letter in word)
