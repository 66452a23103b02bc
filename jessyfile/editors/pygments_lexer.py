"""Colours for recipes in terminals and documentation: a Pygments lexer whose words come from the table.

A word is looked up only where it can have its meaning: an instruction or a setting begins a statement, a choice stands
after one. The patterns are the grammar's own terminals.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, ClassVar

from pygments.lexer import RegexLexer, default, words
from pygments.token import Comment, Keyword, Name, Number, Operator, Punctuation, String, Text, Whitespace

from jessyfile.editors.vocabulary import END, instructions, parameters, settings, terminals, values

_INSIDE = re.compile(r"\$\$\{|\$\{[^}\n]*\}|\\[^\n]")


def _pieces(text: str, start: int, token: Any, *, escapes: bool) -> Iterator[tuple[int, Any, str]]:  # noqa: ANN401 (a token)
    """Yield a text with its variables and, in quotes, its escapes apart."""
    end = 0
    for match in _INSIDE.finditer(text):
        if match[0][0] == "\\" and not escapes:
            continue
        if match.start() > end:
            yield start + end, token, text[end : match.start()]
        variable = match[0].startswith("${")
        yield start + match.start(), String.Interpol if variable else String.Escape, match[0]
        end = match.end()
    if end < len(text):
        yield start + end, token, text[end:]


def _string(_: Any, match: re.Match[str]) -> Iterator[tuple[int, Any, str]]:  # noqa: ANN401 (the lexer)
    yield from _pieces(match[0], match.start(), String.Double, escapes=True)


def _text(_: Any, match: re.Match[str]) -> Iterator[tuple[int, Any, str]]:  # noqa: ANN401 (the lexer)
    yield from _pieces(match[0], match.start(), String.Heredoc, escapes=False)


_TERMINALS = terminals()
_ROLES = {
    "url": String.Other,
    "path": String.Other,
    "variable": Name.Variable,
    "number": Number,
    "fixed word": Keyword.Pseudo,
    "choice": Name.Constant,
    "comparison": Operator,
    "word": Keyword.Pseudo,
    "name": Name,
    "reference": Name,
}
_VALUES: list[tuple[Any, ...]] = [
    (_TERMINALS["TEXT"], _text),
    (_TERMINALS["STRING"], _string),
    *((pattern, _ROLES[role]) for role, pattern in values()),
]


class JessyfileLexer(RegexLexer):  # type: ignore[misc]  # Pygments is untyped here
    """Splits a Jessyfile into coloured tokens."""

    name = "Jessyfile"
    aliases: ClassVar[list[str]] = ["jessyfile", "jessy"]
    filenames: ClassVar[list[str]] = ["*.jessy"]
    mimetypes: ClassVar[list[str]] = ["text/x-jessyfile"]
    flags = re.MULTILINE
    tokens: ClassVar[dict[str, list[Any]]] = {
        "root": [
            (r"\s+", Whitespace),
            (_TERMINALS["COMMENT"], Comment.Single),
            (r"PARAMETER" + END, Keyword, ("arguments", "key")),
            (words(instructions(), suffix=END), Keyword, "arguments"),
            (words(settings(), suffix=END), Name.Attribute, "arguments"),
            (r"[{}]", Punctuation),
            (_TERMINALS["NAME"], Name, "arguments"),
            (_TERMINALS["REF"], Name, "arguments"),
            (r".", Text),
        ],
        "key": [
            (r"[^\S\n]+", Whitespace),
            (words(parameters(), suffix=END), Name.Attribute, "#pop"),
            default("#pop"),
        ],
        "arguments": [
            (r"\n", Whitespace, "#pop"),
            (r"[^\S\n]+", Whitespace),
            (_TERMINALS["COMMENT"], Comment.Single),
            (r"[{}]", Punctuation, "#pop"),
            *_VALUES,
            (r".", Text),
        ],
    }
