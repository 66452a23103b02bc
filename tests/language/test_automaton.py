"""The tables that a recipe is read by are those that Lark makes of the grammar, and what they read is what Lark reads."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest
from lark import Lark, Token, Tree, UnexpectedCharacters, UnexpectedToken

from jessyfile.language.automaton import END, Automaton, MisfitError, made_tables, scan
from jessyfile.resources import resource

HOUSE = Path(__file__).parents[2]
IGNORED = {"COMMENT", "WS"}
RECIPES = [path.read_text("utf-8") for path in sorted((HOUSE / "recipes").glob("*.jessy"))]
TORN = [
    "A {\n  b 1\n", "A { b 1 }\n}\n", "a 1 {\n} c\n", 'NAME "open\nb 2\n', "x 1 2 3 { y { z } }\n", "{\n", "1 2\n", "A\n  # end", "# only", "",
    "\r\n\r\n a\r\n", '"""\n text\n"""\n', 'A """one"""\nB """\n  open\n', "a ${b} > 5% 1-2 250ms ./p http://h/${c}\n", "a \x01 b\n", "NAME é日本 $x\n",
]  # fmt: skip


class Fed(NamedTuple):
    kind: str
    text: str


@cache
def lark() -> Lark:
    return Lark.open(str(resource("grammar", "jessyfile.lark")), parser="lalr", lexer="basic")


def nodes(name):
    return lambda children: Tree(name, children)


def larks_words(text: str) -> Iterator[tuple[str, int, int]]:
    try:
        for token in lark().parse_interactive(text).lexer_thread.lex(None):
            yield token.type, token.start_pos, token.end_pos
    except UnexpectedCharacters:
        return


def larks_reading(words: list[Fed]) -> tuple[object, int]:
    """Return the tree, None where a word fits nowhere, and how many words were taken."""
    parse = lark().parse_interactive()
    for count, word in enumerate(words):
        try:
            tree = parse.feed_token(Token(word.kind, word.text))
        except UnexpectedToken:
            return None, count
    return tree, len(words)


def our_reading(words: list[Fed]) -> tuple[object, int]:
    parse = Automaton({name: nodes(name) for name in ("start", "stmt", "block")})
    for count, word in enumerate(words):
        try:
            tree = parse.feed(word)
        except MisfitError:
            return None, count
    return tree, len(words)


def plain(node: object) -> object:
    if isinstance(node, Tree):
        return node.data, [plain(child) for child in node.children]
    return node and (node.text if isinstance(node, Fed) else str(node))


def test_the_tables_are_those_of_the_grammar():
    kept = json.loads(resource("grammar", "jessyfile.tables.json").read_text("utf-8"))
    assert kept == made_tables(), "run python -m jessyfile.language.automaton"
    lexer = lark().parser.lexer
    assert set(lexer.ignore_types) == IGNORED
    assert lexer.scanner and not lexer.callback, "Lark would change a word's kind after it is read"


@pytest.mark.parametrize("text", [*RECIPES, *TORN])
def test_a_text_is_read_as_lark_reads_it(text):
    words = [word for word in scan(text, 0) if word[0] not in IGNORED]
    assert words == list(larks_words(text))
    fed = [*(Fed(kind, text[start:end]) for kind, start, end in words), Fed(END, "")]
    ours, taken = our_reading(fed)
    theirs, count = larks_reading(fed)
    assert (plain(ours), taken) == (plain(theirs), count)


def test_where_any_word_is_missing_both_stop_at_the_same_one():
    text = next(text for text in RECIPES if "SUITE" in text)
    words = [Fed(kind, text[start:end]) for kind, start, end in scan(text, 0) if kind not in IGNORED][:120]
    stops = set()
    for gone in range(len(words)):
        fed = [*words[:gone], *words[gone + 1 :], Fed(END, "")]
        assert our_reading(fed)[1] == larks_reading(fed)[1]
        stops.add(our_reading(fed)[1])
    assert len(stops) > 3
