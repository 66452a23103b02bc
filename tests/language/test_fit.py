"""A quick yes is one that jsonschema gives too; and it is given often enough to be worth having."""

from collections.abc import Iterator
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema.validators import Draft202012Validator

from jessyfile.language.fit import surely_fits
from jessyfile.language.table import document_schema


def fragments(found: Any) -> Iterator[dict[str, Any]]:
    """Every schema of the table, inner ones too."""
    if isinstance(found, dict) and any(
        isinstance(found.get(key), str | list | int) for key in ("type", "enum", "const")
    ):
        yield found
    if isinstance(found, dict | list):
        for inner in found.values() if isinstance(found, dict) else found:
            yield from fragments(inner)


ALL = list(fragments(document_schema()))
WORDS = sorted(
    {str(word) for fragment in ALL for word in fragment.get("enum", ())} | {"", "a", "A b", "http://x", "1.2", "null"}
)
NUMBERS = sorted({fragment[key] for fragment in ALL for key in fragment if key.endswith(("imum", "Length", "Items"))})
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=30), st.sampled_from(WORDS),
    st.sampled_from(NUMBERS), st.sampled_from(NUMBERS).map(lambda n: n + 1), st.sampled_from(NUMBERS).map(lambda n: n - 0.5),
)  # fmt: skip
VALUES = st.one_of(SCALARS, st.lists(SCALARS, max_size=4), st.dictionaries(st.text(max_size=3), SCALARS, max_size=2))


@settings(max_examples=1500)
@given(st.sampled_from(ALL), VALUES)
def test_a_yes_is_jsonschemas_yes(fragment: dict[str, Any], value: Any) -> None:
    if surely_fits(fragment, value):
        assert next(Draft202012Validator(fragment).iter_errors(value), None) is None


def test_a_default_gets_its_yes() -> None:
    plain = [fragment for fragment in ALL if isinstance(fragment.get("default"), str | int | float)]
    refused = [fragment["default"] for fragment in plain if not surely_fits(fragment, fragment["default"])]
    assert len(plain) > 30
    assert not refused


def test_what_is_not_known_is_left_to_the_judge() -> None:
    assert not surely_fits({"type": "string", "format": "uri"}, "x")
    assert not surely_fits({"type": "object"}, {})
