"""ARG, LET and `${name}`: words and texts with the values of names put in.

A name is visible in the whole file that declares it, in any order, and in no other file.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from jessyfile.language.diagnostics import Diagnostic, mistake
from jessyfile.language.source import Span
from jessyfile.language.suggest import help_for
from jessyfile.language.syntax import MAX_BYTES, Statement, Token, kind_of

Reporter = Callable[[Diagnostic], None]

_VARIABLE = re.compile(r"\$(\$\{)|\$\{([^{}\s\"$]*)\}")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_ESCAPES = {"n": "\n", "t": "\t", '"': '"', "\\": "\\"}
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)


class Value(NamedTuple):
    """What a word or a text comes to: its kind as the grammar names it, its content, and where it was written."""

    kind: str
    text: str
    span: Span


@dataclass(frozen=True, slots=True)
class Declaration:
    """One ARG or LET. `env` is the environment variable that an ARG may be read from."""

    word: str
    name: str
    token: Token | None
    env: str | None
    span: Span


class Unreadable(Exception):
    """A value cannot be had; the reason was reported."""


class Scope:
    """The names of one file."""

    def __init__(self, statements: Iterable[Statement], args: Mapping[str, str], report: Reporter) -> None:
        self._args = args
        self._report = report
        self._values: dict[str, Value | None] = {}
        self._path: list[str] = []
        self.declared: dict[str, Declaration] = {}
        everything = list(statements)
        for statement in everything:
            if statement.head.text in ("ARG", "LET"):
                self._declare(statement)
        self._used = set(_names_in(everything))

    def read(self, token: Token) -> Value:
        """Return what a token comes to. Raises Unreadable when that was reported as a mistake."""
        if token.broken:
            raise Unreadable
        if token.kind == "STRING":
            return Value("STRING", self._fill(self._unescape(token), token.span), token.span)
        if token.kind == "TEXT":
            return Value("TEXT", self._fill(self._text(token), token.span), token.span)
        if "${" not in token.text:
            return Value(token.kind, token.text, token.span)
        return self._word(token)

    def report_unused(self) -> None:
        """Report every name that nothing uses."""
        for declaration in self.declared.values():
            if declaration.name not in self._used:
                self._report(
                    mistake(
                        "J031",
                        f"`{declaration.name}` is never used",
                        declaration.span,
                        "declared here",
                        helps=f"use it as `${{{declaration.name}}}`, or delete the line",
                    )
                )

    # declarations

    def _declare(self, statement: Statement) -> None:
        declaration = self._declaration(statement)
        if declaration is None:
            return
        first = self.declared.get(declaration.name)
        if first:
            self._report(
                mistake(
                    "J032",
                    f"`{declaration.name}` is declared twice",
                    declaration.span,
                    "again here",
                    second=(first.span, "first here"),
                    helps="delete one of the two",
                )
            )
            return
        self.declared[declaration.name] = declaration

    def _declaration(self, statement: Statement) -> Declaration | None:
        args, word = list(statement.args), statement.head.text
        env = None
        if any(token.broken for token in args):
            return None
        if word == "ARG" and len(args) >= 3 and [t.text for t in args[-3:-1]] == ["FROM", "ENV"]:
            env, args = args[-1].text, args[:-3]
        valued = len(args) == 3 and args[1].text == "="
        if (
            statement.block
            or not args
            or not _NAME.match(args[0].text)
            or not (valued or (len(args) == 1 and word == "ARG"))
        ):
            form = "ARG name = value" if word == "ARG" else "LET name = value"
            self._report(
                mistake(
                    "J034",
                    f"`{word}` declares one name with one value",
                    statement.span,
                    "not a declaration",
                    helps=f"write `{form}`; quote a value with spaces",
                )
            )
            return None
        return Declaration(word, args[0].text, args[2] if valued else None, env, args[0].span)

    # values

    def _lookup(self, name: str, at: Span) -> Value:
        declaration = self.declared.get(name)
        if declaration is None:
            self._undeclared(name, at)
            raise Unreadable
        if name in self._path:
            circle = " -> ".join([*self._path[self._path.index(name) :], name])
            self._report(
                mistake(
                    "J033",
                    f"`{name}` is defined by itself",
                    declaration.span,
                    "declared here",
                    notes=circle,
                    helps="give one of them a value of its own",
                )
            )
            self._values[name] = None
        if name not in self._values:
            self._path.append(name)
            try:
                self._values[name] = self._evaluate(declaration)
            except Unreadable:
                self._values[name] = None
            finally:
                self._path.pop()
        value = self._values[name]
        if value is None:
            raise Unreadable
        return value

    def _evaluate(self, declaration: Declaration) -> Value:
        if declaration.word == "ARG" and declaration.name in self._args:
            return outside_value(self._args[declaration.name], declaration.span)
        if declaration.env is not None and declaration.env in os.environ:
            return outside_value(os.environ[declaration.env], declaration.span)
        if declaration.token is not None:
            return self.read(declaration.token)
        where = f" or set the environment variable {declaration.env}" if declaration.env else ""
        self._report(
            mistake(
                "J036",
                f"`{declaration.name}` has no value",
                declaration.span,
                "declared here",
                helps=f"give it one with `--arg {declaration.name}=…`{where}",
            )
        )
        raise Unreadable

    def _undeclared(self, name: str, at: Span) -> None:
        helps = "a name has letters, digits and `_`; write `$${` for the characters themselves"
        if _NAME.match(name):
            declare = f"declare it with `LET {name} = …`, or write `$${{{name}}}` for the characters themselves"
            helps = help_for(name, self.declared, "name", declare)
        self._report(mistake("J030", f"`{name}` is not declared", at, "used here", helps=helps))

    def _word(self, token: Token) -> Value:
        if token.kind == "VAR":
            value = self._lookup(token.text[2:-1], token.span)
            return Value(value.kind, value.text, token.span)
        text = self._fill(token.text, token.span)
        return Value(kind_of(text) or "REF", text, token.span)

    def _fill(self, text: str, at: Span) -> str:
        if "${" not in text:
            return text
        pieces, end, size, unreadable = [], 0, 0, False
        for match in _VARIABLE.finditer(text):
            try:
                piece = "${" if match[1] else self._lookup(match[2], at).text
            except Unreadable:
                piece, unreadable = "", True
            pieces += [text[end : match.start()], piece]
            end = match.end()
            size += len(piece)
            if size > MAX_BYTES:
                self._report(
                    mistake(
                        "J007",
                        "this text grows beyond a mebibyte once its variables are put in",
                        at,
                        "here",
                        helps="shorten the variables",
                    )
                )
                raise Unreadable
        if unreadable:
            raise Unreadable
        return "".join([*pieces, text[end:]])

    def _unescape(self, token: Token) -> str:
        content = token.text[1:-1]
        if "\\" not in content:
            return content
        for match in _ESCAPE.finditer(content):
            if match[1] not in _ESCAPES:
                start = token.span.start + 1 + match.start()
                self._report(
                    mistake(
                        "J009",
                        f"`\\{match[1]}` is not an escape",
                        Span(token.span.file, start, start + 2),
                        "unknown",
                        helps='the escapes are `\\n` `\\t` `\\"` `\\\\`; write a backslash as `\\\\`',
                        fix="\\\\" + match[1],
                    )
                )
                raise Unreadable
        return _ESCAPE.sub(lambda match: _ESCAPES[match[1]], content)

    def _text(self, token: Token) -> str:
        lines, outside = text_lines(token.text)
        if outside is None:
            return "\n".join(lines)
        start = token.span.start + sum(len(line) + 1 for line in token.text.split("\n")[: outside + 1])
        end = start + len(token.text.split("\n")[outside + 1])
        self._report(
            mistake(
                "J023",
                'a line of this text stands left of its closing `"""`',
                Span(token.span.file, start, end),
                "left of the margin",
                second=(Span(token.span.file, token.span.end - 3, token.span.end), "the margin is its column"),
                helps='indent the line, move the closing `"""` to the left, or close the text before it',
            )
        )
        raise Unreadable


def text_lines(written: str) -> tuple[list[str], int | None]:
    '''Return the lines inside a `"""` text without their margin, and the index of the first one left of it, or None.'''
    quotes = len(written) - len(written.lstrip('"'))
    inner = written[quotes:-quotes]
    if "\n" not in inner:
        return [inner], None
    _, *lines = [line.removesuffix("\r") for line in inner.split("\n")]
    margin = lines.pop()
    outside = next((at for at, line in enumerate(lines) if line.strip() and not line.startswith(margin)), None)
    return [line[len(margin) :] if line.startswith(margin) else "" for line in lines], outside


def outside_value(text: str, span: Span) -> Value:
    """Return a value given from outside: a bare word when it reads as one, else text."""
    kind = kind_of(text)
    return Value(kind, text, span) if kind else Value("STRING", text, span)


def _names_in(statements: Iterable[Statement]) -> Iterator[str]:
    for statement in statements:
        for token in statement.args:
            for match in _VARIABLE.finditer(token.text) if "${" in token.text else ():
                if match[2]:
                    yield match[2]
        if statement.block:
            yield from _names_in(statement.block.statements)
