"""Where a name, a level or a file is defined, and the outline of a recipe."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from jessyfile.editors.lsp.names import declarations, mention_at, walk
from jessyfile.editors.lsp.places import Found, found_at, parsed
from jessyfile.language.metric_table import metric_level
from jessyfile.language.project_files import Refused
from jessyfile.language.table import unit_of
from jessyfile.language.variables import Scope, Unreadable

if TYPE_CHECKING:
    from jessyfile.editors.lsp.workspace import Workspace
    from jessyfile.language.source import SourceFile, Span
    from jessyfile.language.syntax import Statement, Token

_FILE_UNITS = ("path", "folder", "model")


@dataclass(frozen=True, slots=True)
class Target:
    """A place in a file; without a span it is the file as a whole."""

    path: Path
    span: Span | None


@dataclass(frozen=True, slots=True)
class Symbol:
    """One statement of an outline: what it is called, its place with its block, and its first words' place."""

    name: str
    detail: str
    whole: Span
    head: Span
    has_block: bool
    children: tuple[Symbol, ...]


def definition(workspace: Workspace, file: SourceFile, offset: int) -> Target | None:
    """Return where what stands at an offset is defined."""
    if file.path is None:
        return None
    statements = parsed(file).statements
    mention = mention_at(statements, offset)
    if mention:
        declared = declarations(statements).get(mention.name)
        return Target(file.path, declared.span) if declared else None
    found = found_at(statements, offset)
    if found is None or found.is_head:
        return None
    level = _level(found)
    if level:
        return _level_definition(workspace, file.path, level)
    return _file_definition(workspace, file, statements, found)


def _level(found: Found) -> str | None:
    """Return the level that a word names."""
    node = found.nodes[-1]
    if node.name == "criterion" and found.token is found.statement.args[0]:
        return metric_level(found.token.text)
    return found.token.text if node.name == "level" and node.unit == "bare" else None


def _level_definition(workspace: Workspace, path: Path, level: str) -> Target | None:
    for other, file in workspace.file_set(path).items():
        for statement in walk(parsed(file).statements):
            if statement.head.text == "LEVEL" and statement.args and statement.args[0].text == level:
                return Target(other, statement.args[0].span)
    return None


def _file_definition(
    workspace: Workspace, file: SourceFile, statements: tuple[Statement, ...], found: Found
) -> Target | None:
    if file.path is None or not _names_a_file(found):
        return None
    try:
        written = Scope(statements, {}, lambda _: None).read(found.token).text
        path = workspace.project(file.path).existing(written, file.path.parent)
    except (Unreadable, Refused):
        return None
    return Target(path, None) if path.is_file() else None


def _names_a_file(found: Found) -> bool:
    head, token = found.statement.head.text, found.token
    if head in ("EXTENDS", "INCLUDE") or _after_file(found.statement, token):
        return True
    node = found.nodes[-1]
    units = {node.unit} | {unit_of(schema) for schema in node.entry_of(None).get("properties", {}).values()}
    return token.kind in ("STRING", "PATH") and bool(units & set(_FILE_UNITS))


def _after_file(statement: Statement, token: Token) -> bool:
    words = statement.args
    return any(word.text == "FILE" and following is token for word, following in pairwise(words))


def outline(file: SourceFile) -> tuple[Symbol, ...]:
    """Return a recipe's statements as a tree."""
    return tuple(_symbol(statement) for statement in parsed(file).statements if not statement.head.broken)


def _symbol(statement: Statement) -> Symbol:
    block = statement.block
    words = [token.text for token in statement.args if token.kind != "TEXT"]
    named = bool(words) and statement.head.text.isupper()
    name = " ".join([statement.head.text, *words[:1]]) if named else statement.head.text
    inner = tuple(_symbol(s) for s in block.statements if not s.head.broken) if block else ()
    whole = statement.span.to(block.close) if block else statement.span
    return Symbol(name, " ".join(words[1:] if named else words), whole, statement.span, block is not None, inner)
