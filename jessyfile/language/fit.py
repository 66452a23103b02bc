"""A quick check whether a value surely fits its schema, so that a recipe without mistakes needs no JSON Schema library.

jsonschema decides, but it takes long to import for a command that answers in a fraction of a second. This module only
says a plain yes. Everything that is not surely right, and every keyword that it does not know, is left to jsonschema.
`tests/language/test_fit.py` compares each yes with jsonschema's. Source: JSON Schema 2020-12, sections 6.1 to 6.5.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from jessyfile.language.table import Schema


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)


def _is_number(value: Any) -> bool:  # noqa: ANN401 (any JSON value)
    return isinstance(value, int | float) and not isinstance(value, bool)


_TYPES: dict[str, Callable[[Any], bool]] = {
    "string": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "number": _is_number,
    "null": lambda value: value is None,
    "array": lambda value: isinstance(value, list),
}
_RULES: dict[str, Callable[[Any, Any], bool]] = {
    "type": lambda wanted, value: any(
        name in _TYPES and _TYPES[name](value) for name in ([wanted] if isinstance(wanted, str) else wanted)
    ),
    "enum": lambda choices, value: isinstance(value, str | None) and value in choices,
    "const": lambda wanted, value: type(value) is type(wanted) and value == wanted,
    "minimum": lambda bound, value: not _is_number(value) or value >= bound,
    "maximum": lambda bound, value: not _is_number(value) or value <= bound,
    "exclusiveMinimum": lambda bound, value: not _is_number(value) or value > bound,
    "exclusiveMaximum": lambda bound, value: not _is_number(value) or value < bound,
    "minLength": lambda bound, value: not isinstance(value, str) or len(value) >= bound,
    "maxLength": lambda bound, value: not isinstance(value, str) or len(value) <= bound,
    "pattern": lambda pattern, value: not isinstance(value, str) or _compiled(pattern).search(value) is not None,
    "minItems": lambda bound, value: not isinstance(value, list) or len(value) >= bound,
    "maxItems": lambda bound, value: not isinstance(value, list) or len(value) <= bound,
    "uniqueItems": lambda wanted, value: not wanted or not isinstance(value, list) or _all_different(value),
    "items": lambda inner, value: not isinstance(value, list) or all(surely_fits(inner, item) for item in value),
    "anyOf": lambda choices, value: any(surely_fits(choice, value) for choice in choices),
}
_SAYS_NOTHING = ("description", "default")


def surely_fits(schema: Schema, value: Any) -> bool:  # noqa: ANN401 (any JSON value)
    """Return True only where jsonschema would find nothing wrong; False says nothing."""
    return all(
        keyword in _SAYS_NOTHING or keyword.startswith("x-") or (keyword in _RULES and _RULES[keyword](wanted, value))
        for keyword, wanted in schema.items()
    )


def _all_different(values: list[Any]) -> bool:
    return all(isinstance(value, str) for value in values) and len(set(values)) == len(values)
