"""A TextMate grammar for editors, out of the table and the grammar's terminals.

Run `python -m jessyfile.editors.textmate` after a change of either; a test compares the file with this.
TextMate reads line by line: a text of several lines is a pair of patterns, everything else one.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from jessyfile.editors.vocabulary import (
    ARGUMENT_WORDS,
    choices,
    fixed_words,
    instructions,
    naming,
    parameters,
    settings,
    terminals,
)

PLACE = ("grammar", "editors", "vscode", "syntaxes", "jessyfile.tmLanguage.json")
_END = r"(?=[\s{}\"#=<>]|$)"
_HEAD = r"(?:^|(?<=[{]))[ \t]*"
_LATER = r"(?<=[\s{])"
_NUMBERS = ("PERCENT", "DURATION", "RANGE", "NUMBER")
Rule = dict[str, Any]


def textmate_grammar() -> Rule:
    """Return the grammar as TextMate has it."""
    return {
        "$schema": "https://raw.githubusercontent.com/martinring/tmlanguage/master/tmlanguage.json",
        "name": "Jessyfile",
        "scopeName": "source.jessyfile",
        "fileTypes": ["jessy"],
        "patterns": [{"include": f"#{name}"} for name in ("comment", "text", "string", "head", "value", "brace")],
        "repository": {
            "comment": {"name": "comment.line.number-sign.jessyfile", "match": "#.*$"},
            "text": {"patterns": [_tall_text(), _short_text()]},
            "string": _string(),
            "variable": _variable(),
            "head": {"patterns": _heads()},
            "value": {"patterns": _values()},
            "brace": {"name": "punctuation.section.braces.jessyfile", "match": "[{}]"},
        },
    }


def grammar_text() -> str:
    """Return the grammar's file."""
    return json.dumps(textmate_grammar(), ensure_ascii=False, indent=2) + "\n"


def _any_of(words: Iterable[str]) -> str:
    """Return an alternative of words, the longer ones first."""
    return "(" + "|".join(sorted(words, key=lambda word: (-len(word), word))) + ")" + _END


def _variable() -> Rule:
    return {
        "patterns": [
            {"name": "constant.character.escape.jessyfile", "match": r"\$\$\{"},
            {"name": "variable.other.jessyfile", "match": r"\$\{[A-Za-z_][A-Za-z0-9_]*\}"},
        ]
    }


def _tall_text() -> Rule:
    return {
        "name": "string.quoted.triple.jessyfile",
        "begin": r'("{3,})[ \t]*$',
        "end": r'^[ \t]*\1(?!")',
        "patterns": [{"include": "#variable"}],
    }


def _short_text() -> Rule:
    return {
        "name": "string.quoted.triple.jessyfile",
        "match": r'("{3,})[^"](?:.*?[^"])??\1(?!")',
        "captures": {"0": {"patterns": [{"include": "#variable"}]}},
    }


def _string() -> Rule:
    return {
        "name": "string.quoted.double.jessyfile",
        "match": r'"(?:[^"\\]|\\.)*"(?!")',
        "captures": {
            "0": {
                "patterns": [
                    {"name": "constant.character.escape.jessyfile", "match": r'\\[nt"\\]'},
                    {"name": "invalid.illegal.escape.jessyfile", "match": r"\\."},
                    {"include": "#variable"},
                ]
            }
        },
    }


def _heads() -> list[Rule]:
    """Return what begins a statement: an instruction with its name or its key, an instruction, a setting."""
    keyword = {"name": "keyword.control.jessyfile"}
    return [
        {
            "match": _HEAD + r"(PARAMETER)[ \t]+" + _any_of(parameters()),
            "captures": {"1": keyword, "2": {"name": "support.type.property-name.jessyfile"}},
        },
        {
            "match": _HEAD + "(" + "|".join(naming()) + r")[ \t]+([a-z_][A-Za-z0-9_.-]*)" + _END,
            "captures": {"1": keyword, "2": {"name": "entity.name.type.jessyfile"}},
        },
        {"match": _HEAD + _any_of(instructions()), "captures": {"1": keyword}},
        {"match": _HEAD + _any_of(settings()), "captures": {"1": {"name": "support.type.property-name.jessyfile"}}},
    ]


def _values() -> list[Rule]:
    kinds = terminals()
    numbers = "|".join(f"(?:{_portable(kinds[kind])})" for kind in _NUMBERS)
    return [
        {"name": "string.unquoted.url.jessyfile", "match": _LATER + _portable(kinds["URL"])},
        {"name": "string.unquoted.path.jessyfile", "match": _LATER + _portable(kinds["PATH"])},
        {"name": "variable.other.jessyfile", "match": _portable(kinds["VAR"])},
        {"name": "constant.numeric.jessyfile", "match": f"{_LATER}(?:{numbers})"},
        {"name": "keyword.other.jessyfile", "match": _LATER + _any_of((*ARGUMENT_WORDS, *fixed_words()))},
        {"name": "constant.language.jessyfile", "match": _LATER + _any_of(choices())},
        {"name": "keyword.operator.comparison.jessyfile", "match": kinds["OP"]},
        {"name": "keyword.other.jessyfile", "match": _LATER + _portable(kinds["WORD"])},
        {"name": "variable.parameter.jessyfile", "match": _LATER + _portable(kinds["NAME"])},
        {"name": "string.unquoted.jessyfile", "match": _LATER + r'[^\s"#{}<>=$]+' + _END},
    ]


def _portable(pattern: str) -> str:
    """Return a terminal for TextMate's engine, where a line is all there is."""
    return pattern.replace(r"|\Z)", "|$)")


if __name__ == "__main__":
    from jessyfile import fsops
    from jessyfile.resources import resource

    fsops.write_text(resource("grammar").joinpath(*PLACE[1:]), grammar_text())
