"""Check one answer. A reader can verify every kind of check by eye."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from jessyfile.evaluation.choice import chosen
from jessyfile.evaluation.clauses import read, without_echo
from jessyfile.evaluation.fields import field_faults, right_fields
from jessyfile.evaluation.moods import suits
from jessyfile.evaluation.nearness import is_like, likeness
from jessyfile.evaluation.numbers import claims_only, numbers
from jessyfile.evaluation.plugin_rules import plugin_check
from jessyfile.evaluation.relevance import touches
from jessyfile.evaluation.views import lectures, own_view
from jessyfile.evaluation.voice import is_salad
from jessyfile.evaluation.words import affirms, denies, holds
from jessyfile.text.patterns import found

if TYPE_CHECKING:
    from jessyfile.evaluation.cases import Check

Verdict = Callable[["Check", str, str], bool]


def passes(check: Check, answer: str, prompt: str = "", known: tuple[str, ...] = ()) -> bool:
    """Return whether an answer passes a check. What it only repeats of the question counts for nothing.

    Args:
        check: what is asked of the answer.
        answer: what was said, without its marker.
        prompt: the question.
        known: good answers that people wrote; a check of the subject takes their words too.

    Returns:
        Whether it passes.
    """
    if check.kind == "touches":
        return touches(answer, check.words, prompt, known, asking=check.asking)
    own = _CHECKS.get(check.kind)
    return own(check, answer, prompt) if own is not None else plugin_check(check.kind, answer, prompt, check.words)


def complaint(check: Check, answer: str, prompt: str = "") -> str:
    """Return in words what a failed check found, or missed, in an answer."""
    if check.kind == "length":
        size = len(answer.strip())
        return (
            f"{size} characters, at most {check.most}"
            if size > check.least
            else f"{size} characters, at least {check.least}"
        )
    if check.kind == "like":
        near = max(likeness(answer, text) for text in check.texts)
        return f"is {near:.0%} like `{check.texts[0][:60]}`, at least {check.alike:.0%} is asked"
    if check.kind in _SAID:
        return _about_words(check, without_echo(answer, prompt))
    if check.kind == "number":
        return f"does not say {' or '.join(f'{number:g}' for number in check.numbers)} alone"
    if check.kind == "json":
        return "; ".join(field_faults(check, answer))
    plain = {
        "first_person": "no view of its own",
        "no_analysis": "analyses, or makes a list",
        "chooses": "takes no side, or the wrong one",
        "mood": f"says what {check.mood} forbids",
        "touches": "is about something else",
    }
    if check.kind not in _CHECKS:
        return f"fails the check {check.kind}"
    verb = "matches" if check.kind == "not_regex" else "does not match"
    return plain.get(check.kind) or f"{verb} {check.pattern}"


def _about_words(check: Check, said: str) -> str:
    test = affirms if check.kind in ("affirms", "not_affirms") else denies if check.kind == "denies" else holds
    held = [word for word in check.words if test(said, word)]
    missing = [word for word in check.words if word not in held]
    if check.kind in ("none_of", "not_affirms"):
        return f"says {', '.join(held)}"
    if check.kind == "at_least":
        return f"says {len(held)} of {', '.join(check.words)}, at least {check.least}"
    return f"does not {'deny' if check.kind == 'denies' else 'say'} {', '.join(missing)}"


def rule_holds(rule: str, answer: str) -> bool:
    """Return whether an answer holds a PERSONALITY rule: a word, or a regular expression between slashes."""
    if len(rule) > 2 and rule[0] == rule[-1] == "/":
        return found(rule[1:-1], answer)
    return holds(answer, rule)


def _length(check: Check, answer: str, _: str) -> bool:
    size = len(answer.strip())
    return check.least <= size and (check.most is None or size <= check.most)


def _spoken(test: Callable[[str, str], bool], least: int | None) -> Verdict:
    """Return the check that so many of the words (None: all of them) pass a test, in a text that is no list of words."""

    def passed(check: Check, answer: str, prompt: str) -> bool:
        own = without_echo(answer, prompt)
        wanted = len(check.words) if least is None else least or check.least
        return sum(test(own, word) for word in check.words) >= wanted and not is_salad(read(own))

    return passed


_SAID: Mapping[str, Verdict] = {
    "any_of": _spoken(holds, 1),
    "all_of": _spoken(holds, None),
    "at_least": _spoken(holds, 0),
    "affirms": _spoken(affirms, 1),
    "denies": _spoken(denies, 1),
    "none_of": lambda check, answer, _: not any(holds(answer, word) for word in check.words),
    "not_affirms": lambda check, answer, _: not any(affirms(answer, word) for word in check.words),
}
_CHECKS: Mapping[str, Verdict] = {
    **_SAID,
    "touches": lambda check, answer, prompt: touches(answer, check.words, prompt, asking=check.asking),
    "number": lambda check, answer, prompt: claims_only(
        without_echo(answer, prompt),
        check.numbers,
        (*check.also, *(value for value, _ in numbers(prompt))),
        others=check.others,
    ),
    "chooses": lambda check, answer, prompt: _took(chosen(without_echo(answer, prompt), check.options), check.right),
    "mood": lambda check, answer, _: suits(answer, check.mood),
    "regex": lambda check, answer, prompt: found(check.pattern, without_echo(answer, prompt)),
    "not_regex": lambda check, answer, _: not found(check.pattern, answer),
    "length": _length,
    "json": right_fields,
    "like": lambda check, answer, _: any(is_like(answer, text, check.alike) for text in check.texts),
    "first_person": lambda _, answer, __: own_view(answer),
    "no_analysis": lambda _, answer, __: not lectures(answer),
}


def _took(side: int | None, right: int | None) -> bool:
    return side is not None and (right is None or side == right)
