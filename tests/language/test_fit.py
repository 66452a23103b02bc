"""A quick yes is one that jsonschema gives too; and it is given often enough to be worth having."""

import copy
import json
import random
from collections.abc import Iterator
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema.validators import Draft202012Validator

from jessyfile.language.fit import surely_fits
from jessyfile.language.table import document_schema
from jessyfile.resources import resource


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
    assert not surely_fits({"type": "object", "patternProperties": {}}, {})


CASES = json.loads(resource("grammar", "case.schema.json").read_text("utf-8"))
SHIPPED = [
    json.loads(line)
    for path in sorted(resource("data", "eval").glob("*.jsonl"))
    for line in path.read_bytes().splitlines()
]
KEYS = sorted(
    {key for case in SHIPPED for check in case.get("relevance", ()) for key in check} | {"role", "min", "right"}
)


def test_every_shipped_case_gets_its_yes() -> None:
    assert len(SHIPPED) > 600
    assert not [case["id"] for case in SHIPPED if not surely_fits(CASES, case)]


def broken(case: dict[str, Any], draw: random.Random) -> dict[str, Any]:
    """A case of which something somewhere was taken out, added or written otherwise."""
    case = copy.deepcopy(case)
    places = [case, *case.get("turns", ()), *case.get("form", ()), *case.get("relevance", ())]
    for place in draw.choices(places, k=draw.randint(1, 2)):
        key = draw.choice([*place, *KEYS])
        if draw.random() < 0.3:
            place.pop(key, None)
        else:
            words = [
                "low",
                "any_of",
                "at_least",
                "json",
                "user",
                "own_check",
                "",
                0,
                1,
                2.5,
                None,
                True,
                [],
                ["a"],
                [["a"], ["b"]],
                {"a": None},
            ]
            place[key] = draw.choice(words)
    return case


def test_a_yes_for_a_case_is_jsonschemas_yes() -> None:
    judge, draw = Draft202012Validator(CASES), random.Random(3)
    tried = [broken(draw.choice(SHIPPED), draw) for _ in range(1500)]
    yes = [case for case in tried if surely_fits(CASES, case)]
    assert 50 < len(yes) < 1000
    assert not [case for case in yes if not judge.is_valid(case)]
