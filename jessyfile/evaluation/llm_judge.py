"""Which of two answers another language model prefers. It is reported beside the checks and decides nothing.

The model sees a conversation and two answers, and does not learn whose they are. It is asked in both orders: only a choice
that stays when the answers change places counts as one. How often it chooses the good one of a case's reference answers says what
its opinion is worth. Every reply is kept under the hash of its request, so a rerun asks only for missing ones. When the address fails,
only these numbers are missing; they are marked as incomplete, so that the next apply asks again.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from jessyfile.dataset.completions import Address, Failure, KeptAnswers, read_key, without_thoughts
from jessyfile.errors import EvaluationError, Interrupted
from jessyfile.evaluation.answers import FULL
from jessyfile.evaluation.statistics import mcnemar, wilson
from jessyfile.evaluation.suite_inputs import even_sample
from jessyfile.resources import resource
from jessyfile.results.facts import Opinion
from jessyfile.results.quality import Estimate

if TYPE_CHECKING:
    from jessyfile.evaluation.answers import Answered
    from jessyfile.evaluation.cases import Case
    from jessyfile.evaluation.references import References
    from jessyfile.language.recipe import Judge
    from jessyfile.planning.steps import Progress, Stop

_AT_ONCE = 4
_SECONDS = 120.0
_ENOUGH_FAILURES = 3
_LONGEST = 8
_REFERENCES = 100  # pairs of reference answers: an agreement of 90 % is then known to 6 points
_NO_CHOICE = Failure("the judge chose none of A, B and S")
_CHOICE = re.compile(r"\W*(?:answer|cevap)?\W*([ABS])\W*", re.IGNORECASE)
_PLACE = re.compile(r"\{(conversation|a|b)\}")
Preference = Literal["first", "second", "same", "swayed"]
_SEEN: Mapping[str, Preference] = {"AB": "first", "BA": "second", "AA": "swayed", "BB": "swayed"}


@dataclass(frozen=True, slots=True)
class AnswerPair:
    """Two answers to one case, of which the judge prefers one."""

    case: Case
    first: str
    second: str


@dataclass(slots=True)
class PairJudge:
    """Asks one model at one address which answer it prefers, and keeps what it replies."""

    model: str
    address: Address
    kept: KeptAnswers
    failed: int = 0
    without_choice: int = 0
    chosen: int = 0
    reasons: list[Failure] = field(default_factory=list)

    def preferences(self, pairs: Sequence[AnswerPair], stop: Stop) -> Iterator[Preference | None]:
        """Yield what is preferred of every pair in order, None where it is not known; end early when it is no use.

        Raises Interrupted when asked to stop.
        """
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            for start in range(0, len(pairs), _AT_ONCE):
                if stop.requested():
                    raise Interrupted(f"stopped while {self.model} was judging; its choices so far are kept")
                if self._is_no_use():
                    return
                for found in pool.map(self.prefer, pairs[start : start + _AT_ONCE]):
                    yield self._counted(found)

    def _counted(self, found: Preference | Failure) -> Preference | None:
        failed = isinstance(found, Failure)
        self.failed = self.failed + 1 if found is not _NO_CHOICE and failed else 0
        self.without_choice += found is _NO_CHOICE
        self.chosen += not failed
        if isinstance(found, Failure):
            self.reasons.append(found)
            return None
        return found

    def _is_no_use(self) -> bool:
        return self.failed >= _ENOUGH_FAILURES or (not self.chosen and self.without_choice >= _ENOUGH_FAILURES)

    def prefer(self, pair: AnswerPair) -> Preference | Failure:
        """Return which answer is chosen in both orders, or why that is not known."""
        if pair.first == pair.second:
            return "same"
        seen = ""
        for a, b in ((pair.first, pair.second), (pair.second, pair.first)):
            choice = self._choice(prompt_of(pair.case, a, b))
            if isinstance(choice, Failure):
                return choice
            seen += choice
        return _SEEN.get(seen, "same")

    def _choice(self, prompt: str) -> str | Failure:
        question = {"model": self.model, "messages": [{"role": "user", "content": prompt}]}
        body = {**question, "temperature": 0, "max_tokens": _LONGEST}
        answer = self.kept.get(body) or self.address.complete(body)
        if isinstance(answer, Failure):
            return answer
        self.kept.keep(body, answer)
        found = _CHOICE.fullmatch(without_thoughts(answer))
        return found[1].upper() if found is not None else _NO_CHOICE


def prompt_of(case: Case, a: str, b: str) -> str:
    """Return what the judge is asked: the conversation and both answers between tags, filled in at one go."""
    lines = [f"{turn.role}: {turn.content}" for turn in case.turns]
    values = {"conversation": "\n".join([*lines, f"user: {case.prompt}"]), "a": a, "b": b}
    template = resource("templates", "prompts", "judge.txt").read_text(encoding="utf-8")
    return _PLACE.sub(lambda place: values[place[1]], template)


@dataclass(frozen=True, slots=True)
class JudgedPairs:
    """What the judge is to compare: the answers of two models by case, and pairs of a good and a bad reference answer."""

    answers: Sequence[AnswerPair]
    references: Sequence[AnswerPair] = ()


def answer_pairs(
    cases: Sequence[Case], after: Mapping[str, Answered], before: Mapping[str, Answered]
) -> list[AnswerPair]:
    """Return the candidate's and the base's answer to every case that both were asked."""
    both = [(case, after[case.id], before[case.id]) for case in cases if case.id in after and case.id in before]
    return [AnswerPair(case, new.text, old.text) for case, new, old in both if FULL not in (new.stopped, old.stopped)]


def reference_pairs(cases: Iterable[tuple[Case, References]]) -> list[AnswerPair]:
    """Return the first good reference answer to a case and the first bad one of each kind."""
    return [AnswerPair(case, one.good[0], bad[0]) for case, one in cases for bad in one.bad.values()]


def ask_opinion(judge: Judge, pairs: JudgedPairs, kept: KeptAnswers, progress: Progress, stop: Stop) -> Opinion:
    """Let the judge compare both models' answers, and reference answers. What it cannot say is left out, and the reason reported.

    Args:
        judge: the model that is asked, and its address.
        pairs: what it compares; of many reference answers an even part.
        kept: where replies of the judge are kept.
        progress: told after every pair.
        stop: asked between requests and while one waits.

    Returns:
        How often it prefers the candidate and the base, and how often the good reference answer.

    Raises:
        EvaluationError: when the key that the recipe names is not set.
        Interrupted: when asked to stop.
    """
    key = read_key(judge.key_env, EvaluationError)
    asked = PairJudge(judge.model, Address(judge.url, key, _SECONDS, stop), kept)
    known = even_sample(pairs.references, _REFERENCES)
    # references first: what an ended judge leaves out is then of the opinion, and not of what it is worth
    every, found = [*known, *pairs.answers], list[Preference | None]()
    for preference in asked.preferences(every, stop):
        found.append(preference)
        progress.update(len(found), len(every), text=judge.model)
    return _opinion(asked, Counter(found[len(known) :]), Counter(found[: len(known)]))


def _opinion(asked: PairJudge, models: Counter[Preference | None], references: Counter[Preference | None]) -> Opinion:
    agreed, n = references["first"], references.total() - references[None]
    low, high = wilson(agreed, n)
    last = asked.reasons[-1].reason if asked.reasons else ""
    return Opinion(
        model=asked.model,
        n=models.total() - models[None],
        better=models["first"],
        worse=models["second"],
        swayed=models["swayed"],
        p=round(mcnemar(models["first"], models["second"]), 6),
        agreement=Estimate(round(agreed / n, 4), round(low, 4), round(high, 4)) if n else None,
        references=n,
        problem=last,
        incomplete=any(reason is not _NO_CHOICE for reason in asked.reasons),
    )
