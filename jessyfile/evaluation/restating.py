"""Whether an answer says the message again in other forms: `my cat ran off`, `the cat ran off`, and nothing of its own."""

from __future__ import annotations

import re

from jessyfile.evaluation.clauses import read
from jessyfile.evaluation.common_words import is_common
from jessyfile.evaluation.relevance import asks, same_stem

_ENOUGH, _SHARE = 6, 0.6
_ASKS_FIRST = re.compile(
    r"(?:^|[:,.!])\W*(?:is|are|was|were|do|does|did|can|could|should|shall|will|would|has|have|may|must)\b",
    re.IGNORECASE,
)
_REACTS = re.compile(r"\b(?:ha|demek|vay|yani|so|peki|aynen|evet|hayır|yok|yes|no|too|sen(?:in)? de|sana da)\b|!")


def restates(text: str, prompt: str) -> bool:
    """Return whether nearly every word of an answer is one of a message that asks nothing, and no sentence is its own."""
    said, heard = read(text), read(prompt)
    if asks(heard, prompt) or _ASKS_FIRST.search(prompt) or len(said.tokens) < _ENOUGH or _REACTS.search(text.lower()):
        return False
    again = {word for word in said.tokens if any(same_stem(word, other) for other in heard.tokens)}
    fresh = [word for word in said.tokens if word not in again and not is_common(word)]
    own = {word.sentence for word in said.tokens} - {word.sentence for word in again}
    return not own and len(fresh) <= 1 and sum(word in again for word in said.tokens) >= _SHARE * len(said.tokens)
