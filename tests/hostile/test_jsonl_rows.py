"""A row that is JSON but no row is refused by the schema with its file, its line and a sentence that names the
field."""

from __future__ import annotations

import json

import pytest

from jessyfile.dataset.rows import read_rows

GOOD = {
    "query": "naber",
    "response": "İyiyim, sen nasılsın?",
    "complexity": "low",
    "iterations": 1,
    "category": "turkish",
    "topic": "casual",
    "language": "tr",
    "tags": [],
    "source": "hand",
}
USER, ANSWER = {"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}
BROKEN = {
    "unknown field": ({"answer": "x"}, "unknown field `answer`"),
    "short response": ({"response": "Olur."}, "`response` has 5 characters"),
    "empty query": ({"query": ""}, "`query` has 0 characters"),
    "level": ({"complexity": "hard"}, '`complexity` is "hard", not one of low, medium, high'),
    "iterations too many": ({"iterations": 10}, "`iterations` is 10, more than 9"),
    "iterations a float": ({"iterations": 1.5}, "`iterations` is not integer"),
    "iterations true": ({"iterations": True}, "`iterations` is not integer"),
    "query a list": ({"query": ["a"]}, "`query` is not string"),
    "language": ({"language": "klingon"}, "`language` is"),
    "path as a topic": ({"topic": "../../etc"}, "`topic` is"),
    "tag twice": ({"tags": ["persona", "persona"]}, "`tags` holds an item twice"),
    "answer without level": ({"turns": [USER, ANSWER]}, "`turns.1` lacks `complexity`, `iterations`"),
    "system turn": ({"turns": [{"role": "system", "content": "x"}]}, "`turns.0.role` is"),
    "marker with a response": ({"category": "markers"}, "`response` does not belong in a marker row"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_row_is_a_fault_that_names_the_field(tmp_path, name):
    change, expected = BROKEN[name]
    path = tmp_path / "casual.jsonl"
    path.write_text(json.dumps(GOOD) + "\n" + json.dumps(GOOD | change) + "\n", "utf-8")
    good, *faults = read_rows(path, "casual.jsonl")
    assert good.place == "casual.jsonl:1"
    assert any(str(fault).startswith("casual.jsonl:2: ") and expected in fault.message for fault in faults)


def test_a_missing_field_is_named(tmp_path):
    path = tmp_path / "casual.jsonl"
    path.write_text(json.dumps({key: value for key, value in GOOD.items() if key != "language"}) + "\n", "utf-8")
    (fault,) = read_rows(path, "casual.jsonl")
    assert fault.message == "lacks `language`, which `jessy data import` derives"


def test_a_fault_never_repeats_more_than_a_few_words_of_the_row(tmp_path):
    path = tmp_path / "casual.jsonl"
    path.write_text(json.dumps(GOOD | {"complexity": "x" * 100_000}) + "\n", "utf-8")
    (fault,) = read_rows(path, "casual.jsonl")
    assert len(str(fault)) < 200
