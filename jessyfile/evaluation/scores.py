"""What one answer is worth: each check's outcome, and the form and the relevance that follow from them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from math import inf
from typing import TYPE_CHECKING

from jessyfile.evaluation.answers import FULL, Answered
from jessyfile.evaluation.cases import Case, Check
from jessyfile.evaluation.checks import complaint, passes, rule_holds
from jessyfile.evaluation.clauses import without_echo
from jessyfile.evaluation.nearness import leaning
from jessyfile.evaluation.restating import defines, restates, takes_the_name
from jessyfile.evaluation.voice import voice_faults
from jessyfile.text.answer_language import in_language
from jessyfile.text.repetition import find_loop

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from jessyfile.evaluation.profiles import Profiles
    from jessyfile.language.recipe import Complexity, Personality

PERSONA_SUITE = "personality"
_LOWEST = "low"
_UNFORESEEN = {"touches": 0.15, "at_least": 0.05, "first_person": 0.05}
"""How far an answer must lean to the good ones to need none of the words that a check looks for."""
_LEANS = ((20, -0.03), (4, 0.03), (0, -0.4))  # the least by an answer's words: few share little, many with both
_MANNER = 0.3  # of a suite's good and bad answers at large, beside how like it is to those of its own question
_ELSEWHERE = ((20, 0.02), (12, 0.1), (0, 0.35))  # the most of the other questions; many words are no accident


@dataclass(frozen=True, slots=True)
class Score:
    """One answer's outcomes. Those of the marker are None when the recipe trains none or the level is not its own.

    `shape` is language, no loop and the case's own checks of form; `form` is that and the marker, its level and its
    iterations; `relevant` is that the answer touches what was asked.
    """

    case: Case
    answer: Answered
    marker: bool | None
    level: bool | None
    band: bool | None
    language: bool
    loop: str | None
    failed_form: tuple[str, ...]
    failed_relevance: tuple[str, ...]

    @property
    def shape(self) -> bool:
        """Whether the answer has the right shape, the marker left aside."""
        return self.asked and self.language and self.loop is None and not self.failed_form

    @property
    def form(self) -> bool:
        """Whether shape, marker, level and iterations are right."""
        return self.shape and False not in (self.marker, self.level, self.band)

    @property
    def relevant(self) -> bool:
        """Whether every check of content passes."""
        return self.asked and not self.failed_relevance

    @property
    def asked(self) -> bool:
        """Whether the model has seen the question: one that is longer than the context window it has not."""
        return self.answer.stopped != FULL

    def called_stock(self) -> Score:
        """Return the score of an answer whose sentences many different questions got."""
        return replace(self, failed_relevance=(*self.failed_relevance, "says what many other questions got"))

    def failures(self) -> list[str]:
        """Return every failed check in words."""
        return list(_failures(self))


def gained(after: Score, before: Score) -> int:
    """Return how many of shape and relevance an answer has more than another, the marker left aside."""
    new, old = (one.shape + one.relevant for one in (after, before))
    return new - old


def _failures(score: Score) -> Iterator[str]:
    case, answer = score.case, score.answer
    if not score.asked:
        tokens = f" of {answer.prompt_tokens} tokens" if answer.prompt_tokens else ""
        yield f"not asked: the conversation{tokens} is longer than the context window"
        return
    if score.marker is False:
        yield "no marker"
    elif score.level is False:
        yield f"level {answer.level} instead of {case.level}"
    elif score.band is False:
        yield f"{answer.iterations} iterations for {case.level}"
    if not score.language:
        yield f"not in {case.language}"
    if score.loop is not None:
        yield f"repeats `{score.loop[:60]}`"
    yield from score.failed_form
    yield from score.failed_relevance


def score(case: Case, answer: Answered, complexity: Complexity, personality: Personality) -> Score:
    """Score one answer by its case's checks and the recipe's rules.

    Args:
        case: the question with its checks.
        answer: what the model said.
        complexity: the recipe's levels and marker.
        personality: the recipe's PERSONALITY rules.

    Returns:
        Which parts of form and relevance passed, and what failed.
    """
    bands = {level.name: level.iterations for level in complexity.levels}
    marked = complexity.marker is not None and case.level in bands
    low, high = bands.get(case.level, (0, 0))
    right = answer.level == case.level
    return Score(
        case=case,
        answer=answer,
        marker=answer.level is not None if marked else None,
        level=right if marked else None,
        band=right and answer.iterations is not None and low <= answer.iterations <= high if marked else None,
        language=in_language(answer.text, case.language),
        loop=find_loop(answer.text),
        failed_form=(*form_misses(case, answer.text), *_broken_rules(case, answer.text, personality)),
        failed_relevance=misses(case, answer.text),
    )


def form_misses(case: Case, text: str) -> tuple[str, ...]:
    """Return in words the checks of form that an answer fails."""
    return _failed(case, case.form, text)


def misses(case: Case, text: str) -> tuple[str, ...]:
    """Return in words the checks of content that an answer fails.

    Where people wrote answers for the case, what is clearly like theirs decides: like a good one an answer needs no word
    that a list cannot foresee, like a bad one, or one to other questions, it fails. Where JSON is asked for, its fields decide alone.
    """
    if case.plain:
        return _failed(case, case.relevance, text)
    words, leans, elsewhere = _near(case, case.profiles, text)
    faults = {
        "is nearer to answers known as bad": bool(case.good and case.bad) and leans <= _bound(_LEANS, words),
        "is nearer to answers to other questions": elsewhere > _bound(_ELSEWHERE, words),
        "says the message again": restates(text, case.prompt),
        "takes the other one's name": takes_the_name(text, case.prompt),
        "defines what nobody asked about": case.level == _LOWEST and defines(text, case.prompt),
    }
    return (*_failed(case, case.relevance, text), *(fault for fault, there in faults.items() if there))


def _bound(bounds: Sequence[tuple[int, float]], words: int) -> float:
    return next(bound for some, bound in bounds if words >= some)


@lru_cache(maxsize=256)
def _near(case: Case, profiles: Profiles | None, text: str) -> tuple[int, float, float]:
    """Return an answer's own words, how far it leans to the case's good answers, and the share of other questions it is nearer to."""
    own = without_echo(text, case.prompt)
    words, leans = len(own.split()), leaning(own, case.good, case.bad)
    if profiles is None:
        return words, leans, 0.0
    return words, leans + _MANNER * profiles.manner(own), profiles.nearer(case.id, own)


def _failed(case: Case, checks: Sequence[Check], text: str) -> tuple[str, ...]:
    known = tuple(good for good in case.good if good != text)
    _, leans, elsewhere = _near(case, case.profiles, text)
    asked = [check for check in checks if elsewhere or leans < _UNFORESEEN.get(check.kind, inf)]
    return tuple(complaint(check, text, case.prompt) for check in asked if not passes(check, text, case.prompt, known))


def _broken_rules(case: Case, text: str, personality: Personality) -> Iterator[str]:
    if not case.plain:
        yield from voice_faults(text, case.prompt, case.language)
    for rule in personality.never:
        if rule_holds(rule, text):
            yield f"NEVER {rule}"
    always = personality.always if case.suite == PERSONA_SUITE else ()
    if always and not any(rule_holds(rule, text) for rule in always):
        yield f"ALWAYS {' or '.join(always)}"
