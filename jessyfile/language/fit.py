"""A quick check whether a value surely fits its schema, so that a recipe without mistakes needs no JSON Schema library.

jsonschema decides, but it takes long to import for a command that answers in a fraction of a second. This module only
says a plain yes. Everything that is not surely right, and every keyword that it does not know, is left to jsonschema.
`tests/language/test_fit.py` compares each yes with jsonschema's. Source: JSON Schema 2020-12, sections 6.1 to 6.5.
"""

from __future__ import annotations

import re
from functools import cache, partial
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
    "object": lambda value: isinstance(value, dict),
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
    "required": lambda names, value: not isinstance(value, dict) or all(name in value for name in names),
    "minProperties": lambda bound, value: not isinstance(value, dict) or len(value) >= bound,
    "maxProperties": lambda bound, value: not isinstance(value, dict) or len(value) <= bound,
}
_SAYS_NOTHING = (
    "$schema",
    "$defs",
    "title",
    "description",
    "default",
    "then",
    "else",
)  # the last two are read with their `if`


def surely_fits(schema: Schema | bool, value: Any, whole: Schema | None = None) -> bool:  # noqa: ANN401 (any JSON value)
    """Return True only where jsonschema would find nothing wrong; False says nothing. `whole` is the schema that `$ref` points into."""
    if isinstance(schema, bool):
        return schema
    top = schema if whole is None else whole
    return all(
        keyword in _SAYS_NOTHING or keyword.startswith("x-") or _holds(keyword, wanted, value, schema, top)
        for keyword, wanted in schema.items()
    )


def errors_of(schema: Schema, value: Any) -> list[Any]:  # noqa: ANN401 (any JSON value; jsonschema ships no types)
    """Return jsonschema's errors in the order of their places; it is imported only where one is likely."""
    if surely_fits(schema, value):
        return []
    from jsonschema import Draft202012Validator

    return sorted(
        Draft202012Validator(schema).iter_errors(value), key=lambda error: list(map(str, error.absolute_path))
    )


def _holds(keyword: str, wanted: Any, value: Any, schema: Schema, top: Schema) -> bool:  # noqa: ANN401 (any JSON value)
    """Whether one keyword surely holds; False where it is not known."""
    fits, fails = partial(surely_fits, whole=top), partial(_surely_fails, top=top)
    match keyword:
        case "items":
            return not isinstance(value, list) or all(fits(wanted, item) for item in value)
        case "anyOf":
            return any(fits(choice, value) for choice in wanted)
        case "oneOf":
            fitting = next((choice for choice in wanted if fits(choice, value)), None)
            return fitting is not None and all(choice is fitting or fails(choice, value) for choice in wanted)
        case "not":
            return fails(wanted, value)
        case "if":
            then = fits(wanted, value) and fits(schema.get("then", True), value)
            return then or (fails(wanted, value) and fits(schema.get("else", True), value))
        case "$ref":
            inner = _named(wanted, top)
            return inner is not None and fits(inner, value)
        case "properties":
            return not isinstance(value, dict) or all(fits(wanted[key], value[key]) for key in value if key in wanted)
        case "additionalProperties":
            known = schema.get("properties", {})
            return not isinstance(value, dict) or all(fits(wanted, value[key]) for key in value if key not in known)
        case "propertyNames":
            return not isinstance(value, dict) or all(fits(wanted, key) for key in value)
    return keyword in _RULES and _RULES[keyword](wanted, value)


def _surely_fails(schema: Schema | bool, value: Any, top: Schema) -> bool:  # noqa: ANN401 (any JSON value)
    """Return True only where jsonschema would find something wrong: another word than the one asked for, here or in a field, or none."""
    if isinstance(schema, bool):
        return not schema
    if isinstance(value, str):
        other = value != schema.get("const", value) or value not in schema.get("enum", (value,))
        return other or surely_fits(schema.get("not", False), value, top)
    if "$ref" in schema:
        inner = _named(schema["$ref"], top)
        return inner is not None and _surely_fails(inner, value, top)
    if not isinstance(value, dict):
        return False
    fields: Schema = schema.get("properties", {})
    absent = any(name not in value for name in schema.get("required", ()))
    return absent or any(key in value and _surely_fails(inner, value[key], top) for key, inner in fields.items())


def _named(reference: str, top: Schema) -> Schema | None:
    """Return the schema under `#/$defs/`; None for a reference of another kind."""
    found: Schema | None = top.get("$defs", {}).get(reference.removeprefix("#/$defs/"))
    return found


def _all_different(values: list[Any]) -> bool:
    return all(isinstance(value, str) for value in values) and len(set(values)) == len(values)
