"""Whether an answer is about what was said: a word of the subject, the question's own words taken up, or a question back.

A single word is no answer: it must stand in a text that is not a list of words, and the more words of other subjects a
text holds, the more of this one it needs.
"""

from __future__ import annotations

from jessyfile.evaluation.clauses import Said, Word, read, without_echo
from jessyfile.evaluation.common_words import is_common
from jessyfile.evaluation.voice import is_salad
from jessyfile.evaluation.words import places
from jessyfile.text.turkish import ascii_folded

_SHORT = 14
_PER_SUBJECT = 2
_PREFIX = 4


def touches(text: str, words: tuple[str, ...], prompt: str, *, asking: bool) -> bool:
    """Return whether an answer is about the subject.

    Args:
        text: the answer.
        words: words of the subject beyond those of the question.
        prompt: the question; repeating it counts for nothing, taking up one of its words counts.
        asking: whether a few words that belong to no subject are an answer too: what a friend asks or says back.

    Returns:
        Whether the subject is touched.
    """
    own = without_echo(text, prompt)
    said = read(own)
    if is_salad(said):
        return False
    listed = {place[0] for word in words for place in places(own, word)}
    content = {at for at, word in enumerate(said.tokens) if not is_common(word)}
    of_subject = listed | (content & _taken_up(said, prompt))
    foreign, strong = len(content - of_subject), len(content & of_subject)
    if strong:
        return foreign <= _PER_SUBJECT * strong + len(of_subject - content) + 1
    return (bool(of_subject) and foreign <= 1) or (asking and not foreign and 0 < len(said.tokens) <= _SHORT)


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
