"""ARG and LET in one text: where each is declared, and every `${name}` that uses it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from jessyfile.language.source import Span

if TYPE_CHECKING:
    from jessyfile.language.syntax import Statement, Token

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_USE = re.compile(r"\$\$\{|\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_WORDS = ("ARG", "LET")


@dataclass(frozen=True, slots=True)
class Mention:
    """One place where a name stands; `span` covers the name alone. `word` is ARG or LET where it is declared."""

    name: str
    span: Span
    word: str | None


def walk(statements: tuple[Statement, ...]) -> Iterator[Statement]:
    """Yield statements with those inside their blocks."""
    stack = list(reversed(statements))
    while stack:
        statement = stack.pop()
        yield statement
        if statement.block:
            stack.extend(reversed(statement.block.statements))


def declarations(statements: tuple[Statement, ...]) -> dict[str, Mention]:
    """Return the names of a text by name; of one that is declared twice, the first."""
    found: dict[str, Mention] = {}
    for statement in statements:
        if statement.head.text in _WORDS and statement.args and NAME.fullmatch(statement.args[0].text):
            token = statement.args[0]
            found.setdefault(token.text, Mention(token.text, token.span, statement.head.text))
    return found


def mentions(statements: tuple[Statement, ...]) -> Iterator[Mention]:
    """Yield every declaration and every use."""
    for statement in walk(statements):
        declared = statement.head.text in _WORDS and bool(statement.args) and NAME.fullmatch(statement.args[0].text)
        if declared:
            yield Mention(statement.args[0].text, statement.args[0].span, statement.head.text)
        for token in statement.args:
            yield from _uses(token)


def _uses(token: Token) -> Iterator[Mention]:
    if "${" not in token.text:
        return
    for match in _USE.finditer(token.text):
        if match[1]:
            start = token.span.start + match.start(1)
            yield Mention(match[1], Span(token.span.file, start, start + len(match[1])), None)


def mention_at(statements: tuple[Statement, ...], offset: int) -> Mention | None:
    """Return the name at an offset; the `${` and the `}` around it count as the name."""
    for mention in mentions(statements):
        around = 0 if mention.word else 2
        if mention.span.start - around <= offset <= mention.span.end + (around and 1):
            return mention
    return None
