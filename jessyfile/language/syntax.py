"""What a text is made of: words, values, statements, blocks; and the parser that puts them together."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from jessyfile.resources import resource

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
    def type(self) -> str:
        """The terminal's name, as Lark asks for it."""
        return self.kind

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


class _Nodes:
    """What Lark calls when a rule is complete."""

    @staticmethod
    def start(children: list[Statement]) -> tuple[Statement, ...]:
        return tuple(children)

    @staticmethod
    def stmt(children: list[Any]) -> Statement:
        return Statement(children[0], tuple(children[1:-1]), children[-1])

    @staticmethod
    def block(children: list[Any]) -> Block:
        return Block(children[0].span, children[-1].span, tuple(children[1:-1]))


@cache
def lark_parser() -> Any:  # noqa: ANN401 (Lark is untyped here)
    """Return the parser of grammar/jessyfile.lark; it is built once in a process, which takes some 30 ms."""
    from lark import Lark

    return Lark.open(str(resource("grammar", "jessyfile.lark")), parser="lalr", lexer="basic", transformer=_Nodes)


def kind_of(text: str) -> str | None:
    """Return the grammar's name for a bare word or value; None when the text is not exactly one."""
    from lark import UnexpectedInput

    try:
        tokens = list(lark_parser().parse_interactive(text).lexer_thread.lex(None))
    except UnexpectedInput:
        return None
    if (
        len(tokens) != 1
        or str(tokens[0]) != text
        or tokens[0].type in ("STRING", "TEXT", "VAR", "LBRACE", "RBRACE", "_NL")
    ):
        return None
    return str(tokens[0].type)
