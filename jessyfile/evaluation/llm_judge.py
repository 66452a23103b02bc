"""What another language model thinks of the answers: reported beside the checks, decides nothing.

The model sees a conversation and one answer and gives a number from 0 to 10; it does not learn whose answer it is. An
address that fails costs only these numbers.

Not covered: how well such numbers agree with people's. The model's own taste is in them.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jessyfile.dataset.http import Address, Failure
from jessyfile.evaluation.statistics import paired_interval
from jessyfile.resources import resource

if TYPE_CHECKING:
    from jessyfile.evaluation.answers import Answered
    from jessyfile.evaluation.cases import Case
    from jessyfile.language.recipe import Judge
    from jessyfile.planning.steps import Progress, Stop

_AT_ONCE = 4
_SECONDS = 120.0
_ENOUGH_FAILURES = 3
_NUMBER = re.compile(r"(?<![\d.,-])(10|\d)(?![\d])")
_PLACE = re.compile(r"\{(conversation|answer)\}")
Item = tuple["Case", "Answered"]


@dataclass(frozen=True, slots=True)
class Opinion:
    """Scores from 0 to 10 by case, of the candidate and of the base, and the last reason why one is missing."""

    model: str
    after: Mapping[str, int]
    before: Mapping[str, int]
    problem: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return means over the cases that both were scored on, with the interval of their difference."""
        shared = [case for case in self.after if case in self.before]
        low, high = paired_interval([float(self.after[case] - self.before[case]) for case in shared])
        means = {"after": _mean(self.after, shared), "before": _mean(self.before, shared)}
        interval = {"low": round(low, 4), "high": round(high, 4)}
        return {"model": self.model, "n": len(shared), **means, **interval, "problem": self.problem}


@dataclass(frozen=True, slots=True)
class Opinionated:
    """Asks one model at one address for scores."""

    model: str
    address: Address

    def scores(self, items: Sequence[Item], stop: Stop) -> Iterator[int | str]:
        """Yield a score, or why there is none, for every item in order; end early when asked to, or when it is no
        use."""
        failures = 0
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            for start in range(0, len(items), _AT_ONCE):
                if stop.requested() or failures >= _ENOUGH_FAILURES:
                    return
                for found in pool.map(self.score, items[start : start + _AT_ONCE]):
                    failures += isinstance(found, str)
                    yield found

    def score(self, item: Item) -> int | str:
        """Return one score from 0 to 10, or why there is none."""
        body = {"model": self.model, "messages": [{"role": "user", "content": prompt_of(*item)}]}
        answer = self.address.complete({**body, "temperature": 0, "max_tokens": 8})
        if isinstance(answer, Failure):
            return answer.reason
        found = _NUMBER.search(answer)
        return int(found[1]) if found is not None else "the judge gave no number"


def prompt_of(case: Case, answer: Answered) -> str:
    """Return what the judge is asked: the conversation and the answer between tags, filled in at one go."""
    lines = [f"{turn.role}: {turn.content}" for turn in case.turns]
    values = {"conversation": "\n".join([*lines, f"user: {case.prompt}"]), "answer": answer.text}
    template = resource("templates", "prompts", "judge.txt").read_text(encoding="utf-8")
    return _PLACE.sub(lambda place: values[place[1]], template)


def ask_opinion(
    judge: Judge,
    cases: Sequence[Case],
    after: Mapping[str, Answered],
    before: Mapping[str, Answered],
    progress: Progress,
    stop: Stop,
) -> Opinion:
    """Score both models' answers; what cannot be scored is left out and said."""
    key = os.environ.get(judge.key_env) if judge.key_env else None
    asked = Opinionated(judge.model, Address(judge.url, key, _SECONDS))
    # the two models take turns, so that whatever is left out when it ends early is left out of both
    items = [(case, side, side[case.id]) for case in cases for side in (after, before) if case.id in side]
    scores: dict[int, dict[str, int]] = {id(after): {}, id(before): {}}
    problem = ""
    for number, found in enumerate(asked.scores([(case, answer) for case, _, answer in items], stop)):
        case, side, _ = items[number]
        if isinstance(found, str):
            problem = found
        else:
            scores[id(side)][case.id] = found
        progress.update(number + 1, len(items), text=judge.model)
    return Opinion(judge.model, scores[id(after)], scores[id(before)], problem)


def _mean(scores: Mapping[str, int], shared: Sequence[str]) -> float | None:
    return round(sum(scores[case] for case in shared) / len(shared), 4) if shared else None
