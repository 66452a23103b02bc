"""What no single value shows: sums, references between values, and recipes that parse and cannot work.

A check is a function from a `Draft` to diagnostics. It reads the document through the draft, which stops the check
quietly at a value that could not be read: what follows from a mistake is not reported again.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from jessyfile.language.draft import Draft, Unknown
from jessyfile.language.syntax import MAX_MISTAKES

if TYPE_CHECKING:
    from jessyfile.language.diagnostics import Diagnostic


def examine(draft: Draft) -> list[Diagnostic]:
    """Return what all checks find."""
    from jessyfile.language import consistency, practice

    found: list[Diagnostic] = []
    for check in (*consistency.CHECKS, *practice.CHECKS):
        try:
            found.extend(islice(check(draft), MAX_MISTAKES))
        except Unknown:
            continue
    return found
