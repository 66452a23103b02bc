"""What a text is made of: words, values, statements, blocks; and the parser that puts them together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from jessyfile.language.automaton import Automaton, scan

if TYPE_CHECKING:
    from jessyfile.language.diagnostics import Diagnostic
    from jessyfile.language.source import SourceFile, Span

MAX_BYTES = 1 << 20
MAX_LINES = 100_000
MAX_TOKENS = 80_000
MAX_DEPTH = 64
MAX_MISTAKES = 100
MAX_REPORTS = 300


KINDS = {
    "WORD": "a word",
    "NAME": "a name",
    "REF": "a reference",
    "PATH": "a path",
    "URL": "an address",
    "NUMBER": "a number",
    "PERCENT": "a percentage",
    "DURATION": "a duration",
    "RANGE": "a range",
    "STRING": "text",
    "TEXT": "text",
    "VAR": "a variable",
    "OP": "a comparison",
}


class Token(NamedTuple):
    """One word or value: `kind` is the grammar's terminal, `text` as written; a broken one stands for what is unreadable."""

    kind: str
    text: str
    span: Span

    @property
    def broken(self) -> bool:
        """Whether it was put in by the recovery; it is never reported again."""
        return not self.text


@dataclass(frozen=True, slots=True)
class Statement:
    """One instruction or setting with its values, and its block if it has one."""

    head: Token
    args: tuple[Token, ...]
    block: Block | None

    @property
    def span(self) -> Span:
        """From its first word to its last value."""
        return self.head.span.to(self.args[-1].span) if self.args else self.head.span


@dataclass(frozen=True, slots=True)
class Block:
    """What stands between braces."""

    open: Span
    close: Span
    statements: tuple[Statement, ...]

    @property
    def one_line(self) -> bool:
        """Whether both braces stand on one line."""
        return self.open.line == self.close.line


@dataclass(frozen=True, slots=True)
class Parsed:
    """A file's statements, its comments, and the mistakes found while reading it."""

    file: SourceFile
    statements: tuple[Statement, ...]
    comments: tuple[Span, ...]
    diagnostics: tuple[Diagnostic, ...]
    unbalanced: bool


def _statement(children: list[Any]) -> Statement:
    return Statement(children[0], tuple(children[1:-1]), children[-1])


def _block(children: list[Any]) -> Block:
    return Block(children[0].span, children[-1].span, tuple(children[1:-1]))


def new_parse() -> Automaton:
    """Return a parser that has read nothing; fed all tokens and the end, it returns the statements."""
    return Automaton({"start": tuple, "stmt": _statement, "block": _block})


_NO_BARE = ("STRING", "TEXT", "VAR", "LBRACE", "RBRACE", "_NL", "COMMENT", "WS")


def kind_of(text: str) -> str | None:
    """Return the grammar's name for a bare word or value; None when the text is not exactly one."""
    kind, start, end = next(scan(text, 0), ("WS", 0, 0))
    if (start, end) != (0, len(text)) or kind in _NO_BARE:
        return None
    return kind
