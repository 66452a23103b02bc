"""Which questions a row's answer may be given to as it stands: what was said before does not change it, and no other numbers are asked of."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from jessyfile.retrieval.pieces import folded
from jessyfile.text.turkish import lower

if TYPE_CHECKING:
    from jessyfile.language.recipe import Message
    from jessyfile.retrieval.examples import Example

_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_SUM = 2  # numbers in a question make it a sum or a comparison, of which each has an answer of its own
_LEAST_WORDS = 3  # `nerede?` and `olabilir` are rows, too, and answers to whatever came before
# words that point at what was said, or take it up: Turkish, English
_WORDS = (
    "bu bunu bunun buna bunda bundan bunlar bunları şu şunu şunun şuna şundan o onu onun ona onda ondan onlar "
    "onları onların böyle öyle şöyle peki yani ama fakat ve hani işte evet hayır yok tamam ok olur olmaz aynı "
    "aynısı diğeri başka daha tekrar yine gene devam öbürü this that these those it its he him his she her "
    "they them their there then so such and but or yes yeah yep no nope not okay again more else same other "
    "another continue why"
)
_POINTING = frozenset(_WORDS.split())


def stands_alone(messages: Sequence[Message], row: Example) -> bool:
    """Return whether the last turn of a conversation asks for a row's answer whatever came before.

    A question that opens a conversation does. A later one does where it is a wording of the row to the word, at least three words long,
    none of which points at what was said, and where it can't be an answer: the turn before it asks nothing, or it asks itself. Under
    a system prompt of the one who asks none does: he wants other answers than the rows'.
    """
    if len(messages) == 1:
        return True
    if messages[0].role == "system":
        return False
    said = messages[-1].content.strip()
    words = lower(said).strip(" .!?…").split()
    asked = messages[-2].content.rstrip().endswith("?") and not said.endswith("?")
    if asked or len(words) < _LEAST_WORDS or _POINTING.intersection(word.strip(",;:.!?…'\"") for word in words):
        return False
    return any(folded(text) == folded(said) for text in (row.question, *row.paraphrases))


def asks_of_other_numbers(question: str, row: Example) -> bool:
    """Return whether a question and a row ask of two numbers or more each, and not of the same: `7 kere 8` and `6 kere 8` are near by their
    letters, and each has an answer of its own. Numbers that are written as words are words here.
    """
    wanted = sorted(_NUMBER.findall(question))
    if len(wanted) < _SUM:
        return False
    asked = [sorted(_NUMBER.findall(text)) for text in (row.question, *row.paraphrases)]
    return wanted not in asked and any(len(numbers) >= _SUM for numbers in asked)
