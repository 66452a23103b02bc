"""What no single value shows: sums, references between values, and recipes that parse and cannot work.

A check is a function from a `Draft` to diagnostics. It reads the document through the draft, which stops the check
quietly at a
value that could not be read: a mistake that was reported once is not reported again as its consequence.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from jessyfile.language.draft import Draft, Unknown

if TYPE_CHECKING:
    from jessyfile.language.diagnostics import Diagnostic


def examine(draft: Draft) -> list[Diagnostic]:
    """Return what all checks find."""
    from jessyfile.language import consistency, practice

    found: list[Diagnostic] = []
    for check in (*consistency.CHECKS, *practice.CHECKS):
        try:
            found.extend(check(draft))
        except Unknown:
            continue
    return found
