"""Statements -> settings: each word is looked up in the table, each value is read, checked and kept in the layer."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from jessyfile.language.diagnostics import mistake
from jessyfile.language.instruction import Instruction
from jessyfile.language.layer import Drop, FileContext
from jessyfile.language.suggest import plain, similar
from jessyfile.language.syntax import Block, Statement, Token
from jessyfile.language.table import LANGUAGE_WORDS, OPEN, Address, Node, by_keyword

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence


@dataclass(frozen=True)
class Binder:
    """Reads the statements of one file into its layer."""

    context: FileContext

    def block(self, node: Node, address: Address, statements: Iterable[Statement]) -> None:
        """Read what stands inside one pair of braces, or at the top of a file."""
        for statement in _with_blocks(statements):
            self._statement(node, address, statement)

    def _statement(self, node: Node, address: Address, statement: Statement) -> None:
        head = statement.head
        if head.broken:
            return
        if head.text == "DROP":
            self._drop(node, address, statement)
            return
        inner = node.statement_of(head.text)
        if inner is None:
            self._unknown(node, address, head)
            return
        if OPEN in inner.form.keywords:
            statement = replace(statement, args=(head, *statement.args))
        instruction = Instruction(self.context, inner, address, statement)
        if instruction.read() and instruction.check_block() and statement.block:
            self.block(inner, instruction.address, _split(inner, statement.block))

    def _unknown(self, node: Node, address: Address, head: Token) -> None:
        here = [*node.statements, *(LANGUAGE_WORDS if node.parent is None else ())]
        elsewhere = by_keyword().get(head.text)
        what = "instruction" if head.text.isupper() else "setting"
        where = f" inside {_title(node)}" if node.parent else ""
        near = similar(head.text, here)
        fix = None
        if head.text in LANGUAGE_WORDS:
            helps = f"`{head.text}` stands outside all blocks"
        elif near and plain(near) == plain(head.text):
            helps, fix = f"a similar name exists: `{near}`", near
        elif elsewhere:
            helps = f"`{head.text}` belongs {_inside(elsewhere[0])}"
        elif near:
            helps, fix = f"a similar name exists: `{near}`", near
        else:
            helps = _known(here, what)
        self.context.report(
            mistake("J001", f"unknown {what} `{head.text}`{where}", head.span, "not known here", helps=helps, fix=fix)
        )
        self.context.layer.failed.add((*address, "?"))

    def _drop(self, node: Node, address: Address, statement: Statement) -> None:
        words = [token.text for token in statement.args]
        if statement.block or not 1 <= len(words) <= 2 or any(token.broken for token in statement.args):
            self.context.report(
                mistake(
                    "J044",
                    "`DROP` takes an instruction and, for a named thing, its name",
                    statement.span,
                    "not readable",
                    helps="write it like `DROP CATEGORY slang`",
                )
            )
            return
        depth = len(node.address)
        found = [
            n
            for n in by_keyword().get(words[0] if words[0].isupper() else "", ())
            if n.address[:depth] == node.address and "*" not in n.address[depth:]
        ]
        named = bool(found) and found[0].kind == "named"
        if not found or named != (len(words) == 2):
            helps = f"`{words[0]}` needs a name" if named else "only instructions can be dropped, as in `DROP SYSTEM`"
            self.context.report(
                mistake(
                    "J044",
                    f"`DROP {' '.join(words)}` names nothing that a recipe can hold",
                    statement.span,
                    "not known",
                    helps=helps,
                )
            )
            return
        target = (*address, *found[0].address[len(node.address) :], *words[1:])
        self.context.layer.drops.append(Drop(target, " ".join(words), statement.span))


def _with_blocks(statements: Iterable[Statement]) -> Iterator[Statement]:
    """Give an instruction the block that stands below it without a name: its `{` was reported already."""
    before: Statement | None = None
    for statement in statements:
        if before and before.block is None and statement.head.broken and statement.block and not statement.args:
            before = replace(before, block=statement.block)
            continue
        if before:
            yield before
        before = statement
    if before:
        yield before


def _title(node: Node) -> str:
    return node.form.keywords[0] if node.parent else "a recipe"


def _inside(node: Node) -> str:
    if node.parent is None or node.parent.parent is None:
        return "outside all blocks"
    title = _title(node.parent)
    return f"inside {'an' if title[0] in 'AEIOU' else 'a'} {title} block"


def _known(names: Sequence[str], what: str) -> str:
    words = [name for name in names if name.isupper() == (what == "instruction")] or list(names)
    return "known here: " + ", ".join(f"`{name}`" for name in words[:12]) + (", …" if len(words) > 12 else "")


def _split(node: Node, block: Block) -> Sequence[Statement]:
    """Return a block's statements; on one line, several settings may follow each other."""
    if not block.one_line or len(block.statements) != 1 or block.statements[0].block:
        return block.statements
    only = block.statements[0]
    if OPEN in node.statements:
        return list(_open_lines(node.statements[OPEN], [only.head, *only.args]))
    statements: list[Statement] = []
    args: list[Token] = []
    head = only.head
    for token in only.args:
        if args and token.kind in ("WORD", "NAME") and token.text in node.statements:
            statements.append(Statement(head, tuple(args), None))
            head, args = token, []
        else:
            args.append(token)
    return [*statements, Statement(head, tuple(args), None)]


def _open_lines(node: Node, tokens: list[Token]) -> Iterator[Statement]:
    """Yield the settings of a one-line block whose lines begin with names of the user's: each has what its form asks for."""
    while tokens:
        count = 0
        for group in node.form.groups:
            rest = tokens[count:]
            if not group.optional or (rest and rest[0].text == group.parts[0].text):
                count += len(group.parts)
        (head, *args), tokens = tokens[:count], tokens[count:]
        yield Statement(head, tuple(args), None)
