"""Compile grammar/jessyfile.lark into `_tables.py`, so that no start of jessy builds or unpickles a parser.

Run `python -m jessyfile.language.tables` after a change of the grammar; a test compares the two.
"""

from __future__ import annotations

from pathlib import Path
from pprint import pformat
from typing import Any

from jessyfile import fsops
from jessyfile.resources import resource

TABLES = Path(__file__).with_name("_tables.py")
_LEFT_OUT = ("transformer", "postlex", "source_path")
_SHIFT = 0


def compiled(*, strict: bool = False) -> str:
    """Return the module's text. `strict` lets Lark refuse any ambiguity (it needs the package interegular)."""
    from lark import Lark
    from lark.grammar import Rule
    from lark.lexer import TerminalDef

    grammar = resource("grammar", "jessyfile.lark").read_text("utf-8")
    lark = Lark(grammar, parser="lalr", lexer="basic", maybe_placeholders=True, strict=strict)
    data, memo = lark.memo_serialize([TerminalDef, Rule])
    data["options"] = {key: value for key, value in data["options"].items() if key not in _LEFT_OUT}
    data["parser"]["parser"] = _numbered(data["parser"]["parser"])
    head = "Parser tables made from grammar/jessyfile.lark by `python -m jessyfile.language.tables`; do not edit."
    lines = [f'"""{head}"""', "", "from typing import Any", ""]
    for name, value in (("DATA", data), ("MEMO", memo)):
        lines.append(f"{name}: dict[Any, Any] = {pformat(value, width=140, compact=True, sort_dicts=True)}")
    return "\n".join(lines) + "\n"


def _numbered(table: dict[str, Any]) -> dict[str, Any]:
    """Number states in the order they are reached and tokens by name: Lark's own numbers differ from run to run."""
    names: dict[int, str] = table["tokens"]
    numbers = {name: number for number, name in enumerate(sorted(names.values()))}
    by_name = {s: {names[token]: action for token, action in row.items()} for s, row in table["states"].items()}
    order = _reached(by_name, table["start_states"]["start"])
    places = {state: number for number, state in enumerate(order)}
    states = {}
    for state in order:
        row = {numbers[n]: (a, places[to] if a == _SHIFT else to) for n, (a, to) in by_name[state].items()}
        states[places[state]] = dict(sorted(row.items()))
    ends = {name: places[state] for name, state in table["end_states"].items()}
    starts = {name: places[state] for name, state in table["start_states"].items()}
    tokens = {number: name for name, number in numbers.items()}
    return {"tokens": tokens, "states": states, "start_states": starts, "end_states": ends}


def _reached(states: dict[int, dict[str, tuple[int, Any]]], start: int) -> list[int]:
    order = [start]
    for state in order:
        for _, (action, to) in sorted(states[state].items()):
            if action == _SHIFT and to not in order:
                order.append(to)
    return order


if __name__ == "__main__":
    fsops.write_text(TABLES, compiled())
