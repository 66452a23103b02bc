"""Which statement, block and word an offset of a text belongs to."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Literal

from jessyfile.language.parse import parse
from jessyfile.language.source import SourceFile
from jessyfile.language.table import Node, root

if TYPE_CHECKING:
    from jessyfile.language.syntax import Block, Parsed, Statement, Token

Where = Literal["head", "argument", "string", "text", "comment", "variable"]
_WORD = re.compile(r"[^\s\"{}#<>=]*\Z")
_VARIABLE = re.compile(r"(?<!\$)\$\{([A-Za-z0-9_]*)\Z")
_OPEN_STRING = re.compile(r'"((?:[^"\\\n]|\\[^\n])*)\Z')


@lru_cache(maxsize=128)
def parsed(file: SourceFile) -> Parsed:
    """Return a text's statements; the same text is read once."""
    return parse(file)


@dataclass(frozen=True, slots=True)
class Found:
    """The token at an offset, its statement, and the nodes around it, the statement's own last if it is known."""

    token: Token
    statement: Statement
    nodes: tuple[Node, ...]

    @property
    def is_head(self) -> bool:
        """Whether it is the statement's first word."""
        return self.token is self.statement.head


def inner_node(node: Node, statement: Statement) -> Node | None:
    """Return what a statement inside a node is; a VARIANT holds what a recipe holds. None when it is nothing known."""
    if statement.head.text == "VARIANT" and node.parent is None:
        return root()
    return node.statement_of(statement.head.text)


def found_at(statements: tuple[Statement, ...], offset: int) -> Found | None:
    """Return what stands at an offset; None between words, and in what the table does not know."""
    nodes: tuple[Node, ...] = (root(),)
    while True:
        statement = _covering(statements, offset)
        if statement is None:
            return None
        node = inner_node(nodes[-1], statement)
        for token in (statement.head, *statement.args):
            if token.span.start <= offset <= token.span.end:
                return Found(token, statement, (*nodes, node) if node else nodes)
        if node is None or statement.block is None:
            return None
        nodes, statements = (*nodes, node), statement.block.statements


def _covering(statements: tuple[Statement, ...], offset: int) -> Statement | None:
    for statement in statements:
        end = statement.block.close.end if statement.block else statement.span.end
        if statement.head.span.start <= offset <= end:
            return statement
    return None


@dataclass(frozen=True, slots=True)
class CursorPlace:
    """Where somebody is typing: the block's node, the statement so far, the word begun, what the block holds already.

    `node` is None inside a block that the table does not know; `overlay` is whether it is the block of a VARIANT.
    """

    where: Where
    word: str
    node: Node | None
    statement: Statement | None
    used: frozenset[str]
    overlay: bool = False


def cursor_at(text: str, offset: int) -> CursorPlace:
    """Return where somebody types. What follows the cursor may be unfinished, so only what stands before it is read."""
    line = text.rfind("\n", 0, offset) + 1
    variable = _VARIABLE.search(text, line, offset)
    word = variable[1] if variable else _found(_WORD, text, line, offset)
    prefix = text[: offset - len(word)]
    before = parse(SourceFile("prefix", prefix))
    node, statements = _open_block(before, len(prefix))
    overlay = node is root() and statements is not before.statements
    statement = _unfinished(statements, prefix)
    where = "variable" if variable else _where(before, prefix, statement)
    if where == "string":
        word = _found(_OPEN_STRING, text, line, offset, group=1)
    return CursorPlace(where, word, node, statement, _used(text, line, offset), overlay)


def _found(pattern: re.Pattern[str], text: str, start: int, end: int, group: int = 0) -> str:
    match = pattern.search(text, start, end)
    return match[group] if match else ""


def _open_block(before: Parsed, end: int) -> tuple[Node | None, tuple[Statement, ...]]:
    """Return the node and the statements of the innermost block that is still open at the end."""
    node: Node | None = root()
    statements = before.statements
    while statements and statements[-1].block and _is_open(statements[-1].block, end):
        node = inner_node(node, statements[-1]) if node else None
        statements = statements[-1].block.statements
    return node, statements


def _is_open(block: Block, end: int) -> bool:
    """Whether the parser closed it for want of a brace."""
    return block.close.start >= end


def _unfinished(statements: tuple[Statement, ...], prefix: str) -> Statement | None:
    """Return the last statement when the text ends on its line, and it has not been ended by a block."""
    if not statements or statements[-1].block or "\n" in prefix[statements[-1].span.end :]:
        return None
    return statements[-1]


def _where(before: Parsed, prefix: str, statement: Statement | None) -> Where:
    number = prefix.count("\n") + 1
    for diagnostic in before.diagnostics:
        if diagnostic.code == "J003" and '"""' in diagnostic.message:
            return "text"
        if diagnostic.code == "J003" and diagnostic.line == number:
            return "string"
    if any(comment.line == number for comment in before.comments):
        return "comment"
    return "argument" if statement else "head"


def _used(text: str, line: int, offset: int) -> frozenset[str]:
    """Return the first words in the block around a line, that line left out."""
    end = text.find("\n", offset)
    end = len(text) if end < 0 else end
    if "{" in text[line:end]:
        return frozenset()
    statements = parse(SourceFile("rest", text[:line] + " " * (end - line) + text[end:])).statements
    while True:
        inner = next((s.block for s in statements if s.block and s.block.open.end <= line <= s.block.close.start), None)
        if inner is None:
            return frozenset(statement.head.text for statement in statements)
        statements = inner.statements
