"""JSON values -> the way a recipe writes them: the inverse of `values`."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from jessyfile.language.syntax import kind_of
from jessyfile.language.values import PERIODS, null_word

if TYPE_CHECKING:
    from jessyfile.language.table import Schema

_UNITS = (("d", 86400), ("h", 3600), ("m", 60), ("s", 1))
_ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t"})
_QUOTES = re.compile('"+')


def spell(value: Any, unit: str, schema: Schema) -> str:  # noqa: ANN401 (any JSON value)
    """Return a value as one word or one quoted text; a text of several lines comes from `spell_text`."""
    if value is None:
        return null_word(schema) or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return f"{value[0]}-{value[1]}"
    if isinstance(value, str):
        return value if unit in ("choice", "comparison", "criterion") else _word(value, unit, schema)
    if unit == "share":
        return f"{_plain(Decimal(repr(value)) * 100)}%"
    if unit == "seconds":
        return _duration(value)
    if unit == "period":
        return next((name for name, seconds in PERIODS.items() if seconds == value), _duration(value))
    return str(int(value)) if value == int(value) and abs(value) < 1e15 else repr(value)


def quoted(text: str) -> str:
    """Return text in quotes, its special characters escaped."""
    return '"' + text.translate(_ESCAPES).replace("${", "$${") + '"'


def spell_text(text: str, indent: str) -> list[str]:
    '''Return text as a `"""` block: the opening quotes, then a line each, with the closing quotes last.'''
    longest = max((len(run) for run in _QUOTES.findall(text)), default=0)
    quotes = '"' * max(3, longest + 1)
    escaped = text.replace("${", "$${")
    return [quotes, *(indent + line if line else "" for line in escaped.split("\n")), indent + quotes]


def _word(text: str, unit: str, schema: Schema) -> str:
    if unit not in ("bare", "model"):
        return quoted(text)
    kind = kind_of(text)
    bare = kind in ("WORD", "NAME", "REF", "URL") if unit == "model" else kind is not None and kind != "OP"
    return text if bare and "$" not in text and text != null_word(schema) and not text.startswith("~") else quoted(text)


def _duration(seconds: float) -> str:
    exact = Decimal(repr(seconds))
    for name, size in _UNITS:
        if exact and exact % size == 0:
            return f"{_plain(exact / size)}{name}"
    milliseconds = exact * 1000
    return f"{_plain(milliseconds)}ms" if milliseconds % 1 == 0 else f"{_plain(exact)}s"


def _plain(number: Decimal) -> str:
    text = format(number, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text
