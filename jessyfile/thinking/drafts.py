"""Which drafts are worth something, when two say the same, and which one is the answer."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from jessyfile.text.repetition import find_loop
from jessyfile.text.turkish import ascii_folded, tokens

if TYPE_CHECKING:
    from jessyfile.thinking.thought import AnswerDraft

_AGREE = 0.85
_KEPT = 0.9  # of a row's words: a draft that says fewer of them is another answer
_STEM = 5
_NUMBER = re.compile(r"\d+")


def sound(draft: AnswerDraft) -> bool:
    """Return whether a draft says something and does not run in circles."""
    return bool(draft.text) and find_loop(draft.text) is None


def nearness(one: str, two: str) -> float:
    """Return how much two texts share, counted in words' beginnings: 1 is the same words, in whatever order."""
    first, second = _stems(one), _stems(two)
    total = first.total() + second.total()
    return 2 * (first & second).total() / total if total else 1.0


def agree(one: AnswerDraft, two: AnswerDraft) -> bool:
    """Return whether two drafts say the same."""
    return nearness(one.text, two.text) >= _AGREE


def last_good(drafts: Sequence[AnswerDraft]) -> int:
    """Return the place of the draft that is the answer where each was made of the one before: the last that is finished and sound, else the
    last that is sound, else the last that says anything.

    A person wrote the row that stands as a first draft, and a recipe lets it stand where a model would know less: a draft takes its place
    only when it says what the row says, nine words in ten and the same numbers, and may add to it.
    """
    row = drafts[0] if drafts[0].ended == "stands" else None
    kept = [at for at, one in enumerate(drafts) if row is None or one is row or _keeps(one, row)]
    good = [at for at in kept if drafts[at].finished and sound(drafts[at])]
    fair = [at for at in kept if sound(drafts[at])]
    some = [at for at in kept if drafts[at].text]
    return (good or fair or some or [len(drafts) - 1])[-1]


def middle(drafts: Sequence[AnswerDraft]) -> int:
    """Return the place of the draft that the others are nearest to, where each was made by itself; among finished and sound ones where there
    are any."""
    if drafts[0].ended == "stands":
        return 0
    good = [at for at, one in enumerate(drafts) if one.finished and sound(one)] or list(range(len(drafts)))
    return max(good, key=lambda at: sum(nearness(drafts[at].text, drafts[other].text) for other in good if other != at))


def _keeps(draft: AnswerDraft, row: AnswerDraft) -> bool:
    wanted, numbers = _stems(row.text), sorted(_NUMBER.findall(row.text))
    kept = (wanted & _stems(draft.text)).total() >= _KEPT * wanted.total()
    return kept and sorted(_NUMBER.findall(draft.text)) == numbers


def _stems(text: str) -> Counter[str]:
    return Counter(ascii_folded(word)[:_STEM] for word in tokens(text))
