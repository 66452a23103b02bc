"""What a reader must know before scrolling: one honest sentence, what to doubt, three answers, and the commands that follow.

Every word is drawn from the verdict and what the steps left; nothing here judges anew.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING

from jessyfile.evaluation.statistics import mcnemar
from jessyfile.results.facts import AnswersFacts, Curve, TrainFacts
from jessyfile.results.outcome import spell

if TYPE_CHECKING:
    from jessyfile.evaluation.scores import Score
    from jessyfile.evaluation.verdict import Column, ScoredCase, Verdict
    from jessyfile.report.page import Reported
    from jessyfile.results.outcome import Outcome

SHOWN = 3
_MOST, _SOME = 0.6, 0.2
_CHANCE = 0.05
_RISEN = 1.01  # a kept validation loss so far above the lowest is no noise of the last digit


@dataclass(frozen=True, slots=True)
class LearnedCount:
    """In how many of `n` cases the candidate does something, and in how many the model that it is held beside; None where none was asked."""

    n: int
    after: int
    before: int | None
    certain: bool
    beside: str = "the base model"

    @property
    def share(self) -> float:
        """The candidate's share; 0 of no cases."""
        return self.after / self.n if self.n else 0.0

    @property
    def told(self) -> str:
        """The counts in words: `41 of 78 answers, the base model 3`."""
        beside = "" if self.before is None else f", {self.beside} {self.before}"
        return f"{self.after} of {self.n} answers{beside}"


@dataclass(frozen=True, slots=True)
class FirstScreen:
    """The page's first screen: sentences, doubts, exchanges to show, and commands with what each does."""

    sentences: tuple[str, ...]
    doubts: tuple[str, ...]
    exchanges: tuple[ScoredCase, ...]
    commands: tuple[tuple[str, str], ...]
    before: Column = "base"


def first_screen(reported: Reported, verdict: Verdict | None, curve: Curve | None, promoted: bool) -> FirstScreen:
    """Return what stands above everything else on a run's page.

    Args:
        reported: the run, with what its steps left.
        verdict: what was measured; None where nothing was judged.
        curve: the training's losses; None where nothing was trained.
        promoted: whether the candidate is served by its name now.

    Returns:
        Sentences, doubts, exchanges and commands; those that nothing is known for are empty.
    """
    return FirstScreen(
        sentences=tuple(_sentences(verdict)) if verdict is not None else (),
        doubts=tuple(_doubts(reported, verdict, curve)),
        exchanges=tuple(exchanges(verdict.cases)) if verdict is not None else (),
        commands=tuple(_commands(reported, verdict, promoted)),
        before=begun_from(verdict.cases) if verdict is not None else "base",
    )


def _sentences(verdict: Verdict) -> Iterator[str]:
    """Yield what had to become better, and what was learned: the form and the content, each with its counts."""
    for outcome in (judged.outcome for judged in verdict.criteria if judged.outcome.baseline is not None):
        if outcome.criterion.rank == "must" and outcome.unit == "share":
            beside = {"baseline": "the base model"}.get(str(outcome.criterion.value), f"the {outcome.criterion.value}")
            verb = "It became better at" if outcome.passed else "It did not surely become better at"
            shares = f"{spell(outcome.value, 'share')} of {outcome.n}, {beside} {spell(outcome.baseline, 'share')}"
            yield f"{verb} {outcome.criterion.metric}: {shares}."
    form, content = form_learned(verdict.cases), content_learned(verdict.cases)
    if not form.n:
        return
    if content is None:
        yield f"{_learned('the form', form)} ({form.told}); no case judges what an answer says."
        return
    both = _level(form) == _level(content)
    joined = " and " if both else ", but "
    yield f"{_learned('the form', form)} ({form.told}){joined}{_on_topic(content)} ({content.told})."


def _learned(what: str, counted: LearnedCount) -> str:
    if _level(counted) == "most" and counted.before is not None and counted.before / counted.n >= _MOST:
        return f"It keeps {what}"
    if _level(counted) != "few" and counted.before is not None and not counted.certain:
        return f"Whether it learned {what} is not certain"
    return {"most": f"It learned {what}", "some": f"It learned {what} in part", "few": f"It did not learn {what}"}[
        _level(counted)
    ]


def _on_topic(counted: LearnedCount) -> str:
    return {
        "most": "most of its answers are on topic",
        "some": "only some of its answers are on topic",
        "few": "few of its answers are on topic",
    }[_level(counted)]


def _level(counted: LearnedCount) -> str:
    return "most" if counted.share >= _MOST else "some" if counted.share >= _SOME else "few"


def form_learned(cases: Sequence[ScoredCase]) -> LearnedCount:
    """Return in how many answers marker, level, language and shape are right."""
    return _count(cases, lambda score: score.form)


def content_learned(cases: Sequence[ScoredCase]) -> LearnedCount | None:
    """Return how many answers pass every check of content, of the cases that have one; None when there is no such case."""
    judged = [one for one in cases if one.after.case.relevance or one.after.case.good]
    return _count(judged, lambda score: score.relevant) if judged else None


def _count(cases: Sequence[ScoredCase], passes: Callable[[Score], bool]) -> LearnedCount:
    column = begun_from(cases)
    after = sum(passes(one.after) for one in cases)
    both = [(passes(one.after), passes(one.begun)) for one in cases if one.begun is not None]
    if not both:
        return LearnedCount(len(cases), after, None, certain=False)
    better, worse = (sum(new and not old for new, old in both), sum(old and not new for new, old in both))
    beside = "the base model" if column == "base" else f"the {column}"
    return LearnedCount(len(cases), after, sum(old for _, old in both), mcnemar(better, worse) < _CHANCE, beside)


def begun_from(cases: Sequence[ScoredCase]) -> Column:
    """Return the column that the candidate is held beside first: the model that training started from, where that is not the base."""
    return "start" if any(one.of("start") is not None for one in cases) else "base"


def _doubts(reported: Reported, verdict: Verdict | None, curve: Curve | None) -> Iterator[str]:
    """Yield what a careful reader would ask about, the gravest first."""
    trained = reported.facts_of("train", TrainFacts)
    if curve is not None and trained is not None:
        yield from _overfit(curve, trained)
    if verdict is None:
        return
    for judged in verdict.criteria:
        if near(judged.outcome):
            yield f"{judged.outcome.claim} passes, but more cases could turn it: {judged.outcome.measured}."
    hollow = [one for one in verdict.cases if one.change == "better" and not one.after.relevant]
    if hollow:
        yield f"{len(hollow)} answers got better in form and are still beside the point."


def _overfit(curve: Curve, trained: TrainFacts) -> Iterator[str]:
    kept = next((one.loss for one in curve.validations if one.update == trained.best_update), None)
    lowest = min(curve.validations, key=lambda one: one.loss, default=None)
    if kept is None or lowest is None or lowest.update == trained.best_update or kept <= lowest.loss * _RISEN:
        return
    yield (
        f"It overfits from update {lowest.update} on: validation loss was {lowest.loss:.3g} there, and is {kept:.3g} "
        f"at update {trained.best_update}, which was kept. Fewer epochs or `keep best` take the earlier one."
    )


def near(outcome: Outcome) -> bool:
    """Return whether a criterion passes although its bound lies within the interval of what was measured."""
    bound = outcome.criterion.value
    if not outcome.passed or isinstance(bound, str) or outcome.low is None or outcome.high is None:
        return False
    return outcome.low < bound < outcome.high


def exchanges(cases: Sequence[ScoredCase], most: int = SHOWN) -> list[ScoredCase]:
    """Return a few cases in which as many answers pass everything as among all of them.

    Which ones is drawn by the cases' names, so that nobody picks the best, and one suite comes twice only after every other.
    """
    drawn = sorted(cases, key=lambda one: sha256(one.after.case.id.encode()).digest())
    fine = [one for one in drawn if not one.after.failures()]
    rest = [one for one in drawn if one.after.failures()]
    passing = round(most * len(fine) / len(drawn)) if drawn else 0
    chosen = [*_spread(fine, passing), *_spread(rest, most - passing)]
    return (chosen + [one for one in drawn if one not in chosen])[:most]


def _spread(cases: Sequence[ScoredCase], most: int) -> list[ScoredCase]:
    seen: dict[str, int] = {}
    ranked = []
    for one in cases:
        seen[one.after.case.suite] = seen.get(one.after.case.suite, 0) + 1
        ranked.append((seen[one.after.case.suite], one))
    return [one for _, one in sorted(ranked, key=lambda pair: pair[0])][:most]


def _commands(reported: Reported, verdict: Verdict | None, promoted: bool) -> Iterator[tuple[str, str]]:
    """Yield the commands that a reader wants next, and what each does."""
    name = reported.name if promoted else f"{reported.name}:candidate"
    evaluated = reported.facts_of("evaluate", AnswersFacts)
    if evaluated is not None:
        yield f"jessy chat {shlex.quote(name)}", "talk to it"
        if evaluated.engine == "ollama":
            yield f"ollama run {shlex.quote(name)}", "the same in Ollama"
    if reported.where:
        yield _again(reported), "make it again; what is unchanged is taken from the store"
    if verdict is not None and reported.run is not None:
        yield f"jessy report {reported.run}", "write this page again"
    if promoted:
        yield f"jessy rollback {shlex.quote(reported.name)}", "take the previous model back"


def _again(reported: Reported) -> str:
    """Return the command that made the model, with the options that it had; one that only Python knows is told by its recipe."""
    told = reported.origin.command if reported.origin is not None else ""
    return told if told.startswith("jessy apply ") else f"jessy apply {shlex.quote(reported.where)}"
