"""Failed checks as a reader wants them: a short sentence, and the list of words or the pattern behind it."""

from __future__ import annotations

from dataclasses import dataclass

SHORT = 80
_LISTS = (("does not say ", "does not say"), ("does not deny ", "does not deny"))


@dataclass(frozen=True, slots=True)
class Folded:
    """A failure in a few words, and the whole of it where that is longer; empty where nothing is left out."""

    words: str
    whole: str = ""


def folded(failure: str) -> Folded:
    """Return a failure so that a pattern or a long list of words is told by its size alone."""
    if failure.startswith("does not match "):
        return Folded(f"says none of {_forms(failure.removeprefix('does not match '))} that were expected", failure)
    if failure.startswith("matches "):
        return Folded("says what it must not", failure)
    if len(failure) <= SHORT:
        return Folded(failure)
    for start, verb in _LISTS:
        if failure.startswith(start):
            return Folded(f"{verb} {failure.count(',') + 1} expected words", failure)
    if failure.startswith("says ") and ", at least " in failure:
        head, _, least = failure.rpartition(", at least ")
        said = head.removeprefix("says ").partition(" of ")
        return Folded(f"says {said[0]} of {said[2].count(',') + 1} expected words, at least {least}", failure)
    return Folded(failure[: SHORT - 1].rstrip() + "…", failure)


def _forms(pattern: str) -> str:
    """Return how many alternatives a pattern has, in words."""
    count = pattern.count("|") + 1
    return "the form" if count == 1 else f"{count} forms"
