"""The language's words by role, out of the table and the grammar: what highlighters and completion share."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache

from jessyfile.language.recipe import MODELS
from jessyfile.language.table import LANGUAGE_WORDS, OPEN, Node, Schema, root
from jessyfile.language.values import PERIODS
from jessyfile.resources import resource

ARGUMENT_WORDS = ("FILE", "FROM", "ENV")
END = r"(?=[\s{}\"#=<>]|\Z)"
_NUMBERS = ("PERCENT", "DURATION", "RANGE", "NUMBER")
_TERMINAL = re.compile(r"^_?([A-Z]+)(?:\.\d+)?: /(.*)/$", re.MULTILINE)


@cache
def terminals() -> dict[str, str]:
    """Return the grammar's terminals as Python regular expressions."""
    return dict(_TERMINAL.findall(resource("grammar", "jessyfile.lark").read_text("utf-8")))


def any_of(words: Iterable[str]) -> str:
    """Return a pattern of words, the longer ones first, that ends where a bare value does."""
    return "(" + "|".join(sorted(words, key=lambda word: (-len(word), word))) + ")" + END


@cache
def values() -> tuple[tuple[str, str], ...]:
    """Return what may follow a statement's first word, as role and pattern, in the order in which it is to be tried."""
    kinds = terminals()
    return (
        ("url", kinds["URL"]),
        ("path", kinds["PATH"]),
        ("variable", kinds["VAR"]),
        ("number", "(?:" + "|".join(f"(?:{kinds[kind]})" for kind in _NUMBERS) + ")"),
        ("fixed word", any_of((*ARGUMENT_WORDS, *fixed_words()))),
        ("choice", any_of(choices())),
        ("comparison", kinds["OP"]),
        ("word", kinds["WORD"]),
        ("name", kinds["NAME"]),
        ("reference", kinds["REF"]),
    )


@cache
def instructions() -> tuple[str, ...]:
    """Return every word that begins a line in capitals, the language's own among them."""
    return tuple(sorted({*LANGUAGE_WORDS, *(word for word in _heads() if word.isupper())}))


@cache
def settings() -> tuple[str, ...]:
    """Return every word that begins a line in small letters."""
    return tuple(sorted(word for word in _heads() if not word.isupper()))


@cache
def naming() -> tuple[str, ...]:
    """Return the instructions after which a name of the user's stands."""
    named = {word for node in root().walk() if node.kind == "named" for word in node.form.keywords if word != OPEN}
    return tuple(sorted({*named, "ARG", "LET", "VARIANT"}))


@cache
def fixed_words() -> tuple[str, ...]:
    """Return the words inside forms, as `iterations` and `within` after LEVEL."""
    parts = (part for node in root().walk() for group in node.form.groups for part in group.parts)
    return tuple(sorted({part.text for part in parts if part.kind == "word"}))


@cache
def choices() -> tuple[str, ...]:
    """Return the values that the table lists for some setting, and the words for yes, no, nothing and the baseline."""
    listed = {str(value) for node in root().walk() for schema in _schemas(node) for value in _enum(schema)}
    nothing = {str(schema["x-null"]) for node in root().walk() for schema in _schemas(node) if "x-null" in schema}
    spoken = {value for value in listed if value.upper() not in instructions()}
    return tuple(sorted(spoken | nothing | set(PERIODS) | {"yes", "no", "none", *MODELS}))


@cache
def parameters() -> tuple[str, ...]:
    """Return the keys that PARAMETER takes."""
    return root().nodes["parameter"].fixed_names or ()


def _heads() -> set[str]:
    return {keyword for node in root().walk() for keyword in node.statements if keyword != OPEN}


def _schemas(node: Node) -> tuple[Schema, ...]:
    """Return the schemas of the values that a node's line holds."""
    entry = node.entry_of(None)
    items = node.schema.get("items", {})
    return (node.schema, items, *entry.get("properties", {}).values(), *items.get("properties", {}).values())


def _enum(schema: Schema) -> list[str]:
    return [value for value in schema.get("enum", ()) if isinstance(value, str) and value[0].isalpha()]
