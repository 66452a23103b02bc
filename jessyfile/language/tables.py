"""Compile grammar/jessyfile.lark into `_tables.py`, so that no start of jessy builds or unpickles a parser.

Run `python -m jessyfile.language.tables` after a change of the grammar; a test compares the two.
"""

from __future__ import annotations

from pathlib import Path
from pprint import pformat

from jessyfile import fsops
from jessyfile.resources import resource

TABLES = Path(__file__).with_name("_tables.py")


def compiled(*, strict: bool = False) -> str:
    """Return the module's text. `strict` lets Lark refuse any ambiguity (it needs the package interegular)."""
    from lark import Lark
    from lark.grammar import Rule
    from lark.lexer import TerminalDef

    grammar = resource("grammar", "jessyfile.lark").read_text("utf-8")
    lark = Lark(grammar, parser="lalr", lexer="basic", maybe_placeholders=True, strict=strict)
    data, memo = lark.memo_serialize([TerminalDef, Rule])
    data["options"] = {
        key: value for key, value in data["options"].items() if key not in ("transformer", "postlex", "source_path")
    }
    lines = [
        '"""Parser tables made from grammar/jessyfile.lark by `python -m jessyfile.language.tables`; do not edit."""',
        "",
        "from typing import Any",
        "",
    ]
    for name, value in (("DATA", data), ("MEMO", memo)):
        lines.append(f"{name}: dict[Any, Any] = {pformat(value, width=140, compact=True, sort_dicts=True)}")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    fsops.write_text(TABLES, compiled())
