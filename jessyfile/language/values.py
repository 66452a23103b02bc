"""Words and texts -> JSON values: what each unit of the table accepts, and what to say when it does not fit."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from jessyfile.language.suggest import similar
from jessyfile.language.syntax import KINDS

if TYPE_CHECKING:
    from collections.abc import Callable

    from jessyfile.language.table import Schema
    from jessyfile.language.variables import Value

Json = Any

_SECONDS = {"ms": Decimal("0.001"), "s": Decimal(1), "m": Decimal(60), "h": Decimal(3600), "d": Decimal(86400)}
PERIODS = {"hour": 3600.0, "day": 86400.0, "week": 604800.0}
_YES_NO = {"yes": True, "no": False, "true": True, "false": False}
_QUOTED = ("STRING", "TEXT")
_LIMIT = 1e15
_LISTED = 24  # of a setting's choices in a message

EXPECTED = {
    "integer": "a whole number",
    "number": "a number",
    "share": "a percentage",
    "seconds": "a duration",
    "boolean": "yes or no",
    "choice": "one of the choices",
    "bare": "a word",
    "string": "quoted text",
    "text": "quoted text",
    "range": "a range",
    "comparison": "a comparison",
    "period": "hour, day, week or a duration",
    "path": "a path",
    "folder": "a path",
    "model": "a model",
    "rooted": "quoted text",
    "pattern": "a path",
}
_EXAMPLES = {
    "integer": "16",
    "number": "0.7",
    "share": "10%",
    "seconds": "5s",
    "boolean": "yes",
    "string": '"text"',
    "text": '"text"',
    "range": "1-2",
    "comparison": ">",
    "period": "day",
    "path": '"folder/file"',
    "folder": '"folder"',
    "model": "gemma3:270m",
    "rooted": '".env"',
    "pattern": '"notes/**/*.md"',
}


class InvalidValue(Exception):
    """A value that its setting cannot take."""

    def __init__(self, code: str, message: str, label: str, help_: str | None = None, fix: str | None = None) -> None:
        """Create the error.

        Args:
            code: the diagnostic's code, such as `J012`.
            message: one sentence.
            label: a few words beside the value.
            help_: what to do.
            fix: the text that an editor offers in its place.
        """
        super().__init__(message)
        self.code = code
        self.message = message
        self.label = label
        self.help = help_
        self.fix = fix


def null_word(schema: Schema) -> str | None:
    """Return the word that stands for null, when the setting may be null."""
    declared = schema.get("type", ())
    if "null" in declared or None in schema.get("enum", ()):
        return str(schema.get("x-null", "none"))
    return None


def wrong_kind(value: Value, unit: str, help_: str | None = None) -> InvalidValue:
    """Return the report for a value of another kind than its setting's."""
    found = KINDS.get(value.kind, "something else")
    if help_ is None and unit in _EXAMPLES:
        help_ = f"write it like `{_EXAMPLES[unit]}`"
    return InvalidValue("J014", f"takes {EXPECTED[unit]}, not {found}", f"expected {EXPECTED[unit]}", help_)


def _refuse_large(digits: str) -> None:
    number = float(digits)
    if not math.isfinite(number) or abs(number) > _LIMIT:
        raise InvalidValue("J015", "is too large", "too large", f"write a number up to {_LIMIT:g}")


def _integer(value: Value) -> int:
    if value.kind != "NUMBER":
        raise wrong_kind(value, "integer")
    _refuse_large(value.text)
    number = float(value.text)
    if number != math.floor(number):
        raise InvalidValue(
            "J014", "takes a whole number", "not whole", f"write `{math.floor(number)}` or `{math.ceil(number)}`"
        )
    return int(number)


def _number(value: Value) -> float:
    if value.kind != "NUMBER":
        raise wrong_kind(value, "number")
    _refuse_large(value.text)
    return float(value.text)


def _share(value: Value) -> float:
    if value.kind == "PERCENT":
        _refuse_large(value.text[:-1])
        return float(Decimal(value.text[:-1]) / 100)
    if value.kind != "NUMBER":
        raise wrong_kind(value, "share")
    _refuse_large(value.text)
    number = float(value.text)
    if number > 1:
        raise InvalidValue(
            "J014",
            "takes a percentage, not a number above 1",
            "expected a percentage",
            f"write `{value.text}%`",
            f"{value.text}%",
        )
    return number


def _seconds(value: Value) -> float:
    if value.kind == "NUMBER":
        raise wrong_kind(value, "seconds", f"say the unit: `{value.text}s`, `{value.text}m`")
    if value.kind != "DURATION":
        raise wrong_kind(value, "seconds")
    digits = value.text.rstrip("msdh")
    _refuse_large(digits)
    return float(Decimal(digits) * _SECONDS[value.text[len(digits) :]])


def _period(value: Value) -> float:
    if value.kind == "NAME" and value.text in PERIODS:
        return PERIODS[value.text]
    if value.kind != "DURATION":
        raise wrong_kind(value, "period")
    return _seconds(value)


def _boolean(value: Value) -> bool:
    if value.text not in _YES_NO or value.kind != "NAME":
        raise wrong_kind(value, "boolean", "write `yes` or `no`")
    return _YES_NO[value.text]


def choice(value: Value, schema: Schema) -> str:
    """Return a word that must be one of the schema's choices. Raises InvalidValue."""
    choices = [
        str(c) if c is not None else (null_word(schema) or "none")
        for c in schema.get("enum") or schema["items"]["enum"]
    ]
    word = schema.get("x-same", {}).get(value.text, value.text)
    if word in choices:
        return str(word)
    near = similar(value.text, choices)
    listed = ", ".join(f"`{c}`" for c in choices[:_LISTED])
    listed += f" or one of {len(choices) - _LISTED} more (docs/reference.md lists them)" * (len(choices) > _LISTED)
    raise InvalidValue(
        "J016",
        f"cannot be `{short(value.text)}`",
        "not a choice",
        f"did you mean `{near}`?" if near else f"it can be {listed}",
        near,
    )


def _bare(value: Value) -> str:
    if value.kind in ("OP", "TEXT"):
        raise wrong_kind(value, "bare")
    return value.text


def _string(value: Value) -> str:
    if value.kind not in _QUOTED:
        raise wrong_kind(value, "string", f'put it into quotes: `"{short(value.text)}"`')
    return value.text


def _range(value: Value) -> list[int]:
    if value.kind == "NUMBER" and value.text.isdigit() and len(value.text) < 10:
        return [int(value.text)] * 2
    if value.kind != "RANGE" or len(value.text) > 20:
        raise wrong_kind(value, "range")
    low, high = (int(part) for part in value.text.split("-"))
    if low > high:
        raise InvalidValue(
            "J015",
            f"runs backwards from {low} to {high}",
            "the lower number comes first",
            f"write `{high}-{low}`",
            f"{high}-{low}",
        )
    return [low, high]


def _comparison(value: Value) -> str:
    if value.kind != "OP":
        raise wrong_kind(value, "comparison", "write `<`, `<=`, `>`, `>=` or `=`")
    return value.text


def short(text: str) -> str:
    """Return a text as a message shows it."""
    return text if len(text) <= 40 else text[:39] + "…"


# what reads a word or text of each unit; each raises InvalidValue for one of another kind
READERS: dict[str, Callable[[Value], Json]] = {
    "integer": _integer,
    "number": _number,
    "share": _share,
    "seconds": _seconds,
    "period": _period,
    "boolean": _boolean,
    "bare": _bare,
    "string": _string,
    "text": _string,
    "range": _range,
    "comparison": _comparison,
    "rooted": _string,
}
