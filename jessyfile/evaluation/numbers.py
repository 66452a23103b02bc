"""Numbers as numbers: 9, 9,0, %9, dokuz and nine are one, `on altı` is 16, and 9 is not found in 19."""

from __future__ import annotations

import re
from collections.abc import Iterator

from jessyfile.evaluation.clauses import Said, read
from jessyfile.text.inflection import forms_of
from jessyfile.text.turkish import ascii_folded

_DIGITS = re.compile(r"(\d+(?:[.,]\d+)*)(?:['’]?[^\W\d_]{0,10})?")
_THOUSANDS = re.compile(r"\d{1,3}(?:[.,]\d{3})+")
_TURKISH = {
    "sıfır": 0, "bir": 1, "iki": 2, "üç": 3, "dört": 4, "beş": 5, "altı": 6, "yedi": 7, "sekiz": 8, "dokuz": 9,
    "on": 10,
    "yirmi": 20, "otuz": 30, "kırk": 40, "elli": 50, "altmış": 60, "yetmiş": 70, "seksen": 80, "doksan": 90,
}  # fmt: skip
_ENGLISH = {
    "zero": 0, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9,
    "ten": 10,
    "eleven": 11, "twelve": 12, "thirteen": 13, "fourteen": 14, "fifteen": 15, "sixteen": 16, "seventeen": 17,
    "eighteen": 18, "nineteen": 19, "twenty": 20, "thirty": 30, "forty": 40, "fifty": 50, "sixty": 60, "seventy": 70,
    "eighty": 80, "ninety": 90,
}  # fmt: skip
_TIMES = {"yüz": 100, "hundred": 100, "bin": 1000, "thousand": 1000}
_OTHER = re.compile(
    r"alt[ıi]n.*|yedi(?:m|n|k|ğ.*|niz|rd.*)|on[ulcs].*|ona|onda.*|y[üu]z[üu].*|y[üu]zden?|y[üu]ze|"
    r"bin(?:[iı].*|d.*)|ten'.*"
)
_ENGLISH_WORDS = frozenset(("the", "it's", "is", "of", "and", "to", "in", "it", "a"))
_HALF = "buçuk"
_FULL_HOUR = "00"  # of 15:00


def numbers(text: str) -> Iterator[tuple[float, bool]]:
    """Yield a text's numbers in order, each with whether the text claims it."""
    said = read(text)
    english = any(token.plain in _ENGLISH_WORDS for token in said.tokens)
    at = 0
    while at < len(said.tokens):
        value, end = _number(said, at, english=english)
        if value is None:
            at += 1
            continue
        yield value, said.affirmed(at, end)
        at = end


def _number(said: Said, at: int, *, english: bool) -> tuple[float | None, int]:
    """Return the number that begins at a word and where it ends."""
    digits = _DIGITS.fullmatch(said.tokens[at].plain)
    if digits is not None and digits[1] != _FULL_HOUR:
        return _half(said, _value(digits[1]), at + 1)
    return _spelled(said, at, english=english)


def _value(digits: str) -> float:
    if _THOUSANDS.fullmatch(digits):
        return float(re.sub(r"[.,]", "", digits))
    whole, *rest = re.split(r"[.,]", digits)
    return float(f"{whole}.{''.join(rest) or 0}")


def _spelled(said: Said, at: int, *, english: bool) -> tuple[float | None, int]:
    thousands, rest, last, place = 0, 0, -1, at
    while place < len(said.tokens):
        value = _word(said.tokens[place].text, said.tokens[place].plain, english=english)
        if value is None or (place > at and not _continues(last, value)):
            break
        if value == 1000:
            thousands, rest = (rest or 1) * 1000, 0
        else:
            rest = (rest or 1) * value if value == 100 else rest + value
        last, place = value, place + 1
    total = thousands + rest
    if place == at or (total == 1 and not _half_follows(said, place)):  # `bir` is the article
        return None, at
    return _half(said, total, place)


def _continues(last: int, value: int) -> bool:
    """Return whether a number goes on: `on altı`, `iki yüz` and `yüz bin` do, `yirmisi yüz` are two."""
    if value == 1000:
        return 0 < last < 1000
    if value == 100:
        return 0 < last < 10 or last == 1000
    return last >= 10 and last % 10 == 0 and 0 < value < (10 if last < 100 else 100)


def _word(text: str, plain: str, *, english: bool) -> int | None:
    if plain in _ENGLISH or (english and plain in _TIMES):
        return _ENGLISH.get(plain) or _TIMES.get(plain, 0)
    if english or _OTHER.fullmatch(text) is not None:
        return None
    joined = next((_TURKISH[word] + _TURKISH[text[len(word) :]] for word in _TURKISH if _pair(word, text)), None)
    if joined is not None:
        return joined
    every = {**_TURKISH, **_TIMES}
    return next((value for word, value in every.items() if forms_of(word).match(text) is not None), None)


def _pair(ten: str, text: str) -> bool:
    """Return whether two number words were typed as one: `yirmidört`."""
    value = _TURKISH[ten]
    return value >= 10 and text.startswith(ten) and 0 < _TURKISH.get(text[len(ten) :], 0) < 10


def _half_follows(said: Said, at: int) -> bool:
    return at < len(said.tokens) and ascii_folded(said.tokens[at].text).startswith(ascii_folded(_HALF))


def _half(said: Said, value: float, end: int) -> tuple[float, int]:
    return (value + 0.5, end + 1) if _half_follows(said, end) else (value, end)


def claims_only(text: str, wanted: tuple[float, ...], also: tuple[float, ...], *, others: bool) -> bool:
    """Return whether a text claims one of the wanted numbers, and no number besides those and `also` unless `others` may stand.

    Args:
        text: the answer.
        wanted: the right numbers; one of them must be claimed.
        also: numbers that may stand beside it.
        others: whether any other number may.

    Returns:
        Whether the right number is what the answer says.
    """
    claimed = [value for value, affirmed in numbers(text) if affirmed]
    right = any(value in wanted for value in claimed)
    return right and (others or all(value in wanted or value in also for value in claimed))
