"""A file of rows is untrusted: whatever stands in it ends in a fault with file and line, in bounded memory."""

from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jessyfile.text.json_lines import MAX_FAULTS, Fault, Line, parse_object, read_jsonl

GOOD = b'{"query": "naber"}\n'
BOMBS = {
    "nesting": (b'{"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "nested deeper"),
    "nested objects": (b'{"a":' * 5000 + b"1" + b"}" * 5000, "nested deeper"),
    "unclosed nesting": (b"[" * 900_000, "nested deeper"),
    "huge integer": (b'{"a": ' + b"9" * 5000 + b"}", "5000 digits"),
    "negative huge integer": (b'{"a": -' + b"9" * 5000 + b"}", "5000 digits"),
    "long float": (b'{"a": 0.' + b"1" * 5000 + b"}", "out of range"),
    "infinite float": (b'{"a": 1e999}', "out of range"),
    "NaN": (b'{"a": NaN}', "NaN"),
    "Infinity": (b'{"a": -Infinity}', "Infinity"),
    "lone surrogate": (b'{"a": "\\ud800"}', "surrogate"),
    "lone surrogate in a key": (b'{"\\udfff": 1}', "surrogate"),
    "deep lone surrogate": (b'{"a": [{"b": "x\\udc00y"}]}', "surrogate"),
    "duplicate key": (b'{"query": "a", "query": "b"}', "`query` twice"),
    "nested duplicate key": (b'{"a": {"b": 1, "b": 2}}', "`b` twice"),
    "not UTF-8": (b'{"a": "\xff\xfe"}', "not UTF-8"),
    "overlong UTF-8": (b'{"a": "\xc0\xaf"}', "not UTF-8"),
    "UTF-8 surrogate": (b'{"a": "\xed\xa0\x80"}', "not UTF-8"),
    "an array": (b"[1, 2]", "not a JSON object"),
    "a string": (b'"x"', "not a JSON object"),
    "cut off": (b'{"a": "b', "not JSON"),
    "raw control character": (b'{"a": "\x01"}', "not JSON"),
    "trailing text": (b'{"a": 1} {"b": 2}', "not JSON"),
    "line over the limit": (b'{"a": "' + b"x" * (2 << 20) + b'"}', "longer than"),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_one_fault_with_its_line_and_reading_goes_on(tmp_path, name):
    bomb, expected = BOMBS[name]
    path = tmp_path / "rows.jsonl"
    path.write_bytes(GOOD + bomb + b"\n" + GOOD)
    first, fault, last = read_jsonl(path, "rows.jsonl")
    assert isinstance(first, Line)
    assert isinstance(last, Line)
    assert isinstance(fault, Fault)
    assert str(fault).startswith("rows.jsonl:2: ")
    assert expected in fault.message
    assert len(str(fault)) < 300


def test_a_byte_order_mark_is_named(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b"\xef\xbb\xbf" + GOOD)
    (fault,) = read_jsonl(path)
    assert "byte order mark" in fault.message


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be"])
def test_another_encoding_is_named_once(tmp_path, encoding):
    """A shell that redirects in UTF-16 gave a fault a line, each about a byte."""
    path = tmp_path / "rows.jsonl"
    path.write_bytes(("\ufeff" * (encoding == "utf-16-be") + '{"query": "naber"}\n' * 3).encode(encoding))
    (fault,) = read_jsonl(path)
    assert "UTF-16" in fault.message


def test_a_line_of_one_gigabyte_is_read_past_in_bounded_memory(tmp_path):
    path = tmp_path / "rows.jsonl"
    with open(path, "wb") as handle:
        handle.truncate(1 << 30)
        handle.seek(0, 2)
        handle.write(b"\n" + GOOD)
    tracemalloc.start()
    try:
        fault, line = read_jsonl(path, "rows.jsonl")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert "longer than" in fault.message
    assert (line.number, line.value) == (2, {"query": "naber"})
    assert peak < 16 << 20


def test_reading_stops_after_a_hundred_faults(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b"x\n" * 10_000)
    faults = list(read_jsonl(path))
    assert len(faults) == MAX_FAULTS + 1
    assert "stopped" in faults[-1].message


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.binary(max_size=200), st.text(alphabet='{}[]":,\\u019eNaIfty \n\té', max_size=120).map(str.encode)))
def test_any_bytes_are_an_object_or_a_value_error(raw):
    try:
        value = parse_object(raw)
    except ValueError:
        return
    assert isinstance(value, dict)
    "".join(map(str, value)).encode("utf-8")
