"""Which side an answer takes of a question with options. Naming both is no choice."""

from __future__ import annotations

import re

from jessyfile.evaluation.clauses import Said, read
from jessyfile.evaluation.words import Place, places

_BOTH = re.compile(
    r"\b(?:ikisi(?:ni)? de|ikisi birden|her ikisi|hangisi olursa|fark etmez|farketmez|ya da her|both|"
    r"either one|either is|equally)\b"
)
_THAN = re.compile(r"\w+(?:'|’)?[dt][ae]n")
_BETTER = frozenset(("daha", "iyi", "iyidir", "önce", "güzel", "üstün", "evla", "yeğ"))
_ALSO = frozenset(("de", "da", "ve", "ile", "and", "hem"))


def chosen(text: str, options: tuple[tuple[str, ...], ...]) -> int | None:
    """Return which of the options an answer takes, None when it takes none or more than one."""
    said = read(text)
    found = [[place for word in words for place in places(text, word)] for words in options]
    taken = [[place for place in option if place[2] and not _loses(said, place)] for option in found]
    sides = [at for at, option in enumerate(taken) if option]
    if len(sides) == 1:
        return sides[0]
    if not sides:
        return _left_over(found)
    if _BOTH.search(" ".join(token.plain for token in said.tokens)) or _side_by_side(said, taken):
        return None
    return min(sides, key=lambda side: taken[side][0])


def _left_over(found: list[list[Place]]) -> int | None:
    """Return the option that is not denied when every other one is: `ünvan yanlış` takes the other."""
    untouched = [at for at, option in enumerate(found) if not option]
    return untouched[0] if len(untouched) == 1 and len(found) > 1 else None


def _loses(said: Said, place: Place) -> bool:
    """Return whether an option is what another one is better than: `çaydan iyi`, `better than tea`."""
    last, following = said.tokens[place[1] - 1].text, said.tokens[place[1] : place[1] + 1]
    before = said.tokens[place[0] - 1].plain if place[0] else ""
    compared = _THAN.fullmatch(last) is not None and any(token.text in _BETTER for token in following)
    return compared or before in ("than", "over")


def _side_by_side(said: Said, taken: list[list[Place]]) -> bool:
    """Return whether one clause takes several options, or each is followed by its `de`."""
    clauses = [{said.tokens[place[0]].clause for place in option} for option in taken if option]
    also = [
        any(token.text in _ALSO for place in option for token in said.tokens[place[1] : place[1] + 1])
        for option in taken
    ]
    return bool(set.intersection(*clauses)) or (all(also) and len(also) > 1)
