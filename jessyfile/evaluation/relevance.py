"""Whether an answer is about what was said: a word of the subject, the question's own words taken up, or a question back.

A single word is no answer: it must stand in a text that is not a list of words, and a text with many words of other
subjects needs more than one.
"""

from __future__ import annotations

import re

from jessyfile.evaluation.clauses import Said, Word, read, without_echo
from jessyfile.evaluation.common_words import is_common
from jessyfile.evaluation.voice import is_salad
from jessyfile.evaluation.words import places
from jessyfile.text.turkish import ascii_folded

_ASKING = re.compile(
    r"ne|neyi|neden|niye|nasıl|nasil|nere\w*|kim\w*|kaç\w*|hangi\w*|m[ıiuü](?:yd\w+|s[ıiuü]n\w*|y[ıiuü]m)?|what|"
    r"why|how|who|where|when|which|did|do|was|were|is|are"
)
_REACTION = re.compile(
    r"^\W*(?:vay|yuh|oha|off?|ohh?|ah|aa+|ay|hadi ya|hadi be|yok art[ıi]k|ciddi mi|harbi mi|eyvah|hay[dD]a|a+h be|"
    r"oo+|uff?|yapma|deme|inanmıyorum|helal|bravo|süper|no way|wow|oh|ugh|damn|seriously)\b"
)
_SHORT = 14
_PER_SUBJECT = 9
_PREFIX = 4


def touches(text: str, words: tuple[str, ...], prompt: str, *, asking: bool) -> bool:
    """Return whether an answer is about the subject.

    Args:
        text: the answer.
        words: words of the subject beyond those of the question.
        prompt: the question; repeating it counts for nothing, taking up one of its words counts.
        asking: whether a short question back or a bare reaction, without a word of another subject, is an answer too.

    Returns:
        Whether the subject is touched.
    """
    own = without_echo(text, prompt)
    said = read(own)
    if is_salad(said):
        return False
    hit = {place[0] for word in words for place in places(own, word)} | _taken_up(said, prompt)
    content = sum(not is_common(token) for token in said.tokens)
    return len(hit) * _PER_SUBJECT >= content if hit else asking and _asks_back(said, own)


def _taken_up(said: Said, prompt: str) -> set[int]:
    """Return the places of words that share their beginning with a word of the question that says what it is about."""
    asked = [token for token in read(prompt).tokens if not is_common(token)]
    return {at for at, token in enumerate(said.tokens) if any(_same_stem(token, other) for other in asked)}


def _same_stem(one: Word, other: Word) -> bool:
    """Return whether two words begin alike for four letters and all but a suffix's length of the shorter; `otobüs`, `otobüse`."""
    first, second = ascii_folded(one.text), ascii_folded(other.text)
    least = min(len(first), len(second))
    shared = next((at for at in range(least) if first[at] != second[at]), least)
    return shared == least if least <= _PREFIX else shared >= max(_PREFIX, least - 2)


def _asks_back(said: Said, text: str) -> bool:
    """Return whether a text asks or exclaims in a few words that belong to no subject."""
    words = [token.text for token in said.tokens]
    asks = "?" in text or any(map(_ASKING.fullmatch, words)) or _REACTION.search(text.lower()) is not None
    return 0 < len(words) <= _SHORT and asks and all(map(is_common, said.tokens))
