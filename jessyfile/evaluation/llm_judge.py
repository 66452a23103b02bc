"""Scores of the answers by another language model. They are reported beside the checks and decide nothing.

The model sees a conversation and one answer and gives a number from 0 to 10. It does not learn which model answered.
Every score is kept under the hash of its request, so a rerun asks only for missing ones. When the address fails, only
these numbers are missing; they are marked as incomplete, so that the next apply asks again.

Not covered: how well such numbers agree with people's. They contain the model's own taste.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from jessyfile.dataset.completions import Address, Failure, KeptAnswers, read_key, without_thoughts
from jessyfile.errors import EvaluationError, Interrupted
from jessyfile.evaluation.statistics import mean_interval
from jessyfile.resources import resource
from jessyfile.results.facts import Opinion

if TYPE_CHECKING:
    from jessyfile.evaluation.answers import Answered
    from jessyfile.evaluation.cases import Case
    from jessyfile.language.recipe import Judge
    from jessyfile.planning.steps import Progress, Stop

_AT_ONCE = 4
_SECONDS = 120.0
_ENOUGH_FAILURES = 3
_LONGEST = 8
_NO_NUMBER = Failure("the judge gave no number")
_NUMBER = re.compile(r"(?<![\d.,-])(10|\d)(?![\d])")
_PLACE = re.compile(r"\{(conversation|answer)\}")
Item = tuple["Case", "Answered"]


@dataclass(frozen=True, slots=True)
class CaseOpinions:
    """Scores from 0 to 10 by case, of the candidate and of the base, and the last reason why one is missing.

    `incomplete` says that asking again may bring what is missing.
    """

    model: str
    after: Mapping[str, int]
    before: Mapping[str, int]
    problem: str = ""
    incomplete: bool = False

    def mean(self) -> Opinion:
        """Return means over the cases that both were scored on, with the interval of their difference."""
        shared = [case for case in self.after if case in self.before]
        low, high = mean_interval([float(self.after[case] - self.before[case]) for case in shared])
        after, before = _mean(self.after, shared), _mean(self.before, shared)
        interval = (round(low, 4), round(high, 4))
        return Opinion(self.model, len(shared), after, before, *interval, self.problem, self.incomplete)


@dataclass(slots=True)
class Opinionated:
    """Asks one model at one address for scores, and keeps what it answers."""

    model: str
    address: Address
    kept: KeptAnswers
    failed: int = 0
    without_number: int = 0
    scored: int = 0

    def scores(self, items: Sequence[Item], stop: Stop) -> Iterator[int | Failure]:
        """Yield a score, or why there is none, for every item in order; end early when it is no use.

        Raises Interrupted when asked to stop.
        """
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            for start in range(0, len(items), _AT_ONCE):
                if stop.requested():
                    raise Interrupted(f"stopped while {self.model} was scoring; its scores so far are kept")
                if self._is_no_use():
                    return
                for found in pool.map(self.score, items[start : start + _AT_ONCE]):
                    self._count(found)
                    yield found

    def _count(self, found: int | Failure) -> None:
        failed = isinstance(found, Failure)
        self.failed = self.failed + 1 if found is not _NO_NUMBER and failed else 0
        self.without_number += found is _NO_NUMBER
        self.scored += not failed

    def _is_no_use(self) -> bool:
        return self.failed >= _ENOUGH_FAILURES or (not self.scored and self.without_number >= _ENOUGH_FAILURES)

    def score(self, item: Item) -> int | Failure:
        """Return one score from 0 to 10, or why there is none."""
        question = {"model": self.model, "messages": [{"role": "user", "content": prompt_of(*item)}]}
        body = {**question, "temperature": 0, "max_tokens": _LONGEST}
        answer = self.kept.get(body) or self.address.complete(body)
        if isinstance(answer, Failure):
            return answer
        self.kept.keep(body, answer)
        found = _NUMBER.search(without_thoughts(answer))
        return int(found[1]) if found is not None else _NO_NUMBER


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
    kept: KeptAnswers,
    progress: Progress,
    stop: Stop,
) -> CaseOpinions:
    """Let the judge score both models' answers. What cannot be scored is left out, and the reason is reported.

    Args:
        judge: the model that scores, and its address.
        cases: what both models were asked.
        after: the candidate's answers by case.
        before: the base model's.
        kept: where answers of the judge are kept.
        progress: told after every score.
        stop: asked between requests and while one waits.

    Returns:
        The scores by case, and the last reason why one is missing.

    Raises:
        EvaluationError: when the key that the recipe names is not set.
        Interrupted: when asked to stop.
    """
    key = read_key(judge.key_env, EvaluationError)
    asked = Opinionated(judge.model, Address(judge.url, key, _SECONDS, stop), kept)
    # the two models take turns, so that whatever is left out when it ends early is left out of both
    items = [(case, side, side[case.id]) for case in cases for side in (after, before) if case.id in side]
    scores: dict[int, dict[str, int]] = {id(after): {}, id(before): {}}
    problem, incomplete = "", False
    for number, found in enumerate(asked.scores([(case, answer) for case, _, answer in items], stop)):
        case, side, _ = items[number]
        if isinstance(found, Failure):
            problem, incomplete = found.reason, incomplete or found is not _NO_NUMBER
        else:
            scores[id(side)][case.id] = found
        progress.update(number + 1, len(items), text=judge.model)
    return CaseOpinions(judge.model, scores[id(after)], scores[id(before)], problem, incomplete)


def _mean(scores: Mapping[str, int], shared: Sequence[str]) -> float | None:
    return round(sum(scores[case] for case in shared) / len(shared), 4) if shared else None
