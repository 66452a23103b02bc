"""The parser of grammar/jessyfile.lark, driven by tables that Lark made of it beforehand.

Importing Lark and building its parser takes as long as a third of `jessy check`. So `python -m jessyfile.language.automaton` keeps what Lark
found, the order of terminals and the LALR table, in grammar/jessyfile.tables.json; a test holds that it is the grammar's.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple, Protocol

from jessyfile.resources import resource

GRAMMAR = ("grammar", "jessyfile.lark")
TABLES = ("grammar", "jessyfile.tables.json")
END = "$END"


class MisfitError(Exception):
    """A token that no rule has a place for here; what was complete before it is put together."""


class Kinded(Protocol):
    """A token, of which only the terminal's name matters."""

    @property
    def kind(self) -> str:
        """The terminal's name."""
        ...


class Rule(NamedTuple):
    """A rule and the symbols that it is made of."""

    origin: str
    symbols: tuple[str, ...]


class Tables(NamedTuple):
    """What Lark made of the grammar. A state maps a symbol to the state after it, or below zero to the rule that is complete, -1 the first."""

    words: re.Pattern[str]
    rules: tuple[Rule, ...]
    states: tuple[Mapping[str, int], ...]
    start: int
    end: int


@cache
def tables() -> Tables:
    """Return the tables; they are read once in a process."""
    kept = json.loads(resource(*TABLES).read_text("utf-8"))
    rules = tuple(Rule(origin, tuple(symbols)) for origin, symbols in kept["rules"])
    words = re.compile("|".join(f"(?P<{name}>{pattern})" for name, pattern in kept["terminals"]))
    return Tables(words, rules, tuple(kept["states"]), kept["start"], kept["end"])


def scan(text: str, at: int) -> Iterator[tuple[str, int, int]]:
    """Yield kind, start and end of all that stands from a place on, COMMENT and WS too, until the text ends or the grammar has no word for
    what follows.
    """
    match = tables().words.match
    while found := match(text, at):
        start, at = at, found.end()
        yield str(found.lastgroup), start, at


class Automaton:
    """One parse, token by token. `nodes` maps a rule's name to what makes a value of its children's values.

    A symbol whose name begins with `_` is no child: a terminal is left out, a rule's children stand in its place. An absent block is None.
    """

    def __init__(self, nodes: Mapping[str, Callable[[list[Any]], Any]]) -> None:
        self._nodes = nodes
        self._tables = tables()
        self._states = [self._tables.start]
        self._values: list[Any] = []

    def feed(self, token: Kinded) -> Any:  # noqa: ANN401 (whatever the nodes make)
        """Take a token; after END return the value of the whole. Raises MisfitError where it fits nowhere."""
        states, kind = self._tables.states, token.kind
        while True:
            action = states[self._states[-1]].get(kind)
            if action is None:
                raise MisfitError(kind)
            if action >= 0:
                self._states.append(action)
                self._values.append(token)
                return None
            self._complete(self._tables.rules[-action - 1])
            if kind == END and self._states[-1] == self._tables.end:
                return self._values[-1]

    def _complete(self, rule: Rule) -> None:
        count = len(rule.symbols)
        values = self._values[len(self._values) - count :]
        del self._values[len(self._values) - count :], self._states[len(self._states) - count :]
        if rule.origin == "arg":
            made = values[0]
        else:
            made = _children(rule.symbols, values)
            if rule.origin == "stmt" and rule.symbols[-1] != "block":
                made.append(None)
            if not rule.origin.startswith("_"):
                made = self._nodes[rule.origin](made)
        self._values.append(made)
        self._states.append(self._tables.states[self._states[-1]][rule.origin])


def _children(symbols: Sequence[str], values: list[Any]) -> list[Any]:
    """Return the children; the list of a rule that repeats itself is lengthened, not copied, so that a long file takes time by its length."""
    repeats = bool(symbols) and symbols[0].startswith("__")
    children: list[Any] = values[0] if repeats else []
    for symbol, value in list(zip(symbols, values, strict=True))[repeats:]:
        if not symbol.startswith("_"):
            children.append(value)
        elif not symbol.isupper():
            children.extend(value)
    return children


def made_tables() -> dict[str, Any]:
    """Return what Lark makes of the grammar, as it is kept. States are numbered as a walk from the first meets them, since Lark's own
    numbers differ from run to run.
    """
    from lark import Lark

    lark = Lark.open(str(resource(*GRAMMAR)), parser="lalr", lexer="basic")
    table = lark.parser.parser._parse_table  # noqa: SLF001 (Lark shows them to nobody)
    order: list[Any] = [table.start_states["start"]]
    for state in order:
        found = (arg for _, (_, arg) in sorted(table.states[state].items()) if arg in table.states)
        order += (arg for arg in dict.fromkeys(found) if arg not in order)
    numbers = {state: number for number, state in enumerate(order)} | {
        rule: -1 - number for number, rule in enumerate(lark.rules)
    }
    return {
        "terminals": [[one.name, one.pattern.to_regexp()] for one in lark.parser.lexer.scanner.terminals],
        "rules": [[str(rule.origin.name), [str(symbol.name) for symbol in rule.expansion]] for rule in lark.rules],
        "states": [
            {str(symbol): numbers[arg] for symbol, (_, arg) in sorted(table.states[state].items())} for state in order
        ],
        "start": numbers[table.start_states["start"]],
        "end": numbers[table.end_states["start"]],
    }


if __name__ == "__main__":
    from jessyfile import fsops

    fsops.write_text(resource("grammar").joinpath(*TABLES[1:]), json.dumps(made_tables()) + "\n")
