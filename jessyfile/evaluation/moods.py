"""The tone a message deserves: what nobody says to somebody who mourns, worries, is hurt or rejoices.

`data/lexicon/tones.tsv` holds the phrases of each tone, one regular expression a line.
"""

from __future__ import annotations

import re
from functools import cache

from jessyfile.evaluation.words import forms
from jessyfile.resources import resource
from jessyfile.text.lexicon import load_table

_AVOIDED = {
    "loss": ("small_talk", "cheer", "applause", "joke", "cold", "blame", "lecture", "light", "mend", "wish"),
    "crisis": (
        "small_talk",
        "cheer",
        "applause",
        "joke",
        "cold",
        "blame",
        "lecture",
        "light",
        "condolence",
        "wish",
        "method",
    ),
    "worry": ("small_talk", "cheer", "joke", "cold", "blame", "lecture", "condolence", "wish"),
    "hurt": ("small_talk", "cheer", "applause", "joke", "cold", "blame", "lecture", "condolence", "wish"),
    "joy": ("small_talk", "cold", "blame", "lecture", "condolence", "sympathy", "mend"),
    "relief": ("small_talk", "cold", "blame", "lecture", "condolence"),
    "plain": ("condolence",),
}
_OCCASIONS = ("comfort", "praise", "appetite", "work", "farewell", "greeting", "thanks", "invitation", "rest")
_MANY, _BOTH = 5, 4


def suits(text: str, mood: str) -> bool:
    """Return whether a text holds nothing that a message of this mood forbids. Raises KeyError for an unknown mood."""
    return not any(sounds(text, tone) for tone in _AVOIDED[mood])


def sounds(text: str, tone: str) -> bool:
    """Return whether a text holds a phrase of a tone: `cold`, `call_centre` and the others of the table."""
    return any(_tones()[tone].search(form) is not None for form in forms(text))


def patched_together(text: str) -> bool:
    """Return whether a text strings the set phrases of many occasions together: get well, well done, enjoy, tell me."""
    said = {tone: {found[0] for form in forms(text) for found in _tones()[tone].finditer(form)} for tone in _OCCASIONS}
    comforts, praises = len(said["comfort"]), len(said["praise"])
    many = sum(map(bool, said.values())) >= _MANY
    return many or (min(comforts, praises) > 0 and comforts + praises >= _BOTH)


@cache
def _tones() -> dict[str, re.Pattern[str]]:
    found = dict[str, list[str]]()
    for item in load_table(resource("data").parent, "tones").items:
        found.setdefault(item["tone"], []).append(item["pattern"])
    return {tone: re.compile("|".join(patterns)) for tone, patterns in found.items()}
