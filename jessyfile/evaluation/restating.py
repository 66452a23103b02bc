"""Whether an answer says nothing to the one who wrote: the message again in other forms (`my cat ran off`, `the cat ran off`),
their name as hers, or what a dictionary says of a word that nobody asked about."""

from __future__ import annotations

import re
from collections import Counter

from jessyfile.evaluation.clauses import Said, read
from jessyfile.evaluation.common_words import is_common
from jessyfile.evaluation.relevance import asks, same_stem
from jessyfile.text.turkish import lower

_ENOUGH, _SHARE, _SHARE_ASKED = 6, 0.6, 0.9
_GREETING = 2  # words that one gives back: `iyi geceler`
_LONGER = 4  # times as long as the answer a message holds what was asked for
_ASKS_FIRST = re.compile(
    r"(?:^|[:,.!])\W*(?:is|are|was|were|do|does|did|can|could|should|shall|will|would|has|have|may|must)\b",
    re.IGNORECASE,
)
_REACTS = re.compile(r"\b(?:ha|demek|vay|yani|so|peki|aynen|evet|hayır|yok|yes|no|too|sen(?:in)? de|sana da)\b|!")


def restates(text: str, prompt: str) -> bool:
    """Return whether nearly every word of an answer is one of the message, and no sentence is its own.

    Who answers a question takes up more of its words than who reacts to news.
    """
    said, heard = read(text), read(prompt)
    if _words(said) == _words(heard) and (len(said.tokens) > _GREETING or said != heard):
        return True
    if len(said.tokens) < _ENOUGH or len(heard.tokens) > _LONGER * len(said.tokens) or _REACTS.search(text.lower()):
        return False
    asked = asks(heard, prompt) or _ASKS_FIRST.search(prompt) is not None
    least = _SHARE_ASKED if asked else _SHARE
    again = {word for word in said.tokens if any(same_stem(word, other) for other in heard.tokens)}
    fresh = [word for word in said.tokens if word not in again and not is_common(word)]
    own = {word.sentence for word in said.tokens} - {word.sentence for word in again}
    return (
        not own and len(fresh) <= (not asked) and sum(word in again for word in said.tokens) >= least * len(said.tokens)
    )


def _words(said: Said) -> Counter[str]:
    return Counter(word.folded[0] for word in said.tokens)


_DEFINES = re.compile(
    r"^[^.!?]{0,160}?(?:\bbir(?: [^\W\d]+){0,4}|m[ae]s[ıi]|l[ae]r[ıi])[dt][ıiuü]r\b[.,;]"
    r"|^[^.!?,]{3,40} (?:is|are) an? (?:[^\s.]+ ){3}"
)
_ASKS_WHAT = re.compile(
    r"\bne(?:dir|ydi|ymiş|yi)?\b|neden|nasıl|demek|kim|sence|fark|anlat"
    r"|\bwhat\b|\bwhy\b|\bhow\b|\bwho\b|think|explain"
)
_NAMES = re.compile(r"\b(?:ben|adım|ismim|i['’]m|my name is) ([^\W\d_]{3,})", re.IGNORECASE)


def defines(text: str, prompt: str) -> bool:
    """Return whether an answer begins as a dictionary does although nobody asked what, why or how."""
    return _ASKS_WHAT.search(lower(prompt)) is None and _DEFINES.search(lower(text.strip())) is not None


def takes_the_name(text: str, prompt: str) -> bool:
    """Return whether an answer gives the name with which the other one introduced themselves as its own."""
    theirs = {found[1] for found in _NAMES.finditer(prompt) if found[1][0].isupper()}
    return any(
        re.search(rf"\b(?:[Bb]en de|[Bb]en|[Aa]dım|[Ii]smim|I['’]m|[Mm]y name is) {name}\b(?!['’])", text)
        for name in theirs
    )
