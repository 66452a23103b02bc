"""Whether an answer is about what was said: a word of the subject, the question's own words taken up, or a question back.

A single word is no answer: it must stand in a text that is not a list of words, and the more words of other subjects a
text holds, the more of this one it needs.
"""

from __future__ import annotations

import re

from jessyfile.evaluation.clauses import Said, Word, read, without_echo
from jessyfile.evaluation.common_words import is_common
from jessyfile.evaluation.voice import is_salad
from jessyfile.evaluation.words import places

_ASKING = re.compile(
    r"ne|neyi|neden|niye|nasıl|nasil|nere\w*|kim\w*|kaç\w*|hangi\w*|m[ıiuü](?:yd\w+|s[ıiuü]n\w*|y[ıiuü]m)?"
    r"|what|why|how|who|where|when|which"
)
_REACTION = re.compile(
    r"(?:vay|yuh|oha|of+|oh+|ah+|aa+|ay|hadi ya|hadi be|yok art[ıi]k|ciddi|harbi|eyvah|uff?|yapma|"
    r"helal|bravo|no way|wow|ugh)\b"
)
_SHORT = 14
_PER_SUBJECT = 2
_LONG = 20
_PREFIX = 4


def touches(text: str, words: tuple[str, ...], prompt: str, known: tuple[str, ...] = (), *, asking: bool) -> bool:
    """Return whether an answer is about the subject.

    Args:
        text: the answer.
        words: words of the subject beyond those of the question.
        prompt: the question; repeating it counts for nothing, taking up one of its words counts.
        known: good answers that people wrote; their words are words of the subject too.
        asking: whether a short question back or a reaction, without a word of another subject, is an answer too; a single
            common word of the list then does not outweigh one of another subject.

    Returns:
        Whether the subject is touched.
    """
    own = without_echo(text, prompt)
    said = read(own)
    if not said.tokens or is_salad(said):
        return False
    content = {at for at, word in enumerate(said.tokens) if not is_common(word)}
    found = [place for word in words for place in places(own, word)]
    listed = {start for start, end, _ in found if not asking or end > start + 1 or start in content}
    of_subject = listed | (content & _taken_up(said, (prompt, *known)))
    foreign = len(content - of_subject)
    if of_subject and not read(prompt).tokens:  # who wrote no word has told nothing that could be known
        return foreign <= len(of_subject)
    if of_subject:
        return foreign <= (_PER_SUBJECT + (len(said.tokens) > _LONG)) * len(of_subject) + 1
    return asking and not foreign and len(said.tokens) <= _SHORT and (bool(found) or _asks_back(said, own))


def _taken_up(said: Said, texts: tuple[str, ...]) -> set[int]:
    """Return the places of words that share their beginning with a word of these texts that says what they are about."""
    known = {word.folded[0]: word for text in texts for word in read(text).tokens if not is_common(word)}
    return {
        at
        for word in known.values()
        for at in said.starts.get(word.folded[0][0], ())
        if same_stem(said.tokens[at], word)
    }


def same_stem(one: Word, other: Word) -> bool:
    """Return whether two words begin alike for four letters and all but a suffix's length of the shorter; `otobüs`, `otobüse`."""
    first, second = one.folded[0], other.folded[0]
    least = min(len(first), len(second))
    if least < 2:
        return first == second
    shared = next((at for at in range(least) if first[at] != second[at]), least)
    return shared == least if least <= _PREFIX else shared >= max(_PREFIX, least - 2)


def asks(said: Said, text: str) -> bool:
    """Return whether a text asks something, with or without its sign."""
    return "?" in text or any(_ASKING.fullmatch(word.text) for word in said.tokens)


def _asks_back(said: Said, text: str) -> bool:
    """Return whether a text asks or exclaims in a few words."""
    return asks(said, text) or _REACTION.match(text.strip().lower()) is not None
