"""Format a recipe: indentation, columns, blank lines, the margin of texts. Comments and meaning stay as they are.

Neighbouring lines of one kind form columns. The author chooses how far apart two columns stand, one space or two: the
smallest gap found between them is kept. A comment keeps the smallest gap of its neighbours too. So formatting a
formatted recipe changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from jessyfile.errors import RecipeError
from jessyfile.language.diagnostics import has_errors
from jessyfile.language.parse import parse
from jessyfile.language.render import width
from jessyfile.language.source import SourceFile, Span
from jessyfile.language.table import by_keyword
from jessyfile.language.variables import text_lines

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from jessyfile.language.syntax import Block, Parsed, Statement, Token

_INDENT = "  "


@dataclass(frozen=True, slots=True)
class _Cell:
    """A word, a value or a one-line block, with the spaces that stood before it."""

    text: str
    gap: int
    kind: str


@dataclass(frozen=True, slots=True)
class _Comment:
    """A comment at the end of a line, with the spaces that stood before it."""

    text: str
    gap: int


@dataclass(frozen=True, slots=True)
class _Item:
    """A statement or a comment on a line of its own, with its first and last line."""

    first: int
    last: int
    statement: Statement | None
    comment: str


def format_text(text: str, *, name: str = "recipe") -> str:
    """Return a recipe formatted. Raises RecipeError, with the diagnostics, when it cannot be read."""
    parsed = parse(SourceFile(name, text))
    if has_errors(parsed.diagnostics):
        raise RecipeError(f"`{name}` has mistakes, so it was left as it is", parsed.diagnostics)
    lines = _Layout(parsed).block(parsed.statements, Span(parsed.file, 0, len(text)), 0)
    return "\n".join(lines) + "\n" if lines else ""


class _Layout:
    """One file's layout."""

    def __init__(self, parsed: Parsed) -> None:
        self.text = parsed.file.text
        self.trailing: dict[int, Span] = {}
        self.own: list[Span] = []
        for span in parsed.comments:
            before = self.text[self.text.rfind("\n", 0, span.start) + 1 : span.start]
            if before.strip(" \t\ufeff"):
                self.trailing[span.line] = span
            else:
                self.own.append(span)

    def block(self, statements: Sequence[Statement], around: Span, depth: int) -> list[str]:
        """Return the lines of one block."""
        items = self._items(statements, around)
        lines: list[str] = []
        previous: _Item | None = None
        for run in self._runs(items):
            if previous and run[0].first - previous.last > 1:
                lines.append("")
            lines += self._run(run, depth)
            previous = run[-1]
        return lines

    def _items(self, statements: Sequence[Statement], around: Span) -> list[_Item]:
        items = [_Item(s.head.span.line, self._last_line(s), s, "") for s in statements]
        inner = [s.block for s in statements if s.block]
        items += (
            _Item(comment.line, comment.line, None, self.text[comment.start : comment.end])
            for comment in self._comments(around, inner)
        )
        return sorted(items, key=lambda item: item.first)

    def _comments(self, around: Span, inner: list[Block]) -> Iterator[Span]:
        taken = [False] * len(self.own)
        blocks = iter(sorted((b.open.start, b.close.start) for b in inner))
        block = next(blocks, None)
        for at, comment in enumerate(self.own):
            while block and block[1] < comment.start:
                block = next(blocks, None)
            inside = bool(block and block[0] < comment.start)
            if around.start <= comment.start < around.end and not inside and not taken[at]:
                yield comment

    @staticmethod
    def _last_line(statement: Statement) -> int:
        end = statement.block.close.end if statement.block else statement.span.end
        return statement.head.span.file.position(end)[0]

    def _runs(self, items: list[_Item]) -> Iterator[list[_Item]]:
        run: list[_Item] = []
        for item in items:
            if run and not _joins(run[-1], item):
                yield run
                run = []
            run.append(item)
        if run:
            yield run

    def _run(self, run: list[_Item], depth: int) -> list[str]:
        first = run[0].statement
        if first is None:
            return [_INDENT * depth + run[0].comment]
        if not _is_row(run[0]):
            return self._tall(first, depth)
        rows = [self._cells(item.statement) for item in run if item.statement]
        comments = [self._comment(item) for item in run]
        return [_INDENT * depth + line for line in _with_comments(_columns(rows), comments)]

    def _cells(self, statement: Statement) -> list[_Cell]:
        cells = [_Cell(statement.head.text, 0, "head")]
        end = statement.head.span.end
        for token in statement.args:
            cells.append(_Cell(token.text, token.span.start - end, token.kind))
            end = token.span.end
        if statement.block:
            cells.append(_Cell(self._inline(statement.block), statement.block.open.start - end, "block"))
        return cells

    def _inline(self, block: Block) -> str:
        if not block.statements:
            return "{ }"
        cells = self._cells(block.statements[0])
        return "{ " + cells[0].text + "".join(" " * _near(cell.gap) + cell.text for cell in cells[1:]) + " }"

    def _comment(self, item: _Item) -> _Comment | None:
        span = self.trailing.get(item.last)
        if span is None or item.statement is None:
            return None
        end = item.statement.block.close.end if item.statement.block else item.statement.span.end
        return _Comment(self.text[span.start : span.end], span.start - end)

    def _tall(self, statement: Statement, depth: int) -> list[str]:
        """Lay out a statement of several lines: a block, or a text."""
        indent = _INDENT * depth
        lines = [indent + statement.head.text]
        for token in statement.args:
            head, *rest = self._token(token, depth)
            lines[-1] += " " + head
            lines += rest
        if statement.block:
            lines[-1] += " {" + self._after(statement.block.open)
            inside = Span(statement.head.span.file, statement.block.open.end, statement.block.close.start)
            lines += [
                *self.block(statement.block.statements, inside, depth + 1),
                indent + "}" + self._after(statement.block.close),
            ]
        elif statement.args:
            lines[-1] += self._after(statement.args[-1].span)
        return lines

    def _after(self, span: Span) -> str:
        """Return the comment that follows a brace or a text on its line."""
        comment = self.trailing.get(span.file.position(span.end)[0])
        if comment is None or comment.start < span.end:
            return ""
        return " " * max(2, comment.start - span.end) + self.text[comment.start : comment.end]

    def _token(self, token: Token, depth: int) -> list[str]:
        if token.kind != "TEXT" or "\n" not in token.text:
            return [token.text]
        content, outside = text_lines(token.text)
        if outside is not None:
            return token.text.replace("\r\n", "\n").split("\n")
        quotes = token.text[: len(token.text) - len(token.text.lstrip('"'))]
        margin = _INDENT * (depth + 1)
        return [quotes, *(margin + line if line else "" for line in content), margin + quotes]


def _is_row(item: _Item) -> bool:
    statement = item.statement
    if statement is None or item.first != item.last:
        return False
    return statement.block is None or statement.block.one_line


def _joins(before: _Item, item: _Item) -> bool:
    """Whether two neighbours stand in one set of columns."""
    if (
        not _is_row(before)
        or not _is_row(item)
        or item.first - before.last != 1
        or not before.statement
        or not item.statement
    ):
        return False
    return _family(before.statement.head.text) == _family(item.statement.head.text)


def _near(gap: int) -> int:
    return min(max(gap, 1), 2)


def _family(head: str) -> object:
    """Return what a line has in common with those it stands in columns with."""
    if not head.isupper():
        return "setting"
    nodes = by_keyword().get(head)
    if not nodes or "const" in nodes[0].schema:
        return head  # JESSY stands for itself
    return "value" if nodes[0].form.placeholders == ("value",) else nodes[0].form.keywords


def _cells_width(text: str) -> int:
    return sum(map(width, text))


def _columns(rows: list[list[_Cell]]) -> list[str]:
    """Return the rows as lines, their columns aligned; of settings only the first two, for their values are lists."""
    lines = [row[0].text for row in rows]
    _extend(lines, rows, [at for at, row in enumerate(rows) if len(row) > 1], 0)
    if rows[0][0].text.isupper():
        return _further(lines, rows)
    return [line + "".join(" " + c.text for c in row[2:]) for line, row in zip(lines, rows, strict=True)]


def _further(lines: list[str], rows: list[list[_Cell]]) -> list[str]:
    """Add the columns after the second; a comparison ends the alignment."""
    open_rows = list(range(len(rows)))
    column = 1
    while open_rows:
        free = [at for at in open_rows if len(rows[at]) > column + 1]
        loose = [at for at in free if rows[at][column].kind == "OP"]
        for at in loose:
            lines[at] += "".join(" " + cell.text for cell in rows[at][column + 1 :])
        open_rows = [at for at in free if at not in loose]
        _extend(lines, rows, open_rows, column)
        column += 1
    return lines


def _extend(lines: list[str], rows: list[list[_Cell]], chosen: list[int], column: int) -> None:
    if not chosen:
        return
    gap = min(_near(rows[at][column + 1].gap) for at in chosen)
    end = max(_cells_width(lines[at]) for at in chosen)
    for at in chosen:
        lines[at] += " " * (end - _cells_width(lines[at]) + gap) + rows[at][column + 1].text


def _with_comments(lines: list[str], comments: list[_Comment | None]) -> list[str]:
    noted = [(line, comment) for line, comment in zip(lines, comments, strict=True) if comment]
    if not noted:
        return lines
    gap = max(2, min(comment.gap for _, comment in noted))
    end = max(_cells_width(line) for line, _ in noted)
    return [
        line + " " * (end - _cells_width(line) + gap) + c.text if c else line
        for line, c in zip(lines, comments, strict=True)
    ]
