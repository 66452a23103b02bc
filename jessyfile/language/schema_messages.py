"""What jsonschema finds, in the words of a recipe."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jessyfile.language.table import Address, Schema

_BOUNDS = {
    "minimum": ("J015", "is below {}", "too small", "the smallest is {}"),
    "maximum": ("J015", "is above {}", "too large", "the largest is {}"),
    "exclusiveMinimum": ("J015", "must be above {}", "too small", "write a number above {}"),
    "exclusiveMaximum": ("J015", "must be below {}", "too large", "write a number below {}"),
    "minLength": ("J015", "is empty", "nothing in it", "write at least {} character"),
    "maxLength": ("J015", "is longer than {} characters", "too long", "shorten it"),
    "minItems": ("J012", "needs {} values", "too few", "add what is missing"),
    "maxItems": ("J013", "takes {} values", "too many", "delete what is too much"),
    "uniqueItems": ("J011", "names something twice", "twice in here", "keep one of each"),
    "const": (
        "J018",
        "is {} in every recipe that this jessy reads",
        "unknown version",
        "write `JESSY {}`, or install a newer jessy",
    ),
    "pattern": ("J021", "is not of the form it needs", "not of that form", "it must match {}"),
    "enum": ("J016", "is not one of its choices", "not a choice", "it can be {}"),
}


def _number(limit: Any) -> str:  # noqa: ANN401 (whatever the schema holds)
    return (
        f"{limit:,}".replace(",", "_")
        if isinstance(limit, int) and not isinstance(limit, bool) and limit >= 100_000
        else str(limit)
    )


def explain_error(error: Any) -> tuple[str, str, str, str]:  # noqa: ANN401 (jsonschema is untyped here)
    """Return a schema violation as code, the end of a sentence, a label and a help."""
    code, sentence, label, helps = _BOUNDS.get(
        error.validator, ("J014", "is of the wrong kind", "unexpected", "look it up with `jessy schema`")
    )
    limit = (
        _number(error.validator_value)
        if not isinstance(error.validator_value, list)
        else ", ".join(map(str, error.validator_value))
    )
    if error.validator == "pattern":
        helps = _PATTERNS.get(error.validator_value, helps)
    return code, sentence.format(limit), label, helps.format(limit) if "{}" in helps else helps


_PATTERNS = {
    "^https?://[^/]": "write an address like `http://127.0.0.1:11434`",
    "^[A-Za-z_][A-Za-z0-9_]*$": "name an environment variable, as `API_KEY`",
    "^[a-z][a-z0-9_-]*$": "write lower-case letters, digits, `_` and `-`",
    "^[0-9]+(\\.[0-9]+){0,2}(-[0-9A-Za-z.-]+)?$": "write a version like `0.17.1`",
    "^[a-zA-Z0-9][a-zA-Z0-9_-]*([./][a-zA-Z0-9][a-zA-Z0-9_-]*)*$": "use letters a to z, digits, `-`, `_` and `.`; "
    "the engine knows no others",
}


def missing_parts(schema: Schema, document: Any, at: Address = ()) -> Iterator[tuple[Address, str]]:  # noqa: ANN401 (JSON)
    """Yield the place and the name of what is required and not there; the values themselves were judged as they were read."""
    if not isinstance(document, dict):
        return
    yield from ((at, name) for name in schema.get("required", ()) if name not in document)
    extra = schema.get("additionalProperties")
    for name, value in document.items():
        inner = schema.get("properties", {}).get(name, extra)
        if isinstance(inner, dict):
            yield from missing_parts(inner, value, (*at, name))
