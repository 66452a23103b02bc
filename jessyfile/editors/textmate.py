"""A TextMate grammar for editors, out of the table and the grammar's terminals.

Run `python -m jessyfile.editors.textmate` after a change of either; a test compares the file with this.
TextMate reads line by line: a text of several lines is a pair of patterns, everything else one.
"""

from __future__ import annotations

import json
import re
from typing import Any

from jessyfile.editors.vocabulary import END, any_of, instructions, naming, parameters, settings, values

PLACE = ("grammar", "editors", "vscode", "syntaxes", "jessyfile.tmLanguage.json")
_HEAD = r"(?:^|(?<=[{]))[ \t]*"
_LATER = r"(?<=[\s{])"
_SCOPES = {
    "url": "string.unquoted.url",
    "path": "string.unquoted.path",
    "variable": "variable.other",
    "number": "constant.numeric",
    "fixed word": "keyword.other",
    "choice": "constant.language",
    "comparison": "keyword.operator.comparison",
    "word": "keyword.other",
    "name": "variable.parameter",
    "reference": "string.unquoted",
}
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
            "match": _HEAD + r"(PARAMETER)[ \t]+" + _portable(any_of(parameters())),
            "captures": {"1": keyword, "2": {"name": "support.type.property-name.jessyfile"}},
        },
        {
            "match": _HEAD + "(" + "|".join(naming()) + r")[ \t]+([a-z_][A-Za-z0-9_.-]*)" + _portable(END),
            "captures": {"1": keyword, "2": {"name": "entity.name.type.jessyfile"}},
        },
        {"match": _HEAD + _portable(any_of(instructions())), "captures": {"1": keyword}},
        {
            "match": _HEAD + _portable(any_of(settings())),
            "captures": {"1": {"name": "support.type.property-name.jessyfile"}},
        },
    ]


def _values() -> list[Rule]:
    """Return a rule a role; a comparison and a variable begin anywhere, all others after a space or a brace."""
    return [
        {
            "name": f"{_SCOPES[role]}.jessyfile",
            "match": _portable(pattern if role in ("variable", "comparison") else _LATER + pattern),
        }
        for role, pattern in values()
    ]


def _portable(pattern: str) -> str:
    """Return a pattern for TextMate's engine, where a line is all there is and `\\x9f` is a byte, not a character."""
    return re.sub(r"\\x([0-9a-f]{2})", r"\\u00\1", pattern.replace(r"|\Z)", "|$)"))


if __name__ == "__main__":
    from jessyfile import fsops
    from jessyfile.resources import resource

    fsops.write_text(resource("grammar").joinpath(*PLACE[1:]), grammar_text())
