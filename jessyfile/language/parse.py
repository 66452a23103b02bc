"""Text -> statements, reporting every mistake of form on the way.

Lark's tables (`automaton`) drive the parse token by token. At a token that fits nowhere the parser is given what was missing (an
instruction's name, a line end), marked as broken, and goes on: one mistake makes one report, and the rest is still read.

Not covered: a `}` missing from a file without indentation; then only the open `{` is reported.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from jessyfile.language import malformed
from jessyfile.language.automaton import END, MisfitError, scan
from jessyfile.language.diagnostics import Diagnostic, mistake
from jessyfile.language.source import SourceFile, Span
from jessyfile.language.syntax import (
    MAX_BYTES,
    MAX_DEPTH,
    MAX_LINES,
    MAX_MISTAKES,
    MAX_TOKENS,
    Parsed,
    Statement,
    Token,
    new_parse,
)

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

_HEADS = ("WORD", "NAME", "REF")
CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]|\r(?!\n)")
_UNREADABLE = re.compile(r"(?:\$\{)?[^\s\"{}#]*")


def parse(file: SourceFile) -> Parsed:
    """Read a text into statements; never raises for what the text holds."""
    refused = _limits(file)
    if refused:
        return Parsed(file, (), (), (refused,), unbalanced=True)
    cleaned, mistakes = _without_controls(file)
    reading = _Reading(file, cleaned).run()
    if reading.unclosed and not reading.stopped:
        second = _Reading(file, cleaned, by_indentation=True).run()
        reading = second if second.healed == 1 else reading
    return reading.result(mistakes)


def _limits(file: SourceFile) -> Diagnostic | None:
    size = len(file.text.encode("utf-8", "surrogatepass")) if len(file.text) > MAX_BYTES // 4 else 0
    lines = file.text.count("\n")
    if size > MAX_BYTES:
        found, allowed = f"{size:,} bytes", f"{MAX_BYTES:,}"
    elif lines > MAX_LINES:
        found, allowed = f"{lines:,} lines", f"{MAX_LINES:,}"
    else:
        return None
    return malformed.too_large(file.name, found, allowed)


def _without_controls(file: SourceFile) -> tuple[str, list[Diagnostic]]:
    """Put spaces in the place of control characters, so that offsets stay, and report the first ones."""
    found = list(islice(CONTROL.finditer(file.text), MAX_MISTAKES))
    mistakes = [
        mistake(
            "J006",
            f"control character U+{ord(m.group()):04X} is not allowed in a recipe",
            Span(file, m.start(), m.end()),
            "here",
            helps="delete it; in quoted text write `\\n` for a new line and `\\t` for a tab",
        )
        for m in found
    ]
    text = CONTROL.sub(" ", file.text) if found else file.text
    return (" " + text[1:] if text.startswith("\ufeff") else text), mistakes


@dataclass(slots=True)
class _Open:
    """A brace that waits for its partner."""

    brace: Span
    head: Span
    multi_line: bool = False


class _Stop(Exception):
    """A limit is passed: reading ends here."""


class _Reading:
    """One pass over one text."""

    def __init__(self, file: SourceFile, text: str, *, by_indentation: bool = False) -> None:
        self.file = file
        self.text = text
        self.by_indentation = by_indentation
        self.mistakes: list[Diagnostic] = []
        self.comments: list[Span] = []
        self.unclosed: list[_Open] = []
        self.open: list[_Open] = []
        self.statements: tuple[Statement, ...] = ()
        self.healed = 0
        self.stopped = False
        self._parser = new_parse()
        self._last = Token("_NL", "\n", Span(file, 0, 0))
        self._head = self._last.span
        self._reported_line = 0

    def run(self) -> _Reading:
        """Read the whole text."""
        try:
            for token in self._tokens():
                self._take(token)
        except _Stop:
            self.stopped = True
        self._finish()
        return self

    def result(self, before: list[Diagnostic]) -> Parsed:
        """Return what was read, with the mistakes found before it."""
        unbalanced = self.stopped or (bool(self.unclosed) and self.healed != 1)
        return Parsed(self.file, self.statements, tuple(self.comments), (*before, *self.mistakes), unbalanced)

    # words and values

    def _tokens(self) -> Iterator[Token]:
        count, at, end = 0, 0, len(self.text)
        while at < end:
            for kind, start, stop in scan(self.text, at):
                at = stop
                if kind == "COMMENT":
                    self.comments.append(Span(self.file, start, start + len(self.text[start:stop].rstrip())))
                elif kind != "WS":
                    count += 1
                    if count > MAX_TOKENS:
                        most = f"{MAX_TOKENS:,}"
                        self._stop(malformed.too_large(self.file.name, f"more than {most} words and values", most))
                    yield Token(kind, self.text[start:stop], Span(self.file, start, stop))
            if at < end:
                at = yield from self._unreadable(at)

    def _unreadable(self, at: int) -> Generator[Token, None, int]:
        """Report what the grammar has no word for; return where reading goes on."""
        end_of_line = self.text.find("\n", at)
        end_of_line = len(self.text) if end_of_line < 0 else end_of_line
        broken = Token("STRING", "", Span(self.file, at, at))
        if self.text.startswith('"""', at):
            self._report(malformed.open_text(Span(self.file, at, at + 3)))
            yield broken
            return len(self.text)
        if self.text[at] == '"':
            self._report(malformed.open_quote(Span(self.file, at, end_of_line)))
            yield broken
            return end_of_line
        self._report(malformed.strange(Span(self.file, at, at + 1), self.text[at]))
        if ord(self.text[at]) in malformed.SPACES:
            return at + 1
        yield broken
        return max(at + 1, _UNREADABLE.match(self.text, at).end())  # type: ignore[union-attr]

    # statements and blocks

    def _take(self, token: Token) -> None:
        if self._last.kind in ("_NL", "LBRACE") and token.kind in _HEADS:
            self._begin(token)
        if token.kind == "LBRACE":
            self._opens(token)
        elif token.kind == "RBRACE" and not self._closes(token):
            return
        elif self._last.kind == "LBRACE" and self.open:
            self.open[-1].multi_line = token.kind == "_NL"
        self._feed(token)
        self._last = token

    def _begin(self, token: Token) -> None:
        while (
            self.by_indentation
            and self.open
            and self.open[-1].multi_line
            and token.span.column <= self.open[-1].head.column
        ):
            self._heal(self.open.pop(), token)
        self._head = token.span

    def _heal(self, opened: _Open, token: Token) -> None:
        self.healed += 1
        self.unclosed.append(opened)
        self._report(malformed.open_block(opened.brace, (token.span, "a `}` is missing before this")))
        self._feed(Token("RBRACE", "}", Span(self.file, token.span.start, token.span.start)))
        self._feed(Token("_NL", "\n", token.span))

    def _opens(self, token: Token) -> None:
        self.open.append(_Open(token.span, self._head))
        if len(self.open) == MAX_DEPTH + 1:
            self._stop(
                mistake(
                    "J008",
                    f"blocks are nested deeper than {MAX_DEPTH} levels",
                    token.span,
                    f"level {MAX_DEPTH + 1}",
                    helps="close some blocks before this one",
                )
            )

    def _closes(self, token: Token) -> bool:
        if not self.open:
            self._report(
                mistake(
                    "J005",
                    "`}` closes nothing",
                    token.span,
                    "no block is open here",
                    helps="delete it, or open the block with `{`",
                    fix="",
                )
            )
            return False
        opened = self.open.pop()
        if opened.multi_line and self._last.kind not in ("_NL", "LBRACE"):
            self._report(
                mistake(
                    "J005", "`}` must stand alone on its line", token.span, "not alone", helps="put it on the next line"
                )
            )
        elif not opened.multi_line and opened.brace.line != token.span.line:
            self._report(
                mistake(
                    "J005",
                    "`{` must end its line when the block has several",
                    opened.brace,
                    "text follows it",
                    helps="start a new line after `{`",
                )
            )
        return True

    def _feed(self, token: Token) -> None:
        try:
            self._parser.feed(token)
        except MisfitError:
            self._recover(token)

    def _recover(self, token: Token) -> None:
        """Report a token that fits nowhere, and let it begin a broken instruction."""
        self._report(malformed.misplaced(token, after_block=self._last.kind == "RBRACE"))
        if self._last.kind == "RBRACE":
            self._parser.feed(Token("_NL", "\n", token.span))
        if token.kind not in _HEADS:
            self._parser.feed(Token("NAME", "", token.span))
        self._parser.feed(token)

    def _finish(self) -> None:
        if self.stopped:
            return
        for opened in reversed(self.open):
            self._feed(Token("_NL", "\n", opened.brace))
            self._feed(Token("RBRACE", "}", Span(self.file, len(self.text), len(self.text))))
        swallowed = any(d.code == "J003" and '"""' in d.message for d in self.mistakes)
        if self.open and not swallowed:
            self.unclosed.extend(self.open)
            self._report(malformed.open_block(self.open[-1].brace, None))
        self.statements = self._parser.feed(Token(END, "", Span(self.file, 0, 0)))

    def _report(self, diagnostic: Diagnostic) -> None:
        """Keep the first report of each line: a second one there would follow from the first."""
        if diagnostic.line != self._reported_line:
            self.mistakes.append(diagnostic)
        self._reported_line = diagnostic.line
        if len(self.mistakes) >= MAX_MISTAKES:
            raise _Stop

    def _stop(self, diagnostic: Diagnostic) -> None:
        self.mistakes.append(diagnostic)
        raise _Stop
