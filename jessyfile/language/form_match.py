"""The words after an instruction, laid against its form."""

from __future__ import annotations

from jessyfile.language.diagnostics import Diagnostic, mistake
from jessyfile.language.source import Span
from jessyfile.language.syntax import Statement, Token
from jessyfile.language.table import Group, Node, Part, unit_of

Matched = dict[str, list[Token]]


class Unmatched(Exception):
    """The words do not fit the form; `report` says how, or is None when that was reported already."""

    def __init__(self, report: Diagnostic | None) -> None:
        super().__init__()
        self.report = report


def match(node: Node, statement: Statement) -> Matched:
    """Return the tokens of each placeholder. Raises Unmatched."""
    if any(token.broken for token in statement.args):
        raise Unmatched(None)
    tokens, found = list(statement.args), Matched()
    for group in node.form.groups:
        if not group.optional or _begins(group, tokens):
            for part in group.parts:
                _take(node, statement, part, tokens, found)
    if tokens:
        raise _unmatched(node, "J013", f"`{statement.head.text}` has a value too many", tokens[0].span, "not expected")
    return found


def form_help(node: Node) -> str:
    """Return a line that shows how an instruction is written."""
    example = node.schema.get("x-example")
    return f"write it like `{example}`" if example else f"the form is `{node.form.text}`"


def _begins(group: Group, tokens: list[Token]) -> bool:
    first = group.parts[0]
    return bool(tokens) and (first.kind != "word" or tokens[0].text == first.text)


def _take(node: Node, statement: Statement, part: Part, tokens: list[Token], found: Matched) -> None:
    """Move a part's tokens from `tokens` into `found`."""
    if part.kind == "word":
        _take_word(node, statement, part, tokens)
        return
    if not tokens:
        what = "a value" if part.text == "value" else f"its {part.text}"
        raise _unmatched(node, "J012", f"`{statement.head.text}` lacks {what}", statement.span, "incomplete")
    count = len(tokens) if part.kind == "rest" else 1
    key = found["name"][0].text if "name" in found else None
    if tokens[0].text == "FILE" and len(tokens) > 1 and unit_of(node.placeholder(part.text, key)) == "text":
        count = 2
    found[part.text] = tokens[:count]
    del tokens[:count]


def _take_word(node: Node, statement: Statement, part: Part, tokens: list[Token]) -> None:
    if tokens and tokens[0].text == part.text:
        del tokens[0]
        return
    end = statement.span.end
    at, label = (tokens[0].span, "instead of it") if tokens else (Span(statement.span.file, end, end), "here")
    raise _unmatched(node, "J012", f"the word `{part.text}` is missing", at, label)


def _unmatched(node: Node, code: str, message: str, at: Span, label: str) -> Unmatched:
    return Unmatched(mistake(code, message, at, label, helps=form_help(node)))
