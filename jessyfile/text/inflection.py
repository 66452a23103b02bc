"""Whether a word is a form of a given dictionary word: Turkish suffixes by their order and harmony, and English endings.

The dictionary word is known, so its suffixes need only be recognized; no lexicon is asked. An infinitive (`koşmak`) takes
the suffixes of verbs, as people say and as they type them (`gidicem`, `yapıyo`); any other word those of nouns.
"""

from __future__ import annotations

import re
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
_ENGLISH = r"(?:s|es|ed|d|ing|er|ers|ly|n|en)?"


class Forms:
    """The forms of one dictionary word, told apart by whether they negate it."""

    def __init__(self, word: str, *, exact: bool = False) -> None:
        """Take a word in lower case, a verb as its infinitive; with `exact` its Turkish letters must be written."""
        self._joined = word.replace("’", "'") if re.search("['’]", word) else ""
        whole = _stem(word) or word
        self._head = ascii_folded(whole)[: max(1, len(whole) - (2 if whole in _DROPPED else 1))]
        self._exact = _patterns(word, folded=False)
        self._folded = self._exact if exact else _patterns(word, folded=True)

    def match(self, token: str) -> bool | None:
        """Return None for another word, False for a form that negates the word (`gitme`), True for any other form."""
        if self._joined:
            return True if token.replace("’", "'") == self._joined else None
        word = re.split("['’]", token, maxsplit=1)[0]
        if not ascii_folded(word).startswith(self._head):
            return None
        plain, negative = self._folded if TURKISH_LETTERS.isdisjoint(word) else self._exact
        if negative is not None and negative.fullmatch(word):
            return False
        return True if plain.fullmatch(word) or self._exact[0].fullmatch(word) else None


@cache
def forms_of(word: str) -> Forms:
    """Return the forms of a dictionary word in lower case; `=ünvan` is not found in `unvan`."""
    return Forms(word.removeprefix("="), exact=word.startswith("="))


def _patterns(word: str, *, folded: bool) -> tuple[re.Pattern[str], re.Pattern[str] | None]:
    noun = _joined(_noun_stems(word), _NOMINAL, folded=folded, english=word.isascii())
    stem = _stem(word)
    if stem is None:
        return re.compile(noun), None
    stems = _verb_stems(stem)
    verb = _joined(stems, _VERBAL, folded=folded, english=False)
    return re.compile(f"{noun}|{verb}"), re.compile(_joined(stems, _NEGATIVE, folded=folded, english=False))


def _stem(word: str) -> str | None:
    """Return the stem of an infinitive; `ye-mek` is the shortest."""
    return word[:-3] if word.endswith(("mak", "mek")) and len(word) > 4 else None


def _noun_stems(word: str) -> tuple[tuple[str, str], ...]:
    """Return the word's stems, each with what must follow it."""
    found = [(word, "")]
    last = word[-1:]
    if last in _SOFT and (_syllables(word) > 1 or word in _SOFT_SHORT or word[-2:-1] in ("l", "r", "n")):
        found.append((word[:-1] + _SOFT[last], "(?=V)"))
        if word.endswith("nk"):
            found.append((word[:-1] + "g", "(?=V)"))
    if word in _DROPPED:
        found.append((_DROPPED[word], "(?=V)"))
    return tuple(found)


def _verb_stems(stem: str) -> tuple[tuple[str, str], ...]:
    found = [(stem, "")]
    if stem.endswith("t"):
        found.append((stem[:-1] + "d", "(?=V)"))
    if stem[-1] in "ae":  # başla-, başlıyor; de-, diyor
        found.append((stem[:-1], "(?=Iy)"))
        if len(stem) == 2:
            found.append((stem[0] + "i", "(?=y)"))
    return tuple(found)


def _joined(stems: tuple[tuple[str, str], ...], suffixes: str, *, folded: bool, english: bool) -> str:
    parts = [
        re.escape(_fold(stem, folded)) + _spelled(after + f"(?:{suffixes})", stem, folded) for stem, after in stems
    ]
    if english:
        parts += _english(stems[0][0])
    return "|".join(f"(?:{part})" for part in parts)


def _english(word: str) -> list[str]:
    found = [re.escape(word) + f"(?:{re.escape(word[-1])}?{_ENGLISH}|['’]\\w+)"]
    if word.endswith("e"):
        found.append(re.escape(word[:-1]) + "(?:ing|ed|er|ers|able)")
    if word.endswith("y"):
        found.append(re.escape(word[:-1]) + "(?:ies|ied|ier|ily)")
    return found


def _fold(text: str, folded: bool) -> str:
    return ascii_folded(text) if folded else text


def _spelled(pattern: str, stem: str, folded: bool) -> str:
    """Write the harmony of a stem into a pattern of suffixes."""
    vowels = [letter for letter in stem if letter in _VOWELS]
    front = bool(vowels) and vowels[-1] in _FRONT
    either = not vowels or (not front and _EITHER.search(stem) is not None)
    wide = "[ae]" if either else "e" if front else "a"
    narrow = "[ıiuü]" if either else "[iü]" if front else "[ıu]"
    names = {"A": wide, "I": narrow, "D": "[dt]", "C": "[cç]", "K": "[kğ]", "V": f"[{_VOWELS}]"}
    names["X"] = f"[{wide}{narrow}]".replace("[[", "[").replace("][", "").replace("]]", "]")
    spelled = re.sub("[AIDCKVX]", lambda found: names[found[0]], pattern)
    return ascii_folded(spelled) if folded else spelled


def _syllables(word: str) -> int:
    return sum(letter in _VOWELS for letter in word)
