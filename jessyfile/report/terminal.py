"""The verdict in a few lines of plain text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from jessyfile.results.facts import JudgeFacts
from jessyfile.results.outcome import Outcome

_FAILED = {"must": "FAIL", "should": "warn", "may": "no"}


def summary_lines(facts: JudgeFacts) -> list[str]:
    """Return a line for every criterion in the facts of the step `judge`, with what was measured, and the verdict.

    Nothing is coloured or escaped here; the caller does both.
    """
    return [*_table(facts.criteria), _verdict(facts)] if facts.criteria else []


def _table(criteria: Sequence[Outcome]) -> Iterator[str]:
    wide = max(len(one.claim) for one in criteria)
    for one in criteria:
        rank = one.criterion.rank
        yield f"  {'ok' if one.passed else _FAILED[rank]:<4}  {rank.upper():<6}  {one.claim:<{wide}}  {one.measured}"


def _verdict(facts: JudgeFacts) -> str:
    if facts.failed:
        return f"failed: {', '.join(facts.failed)}"
    missed = sum(one.criterion.rank == "should" and not one.passed for one in facts.criteria)
    return "every MUST passed" + (f", {missed} SHOULD did not" if missed else "")
