"""How many iterations a question gets: what the marker says, the nearest rows where it says nothing, and what was wished for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from jessyfile.errors import EngineError

if TYPE_CHECKING:
    from jessyfile.engines.adaptive import Marked
    from jessyfile.language.recipe import Complexity, Level
    from jessyfile.retrieval.levels import Vote
    from jessyfile.thinking.thought import Wishes


@dataclass(frozen=True, slots=True)
class Decided:
    """A question's level, its iterations, and the seconds that they may take."""

    level: str | None
    iterations: int
    within: float | None


def decide(marked: Marked | None, vote: Vote | None, complexity: Complexity, wishes: Wishes) -> Decided:
    """Return what a question gets.

    The marker says level and number. Where an answer has none, the nearest rows say the level, and the number is the least of its band. A
    number outside the level's band is the nearest one inside. A wish comes before both: a level is taken with the number in its band that is
    nearest to what the marker said.

    Args:
        marked: the first draft, its marker read; None when nothing is known of it.
        vote: what the nearest rows say.
        complexity: the recipe's levels.
        wishes: what was asked for.

    Returns:
        Level, number of iterations and seconds.

    Raises:
        EngineError: there is no such level.
    """
    known = {level.name: level for level in complexity.levels}
    said = marked.level if marked is not None else None
    name = wishes.level or said or (vote.level if vote is not None else None)
    level = known.get(name or "")
    if wishes.level is not None and level is None:
        raise EngineError(f"the model knows no level `{wishes.level}`", hint=f"its levels are {', '.join(known)}")
    number = marked.iterations if marked is not None and marked.iterations is not None else 1
    iterations = wishes.iterations or _inside(number, level)
    within = wishes.max_seconds if wishes.max_seconds is not None else level.within if level is not None else None
    return Decided(level.name if level is not None else None, iterations, within)


def known_before(complexity: Complexity, wishes: Wishes) -> int | None:
    """Return the number of iterations where it is known before the model says a word."""
    if wishes.iterations is not None:
        return wishes.iterations
    level = next((one for one in complexity.levels if one.name == wishes.level), None)
    bands = [level] if level is not None else list(complexity.levels if complexity.marker is not None else ())
    numbers = {number for one in bands for number in one.iterations} or {1}
    return numbers.pop() if len(numbers) == 1 else None


def _inside(number: int, level: Level | None) -> int:
    if level is None:
        return 1
    least, most = level.iterations
    return max(least, min(number, most))
