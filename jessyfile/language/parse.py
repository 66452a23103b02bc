"""Text -> statements, reporting every mistake of form on the way.

Lark's tables drive the parse token by token. At a token that fits nowhere the parser is given what was missing (an instruction's
name, a line end), marked as broken, and goes on: one mistake makes one report, and what follows is still read.

Not covered: a `}` missing from a file without indentation; then only the open `{` is reported.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import islice
from typing import Any, NamedTuple

from jessyfile.language.diagnostics import Diagnostic, mistake
from jessyfile.language.source import SourceFile, Span

MAX_BYTES = 1 << 20
MAX_LINES = 100_000
MAX_TOKENS = 80_000
MAX_DEPTH = 64
MAX_MISTAKES = 100

_HEADS = ("WORD", "NAME", "REF")
_VALUES = {
    "PATH": "a path",
    "URL": "an address",
    "NUMBER": "a number",
    "PERCENT": "a percentage",
    "DURATION": "a duration",
    "SIZE": "a size",
    "RANGE": "a range",
    "STRING": "text",
    "TEXT": "text",
    "VAR": "a variable",
    "OP": "a comparison",
}
CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]|\r(?!\n)")
_UNREADABLE = re.compile(r"(?:\$\{)?[^\s\"{}#]*")
_SPACES = {
    0xA0: "no-break space",
    0xFEFF: "byte order mark",
    0x200B: "zero-width space",
    0x3000: "wide space",
    0xAD: "soft hyphen",
}


class Token(NamedTuple):
    """One word or value. `kind` is the grammar's terminal; `text` is as written; a broken one stands for something unreadable."""

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
    """Return the parser from the tables made beforehand; nothing is compiled or unpickled."""
    from lark import Lark

    from jessyfile.language._tables import DATA, MEMO

    return Lark._load_from_dict(DATA, MEMO, transformer=_Nodes)  # noqa: SLF001 (the public way to the same data is a pickle)


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
    return too_large(file.name, found, allowed)


def too_large(name: str, found: str, allowed: str) -> Diagnostic:
    """Return the report for a file beyond a limit."""
    return mistake(
        "J007",
        f"`{name}` has {found}; a recipe may have {allowed}",
        helps="move long texts out with FILE, and rows into seeds",
    )


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


class _Stop(Exception):  # noqa: N818 (a signal inside this module)
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
        self._parser = lark_parser().parse_interactive()
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
        count, at = 0, 0
        while at < len(self.text):
            for raw in self._lex(at):
                count += 1
                if count > MAX_TOKENS:
                    self._stop(
                        too_large(self.file.name, f"more than {MAX_TOKENS:,} words and values", f"{MAX_TOKENS:,}")
                    )
                self._comment(at, raw.start_pos)
                at = raw.end_pos
                yield Token(raw.type, str(raw), Span(self.file, raw.start_pos, at))
            stopped = self._stopped
            self._comment(at, stopped)
            at = stopped
            if at < len(self.text):
                at = yield from self._unreadable(at)

    def _lex(self, start: int) -> Iterator[Any]:
        from lark import TextSlice, UnexpectedCharacters

        self._stopped = len(self.text)
        try:
            yield from (
                lark_parser().parse_interactive(TextSlice(self.text, start, len(self.text))).lexer_thread.lex(None)
            )
        except UnexpectedCharacters as error:
            self._stopped = error.pos_in_stream

    def _comment(self, start: int, end: int) -> None:
        at = self.text.find("#", start, end)
        if at >= 0:
            self.comments.append(Span(self.file, at, len(self.text[at:end].split("\n", 1)[0].rstrip()) + at))

    def _unreadable(self, at: int) -> Generator[Token, None, int]:
        """Report what the grammar has no word for; return where reading goes on."""
        end_of_line = self.text.find("\n", at)
        end_of_line = len(self.text) if end_of_line < 0 else end_of_line
        broken = Token("STRING", "", Span(self.file, at, at))
        if self.text.startswith('"""', at):
            self._report(_open_text(Span(self.file, at, at + 3)))
            yield broken
            return len(self.text)
        if self.text[at] == '"':
            self._report(_open_quote(Span(self.file, at, end_of_line)))
            yield broken
            return end_of_line
        self._report(_strange(Span(self.file, at, at + 1), self.text[at]))
        if ord(self.text[at]) in _SPACES:
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
        self._report(_open_block(opened.brace, (token.span, "a `}` is missing before this")))
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
        from lark import UnexpectedToken

        try:
            self._parser.feed_token(token)
        except UnexpectedToken:
            self._recover(token)

    def _recover(self, token: Token) -> None:
        """Report a token that fits nowhere, and let it begin a broken instruction."""
        self._report(_misplaced(token, after_block=self._last.kind == "RBRACE"))
        if self._last.kind == "RBRACE":
            self._parser.feed_token(Token("_NL", "\n", token.span))
        if token.kind not in _HEADS:
            self._parser.feed_token(Token("NAME", "", token.span))
        self._parser.feed_token(token)

    def _finish(self) -> None:
        if self.stopped:
            return
        for opened in reversed(self.open):
            self._feed(Token("_NL", "\n", opened.brace))
            self._feed(Token("RBRACE", "}", Span(self.file, len(self.text), len(self.text))))
        swallowed = any(d.code == "J003" and '"""' in d.message for d in self.mistakes)
        if self.open and not swallowed:
            self.unclosed.extend(self.open)
            self._report(_open_block(self.open[-1].brace, None))
        self.statements = self._parser.feed_token(Token("$END", "", Span(self.file, 0, 0)))

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


def _open_text(at: Span) -> Diagnostic:
    return mistake(
        "J003",
        '`"""` opens a text that is never closed',
        at,
        "opened here",
        helps='put `"""` alone on the line after the text',
        notes="the text runs to the end of the file, so nothing after this line was checked",
    )


def _open_quote(at: Span) -> Diagnostic:
    return mistake(
        "J003",
        '`"` opens a text that is not closed on its line',
        at,
        "opened here",
        helps='close it with `"`; for several lines use `"""`',
    )


def _strange(at: Span, character: str) -> Diagnostic:
    name = _SPACES.get(ord(character))
    if name:
        return mistake(
            "J002",
            f"{name} (U+{ord(character):04X}) stands between words",
            at,
            "here",
            helps="type a plain space instead",
            fix=" ",
        )
    if character == "$":
        return mistake(
            "J002",
            "`${` needs a name and a `}` without spaces",
            at,
            "not a variable",
            helps="write `${name}`, or `$${` for the characters themselves",
        )
    return mistake("J002", f"`{character}` cannot stand here", at, "not expected", helps='put text into quotes: `"…"`')


def _open_block(brace: Span, before: tuple[Span, str] | None) -> Diagnostic:
    notes = () if before else "nothing inside unbalanced blocks was checked"
    return mistake(
        "J004",
        "`{` is never closed",
        brace,
        "opened here",
        second=before,
        helps="add a `}` on a line of its own",
        notes=notes,
    )


def _misplaced(token: Token, *, after_block: bool) -> Diagnostic:
    if after_block:
        return mistake(
            "J005", "`}` ends its line", token.span, "does not belong on this line", helps="start a new line after `}`"
        )
    if token.kind == "LBRACE":
        return mistake(
            "J005",
            "`{` needs its instruction on the same line",
            token.span,
            "opens a block without a name",
            helps="write `NAME {`",
        )
    what = _VALUES.get(token.kind, f"`{token.text}`")
    return mistake(
        "J002",
        f"a line begins with an instruction or a setting, not with {what}",
        token.span,
        "not a word of the language",
        helps="continue no line: put all values of an instruction on its own line",
    )


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
