"""The reports of a text that cannot be read: strange characters, open quotes, braces out of place, limits."""

from __future__ import annotations

import re
from itertools import islice
from typing import TYPE_CHECKING

from jessyfile.language.diagnostics import Diagnostic, mistake
from jessyfile.language.source import SourceFile, Span
from jessyfile.language.syntax import KINDS, Token

if TYPE_CHECKING:
    from collections.abc import Iterator

_DIRECTION = re.compile("[\u202a-\u202e\u2066-\u2069]")
SPACES = {
    0xA0: "no-break space",
    0xFEFF: "byte order mark",
    0x200B: "zero-width space",
    0x3000: "wide space",
    0xAD: "soft hyphen",
}


def too_large(name: str, found: str, allowed: str) -> Diagnostic:
    """Return the report for a file beyond a limit."""
    return mistake(
        "J007",
        f"`{name}` has {found}; a recipe may have {allowed}",
        helps="move long texts out with FILE, and rows into seeds",
    )


def open_text(at: Span) -> Diagnostic:
    '''Return the report of a `"""` without its partner.'''
    return mistake(
        "J003",
        '`"""` opens a text that is never closed',
        at,
        "opened here",
        helps='put `"""` alone on the line after the text',
        notes="the text runs to the end of the file, so nothing after this line was checked",
    )


def open_quote(at: Span) -> Diagnostic:
    """Return the report of a `"` without its partner."""
    return mistake(
        "J003",
        '`"` opens a text that is not closed on its line',
        at,
        "opened here",
        helps='close it with `"`; for several lines use `"""`',
    )


def strange(at: Span, character: str) -> Diagnostic:
    """Return the report of a character that belongs to no word."""
    name = SPACES.get(ord(character))
    if name:
        return mistake(
            "J002",
            f"{name} (U+{ord(character):04X}) stands between words",
            at,
            "here",
            helps="type a plain space instead",
            fix=" ",
        )
    if character == "$":
        return mistake(
            "J002",
            "`${` needs a name and a `}` without spaces",
            at,
            "not a variable",
            helps="write `${name}`, or `$${` for the characters themselves",
        )
    return mistake("J002", f"`{character}` cannot stand here", at, "not expected", helps='put text into quotes: `"…"`')


def open_block(brace: Span, before: tuple[Span, str] | None) -> Diagnostic:
    """Return the report of a `{` without its partner; `before` is where its `}` is missing, when that shows."""
    notes = () if before else "nothing inside unbalanced blocks was checked"
    return mistake(
        "J004",
        "`{` is never closed",
        brace,
        "opened here",
        second=before,
        helps="add a `}` on a line of its own",
        notes=notes,
    )


def misplaced(token: Token, *, after_block: bool) -> Diagnostic:
    """Return the report of a token that fits nowhere."""
    if after_block:
        return mistake(
            "J005", "`}` ends its line", token.span, "does not belong on this line", helps="start a new line after `}`"
        )
    if token.kind == "LBRACE":
        return mistake(
            "J005",
            "`{` needs its instruction on the same line",
            token.span,
            "opens a block without a name",
            helps="write `NAME {`",
        )
    what = KINDS.get(token.kind, f"`{token.text}`")
    return mistake(
        "J002",
        f"a line begins with an instruction or a setting, not with {what}",
        token.span,
        "not a word of the language",
        helps="a line cannot be continued: put all values of an instruction on its own line",
    )


def directions(file: SourceFile) -> Iterator[Diagnostic]:
    """Report marks that make a text read in another order than it is written; one a line."""
    seen: set[int] = set()
    for match in islice(_DIRECTION.finditer(file.text), 100):
        span = Span(file, match.start(), match.end())
        if span.line not in seen:
            seen.add(span.line)
            yield mistake(
                "J211",
                f"direction mark U+{ord(match.group()):04X} makes this line read in another order",
                span,
                "here",
                helps="delete it, unless a right-to-left text needs it",
            )
