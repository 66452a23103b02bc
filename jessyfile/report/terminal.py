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
    return [*_table(facts.criteria, facts), _verdict(facts)] if facts.criteria else []


def _table(criteria: Sequence[Outcome], facts: JudgeFacts) -> Iterator[str]:
    wide = max(len(one.claim) for one in criteria)
    for one in criteria:
        rank = one.criterion.rank
        beside = "".join(f"   {said}" for said in facts.compared(one.criterion.metric, one.unit))
        verdict = "ok" if one.passed else _FAILED[rank]
        yield f"  {verdict:<4}  {rank.upper():<6}  {one.claim:<{wide}}  {one.measured}{beside}"


def _verdict(facts: JudgeFacts) -> str:
    missed = sum(one.criterion.rank == "should" and not one.passed for one in facts.criteria)
    return (f"{len(facts.failed)} MUST failed" if facts.failed else "every MUST passed") + (
        f", {missed} SHOULD did not pass" if missed else ""
    )
