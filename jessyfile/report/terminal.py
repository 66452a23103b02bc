"""The verdict in a few lines of plain text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

_FAILED = {"must": "FAIL", "should": "warn", "may": "no"}


def summary_lines(facts: Mapping[str, Any]) -> list[str]:
    """Return a line for every criterion in the facts of the step `judge`, with what was measured, and the verdict.

    Nothing is coloured and nothing is escaped: whoever prints does both.
    """
    criteria = facts.get("criteria") or ()
    return [*_table(criteria), _verdict(facts)] if criteria else []


def _table(criteria: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    wide = max(len(str(criterion["claim"])) for criterion in criteria)
    for criterion in criteria:
        rank = str(criterion["rank"])
        word = "ok" if criterion["verdict"] == "pass" else _FAILED[rank]
        yield f"  {word:<4}  {rank.upper():<6}  {criterion['claim']:<{wide}}  {criterion['measured']}"


def _verdict(facts: Mapping[str, Any]) -> str:
    failed = [str(name) for name in facts.get("failed", ())]
    if failed:
        return f"failed: {', '.join(failed)}"
    missed = [c for c in facts["criteria"] if c["verdict"] != "pass" and c["rank"] == "should"]
    return "every MUST passed" + (f", {len(missed)} SHOULD did not" if missed else "")
