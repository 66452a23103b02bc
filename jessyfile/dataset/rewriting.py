"""A question typed otherwise, as people type: slips of the finger, no Turkish letters, chat forms, punctuation, case, particles, the
order of clauses, other words for the same.

What it asks stays the same, and code and addresses stay as they are. A rewriting follows from the random generator alone.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping
from functools import cache

from jessyfile.dataset.augment import CODE, asciified, double, lose, outside_code, slangy, swap
from jessyfile.resources import resource
from jessyfile.text.lexicon import load_table
from jessyfile.text.turkish import ascii_folded, capitalized, lower, upper

Way = Callable[[str, random.Random], str]

_KEYBOARD = (
    ("qwertyuıopğü", 0.0),
    ("asdfghjklşi", 0.25),
    ("zxcvbnmöç", 0.75),
)  # Turkish Q, with how far each row is set in
_VOWELS = "aeıioöuü"
_WORD = re.compile(r"[^\W\d_]+")
_LONG = 160  # characters from which on a text is no quick question: its clauses stay in their order
_COUNTS = (0, 1, 1, 2, 2, 3)  # how many ways are taken; one in six types the question as it stands
_FUTURE = re.compile(r"\b(\w*?)(?:y?[ae])c([ae])ğ[ıi]m\b")
_NARROW = {"a": "ı", "ı": "ı", "e": "i", "i": "i", "o": "u", "u": "u", "ö": "ü", "ü": "ü"}
_PARTICLE = re.compile(r" (m[ıiuü](?:y[ıiuü]m|s[ıiuü]n|y[ıiuü]z)?|d[ae]|ki)(?=[\s?!.,]|$)")
_ASKS = re.compile(r"(?<=\w) m[ıiuü](?=\s*[?!.]*\s*$)")
_TIMES = re.compile(
    r"^(bugün|dün|yarın|bu akşam|bu gece|bu sabah|şimdi|sence|kanka|abi|today|tonight|yesterday|honestly|hey) "
    r"(?=\S+ \S)",
    re.IGNORECASE,
)
_FILLERS = {"tr": ("ya ", "kanka ", "abi ", "şey ", "peki ", "ee "), "en": ("hey ", "so ", "ok so ", "um ", "well ")}
_TAILS = {"tr": (" ya", " kanka", " abi"), "en": (" btw", " please", " tho")}


def retyped(text: str, language: str, rng: random.Random) -> str:
    """Return a question as somebody else would have typed it.

    Args:
        text: the question.
        language: `mixed` is typed as Turkish is; beyond Turkish and English nothing is done that needs words.
        rng: decides which ways are taken, and where.

    Returns:
        The question rewritten in up to three ways; now and then the question as it stands, always where it has too few letters to
        be known again, is written in capitals on purpose or has several lines.
    """
    if sum(map(len, _WORD.findall(text))) < 4 or text == upper(text) or "\n" in text.strip():
        return text
    ways = {"tr": _TURKISH, "mixed": _TURKISH, "en": _ENGLISH}.get(language, _OTHER)
    chosen, left = set[str](), rng.choice(_COUNTS)
    for name in _drawn(ways, rng):
        if left and ways[name][1](text, random.Random(rng.random())) != text:
            chosen.add(name)
            left -= 1
    for name, (_, way) in ways.items():
        text = way(text, rng) if name in chosen else text
    return text


def _drawn(ways: Mapping[str, tuple[int, Way]], rng: random.Random) -> list[str]:
    """Return every way once in random order, a heavier one earlier on average (Efraimidis and Spirakis 2006)."""
    return sorted(ways, key=lambda name: rng.random() ** (1 / ways[name][0]), reverse=True)


def _outside_code(change: Way) -> Way:
    return lambda text, rng: outside_code(text, lambda part: change(part, rng))


@cache
def _keys() -> dict[str, str]:
    """Return which keys lie beside each, all in lower case."""
    places = {key: (x + inset, y) for y, (row, inset) in enumerate(_KEYBOARD) for x, key in enumerate(row)}
    return {
        key: "".join(o for o, (u, v) in places.items() if o != key and abs(u - x) <= 1 and abs(v - y) <= 1)
        for key, (x, y) in places.items()
    }


def _miss(word: str, at: int, rng: random.Random) -> str:
    """Hit the key beside the right one, or both."""
    beside = _keys().get(lower(word[at]), "")
    key = rng.choice(beside) if beside else word[at]
    return word[:at] + key + word[at + rng.choice((0, 1, 1)) :]


def _slip(text: str, rng: random.Random) -> str:
    words = [found for found in _WORD.finditer(text) if len(found.group()) >= 4]
    if not words:
        return text
    found = rng.choice(words)
    word, at = found.group(), rng.randrange(1, len(found.group()) - 1)
    slipped = _miss(word, at, rng) if rng.random() < 0.5 else rng.choice((swap, lose, double))(word, at)
    return text[: found.start()] + slipped + text[found.end() :]


def _unpunctuated(text: str, rng: random.Random) -> str:
    """Leave punctuation out, or end with more of it than there was."""
    bare = re.sub(r"[.,;:!?…]+(?=\s|$)", "", text)
    return bare if bare != text or rng.random() < 0.5 else text + rng.choice(("?", "??", "!", "...", "?!"))


def _cased(text: str, rng: random.Random) -> str:
    """Hold the shift key always, never or once."""
    return rng.choice((lower, lower, lower, upper, capitalized))(text)


def _cased_english(text: str, rng: random.Random) -> str:
    return rng.choice((str.lower, str.lower, str.lower, str.upper, str.capitalize))(text)


def _drawn_out(text: str, rng: random.Random) -> str:
    """Draw out the last vowel of a word: `çok` becomes `çooook`."""
    words = [
        found for found in _WORD.finditer(text) if 2 <= len(found.group()) <= 7 and _last_vowel(found.group()) >= 0
    ]
    if not words:
        return text
    found = rng.choice(words)
    at = found.start() + _last_vowel(found.group())
    return text[:at] + text[at] * rng.randint(2, 4) + text[at + 1 :]


def _last_vowel(word: str) -> int:
    return max(lower(word).rfind(vowel) for vowel in _VOWELS) if len(lower(word)) == len(word) else -1


def _vowelless(text: str, rng: random.Random) -> str:
    """Leave the vowels inside one word out: `nasılsın` becomes `nslsn`."""
    words = [found for found in _WORD.finditer(text) if 5 <= len(found.group()) <= 8]
    if not words or len(text) > _LONG:
        return text
    found = rng.choice(words)
    word = found.group()
    inner = "".join(letter for letter in word[1:-1] if lower(letter) not in _VOWELS)
    return text[: found.start()] + word[0] + inner + word[-1] + text[found.end() :]


def _chat(text: str, _: random.Random) -> str:
    """Type as in a chat, the future too: `yapacağım` becomes `yapıcam`."""
    return _FUTURE.sub(_near_future, slangy(text))


def _near_future(found: re.Match[str]) -> str:
    stem, wide = found.groups()
    vowel = next((_NARROW[letter] for letter in reversed(stem) if letter in _NARROW), "ı" if wide == "a" else "i")
    glide = "y" if stem[-1:] in tuple(_NARROW) else ""
    return f"{stem}{glide}{vowel}c{wide}m"


def _joined(text: str, rng: random.Random) -> str:
    """Write a particle together with the word before it: `geliyormusun`."""
    found = list(_PARTICLE.finditer(text))
    if not found:
        return text
    at = rng.choice(found).start()
    return text[:at] + text[at + 1 :]


def _unasked(text: str, _: random.Random) -> str:
    """Leave the question's particle at the end to the tone of voice."""
    return _ASKS.sub("", text)


def _reordered(text: str, rng: random.Random) -> str:
    """Say the second of two short clauses first, or the time after what happens then."""
    if len(text) > _LONG or CODE.search(text):
        return text
    end = text[len(text.rstrip(" .!?…")) :]
    clauses = [clause.strip() for clause in re.split(r"[,.;!?…]+\s", text.rstrip(" .!?…"))]
    if len(clauses) == 2 and all(1 < len(clause.split()) <= 8 for clause in clauses):
        return f"{clauses[1]}{rng.choice((', ', ' '))}{clauses[0]}{end}"
    found = _TIMES.match(text)
    return f"{text.rstrip(' .!?…')[found.end() :]} {lower(found[1])}{end}" if found else text


def _unapostrophed(text: str, _: random.Random) -> str:
    return re.sub(r"(?<=\w)['’](?=\w)", "", text)


def _filled(language: str) -> Way:
    def filled(text: str, rng: random.Random) -> str:
        if rng.random() < 0.6:
            return rng.choice(_FILLERS[language]) + text
        end = text[len(text.rstrip(" .!?…")) :]
        return text[: len(text) - len(end)] + rng.choice(_TAILS[language]) + end

    return filled


@cache
def _synonyms(language: str) -> dict[str, tuple[str, ...]]:
    """Return what may stand for each word or phrase of the table, by the words without Turkish letters."""
    found: dict[str, tuple[str, ...]] = {}
    for item in load_table(resource("data").parent, "synonyms").items:
        pairs = [(item["word"], item["other"]), (item["other"], item["word"])][: int(item["ways"])]
        for word, other in pairs if item["language"] == language else ():
            found[ascii_folded(word)] = (*found.get(ascii_folded(word), ()), other)
    return found


@cache
def _phrases(language: str) -> re.Pattern[str]:
    longest_first = sorted(_synonyms(language), key=len, reverse=True)
    return re.compile(rf"(?<![\w'’])(?:{'|'.join(map(re.escape, longest_first))})(?![\w'’])")


def _reworded(language: str) -> Way:
    """Return the way that says a word or phrase of the table otherwise."""

    def reworded(text: str, rng: random.Random) -> str:
        folded = ascii_folded(lower(text) if language == "tr" else text.lower())
        found = list(_phrases(language).finditer(folded))
        if not found or len(folded) != len(text):
            return text
        one = rng.choice(found)
        return text[: one.start()] + rng.choice(_synonyms(language)[one.group()]) + text[one.end() :]

    return reworded


# in the order in which they are applied, each with its weight in the draw: what is said before how it is typed
_TURKISH: Mapping[str, tuple[int, Way]] = {
    "reworded": (5, _outside_code(_reworded("tr"))),
    "reordered": (3, _reordered),
    "unasked": (1, _unasked),
    "joined": (2, _outside_code(_joined)),
    "filled": (2, _filled("tr")),
    "unpunctuated": (3, _outside_code(_unpunctuated)),
    "chat": (4, _outside_code(_chat)),
    "vowelless": (1, _outside_code(_vowelless)),
    "ascii": (4, lambda text, _: asciified(text)),
    "drawn_out": (1, _outside_code(_drawn_out)),
    "slip": (4, _outside_code(_slip)),
    "cased": (2, _outside_code(_cased)),
}
_ENGLISH: Mapping[str, tuple[int, Way]] = {
    "reworded": (5, _outside_code(_reworded("en"))),
    "reordered": (3, _reordered),
    "filled": (2, _filled("en")),
    "unpunctuated": (3, _outside_code(_unpunctuated)),
    "unapostrophed": (2, _outside_code(_unapostrophed)),
    "drawn_out": (1, _outside_code(_drawn_out)),
    "slip": (4, _outside_code(_slip)),
    "cased": (2, _outside_code(_cased_english)),
}
_OTHER: Mapping[str, tuple[int, Way]] = {name: _ENGLISH[name] for name in ("unpunctuated", "slip", "cased")}
