"""A truncated, flipped or lying GGUF ends in ModelError that names a place, in bounded time and memory."""

import dataclasses
import random
import struct
import sys
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parents[1] / "models"))

from tiny import tiny_model

from jessyfile.errors import ModelError
from jessyfile.export.gguf_writer import write_gguf
from jessyfile.models.from_gguf import convert_gguf
from jessyfile.models.gguf_container import ARRAY, STRING, U32, pair_bytes
from jessyfile.models.gguf_reader import read_gguf
from jessyfile.models.tokenizer_build import tokenizer_json

COUNT = 300


@pytest.fixture(scope="module")
def good(tmp_path_factory) -> bytes:
    folder = tmp_path_factory.mktemp("good")
    tiny_model(folder / "model")
    write_gguf(folder / "model", folder / "model.gguf", "q8_0", lambda *_: None)
    return (folder / "model.gguf").read_bytes()


def test_every_truncation_is_refused_with_a_place(good, tmp_path):
    rng = random.Random(1)
    cuts = [*range(64), *(rng.randrange(len(good)) for _ in range(COUNT)), len(good) - 33]
    for cut in cuts:
        path = tmp_path / "cut.gguf"
        path.write_bytes(good[:cut])
        with pytest.raises(ModelError, match=r"byte|empty"):
            read_gguf(path)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=400))
def test_arbitrary_bytes_after_the_magic_are_refused(data, tmp_path):
    path = tmp_path / "any.gguf"
    path.write_bytes(b"GGUF" + data)
    try:
        read_gguf(path)
    except ModelError:
        return
    assert data[:4] in (b"\x02\0\0\0", b"\x03\0\0\0")


def container(keys: list[bytes], table: bytes = b"", tensors: int = 0) -> bytes:
    return b"GGUF" + struct.pack("<IQQ", 3, tensors, len(keys)) + b"".join(keys) + table


def entry(name: bytes, sizes: tuple[int, ...], kind: int, offset: int) -> bytes:
    return struct.pack("<Q", len(name)) + name + struct.pack(f"<I{len(sizes)}QIQ", len(sizes), *sizes, kind, offset)


@pytest.mark.parametrize(
    ("what", "data"),
    [
        ("begin with GGUF", b"GGML" + bytes(40)),
        ("version", b"GGUF" + struct.pack("<IQQ", 1, 0, 0)),
        ("big-endian", b"GGUF" + struct.pack(">IQQ", 3, 0, 0)),
        ("tensors", b"GGUF" + struct.pack("<IQQ", 3, 2**40, 0)),
        ("keys", b"GGUF" + struct.pack("<IQQ", 3, 0, 2**40)),
        ("twice", container([pair_bytes("a.b", U32, 1), pair_bytes("a.b", U32, 2)])),
        ("not UTF-8", container([struct.pack("<Q", 2) + b"\xff\xfe" + struct.pack("<II", U32, 1)])),
        ("unknown type", container([struct.pack("<Q", 1) + b"a" + struct.pack("<II", 99, 1)])),
        ("list of the unknown type", container([struct.pack("<Q", 1) + b"a" + struct.pack("<IIQ", ARRAY, ARRAY, 1)])),
        ("alignment", container([pair_bytes("general.alignment", U32, 12)])),
        ("alignment", container([pair_bytes("general.alignment", STRING, "32")])),
        ("dimensions", container([], entry(b"t", (1,) * 5, 0, 0), 1)),
        ("impossible shape", container([], entry(b"t", (0, 4), 0, 0), 1)),
        ("impossible shape", container([], entry(b"t", (2**62, 2**62), 0, 0), 1)),
        ("unknown type", container([], entry(b"t", (32,), 77, 0), 1)),
        ("impossible shape", container([], entry(b"t", (33,), 8, 0), 1)),
        ("file ends first", container([], entry(b"t", (32,), 0, 0), 1)),
        ("inside another", container([], entry(b"t", (32,), 0, 0) + entry(b"u", (32,), 0, 32), 2) + bytes(400)),
        ("off its alignment", container([], entry(b"t", (8,), 0, 4), 1) + bytes(400)),
        ("twice", container([], entry(b"t", (8,), 0, 0) + entry(b"t", (8,), 0, 32), 2) + bytes(400)),
        ("more than 64", container([], entry(b"t" * 65, (8,), 0, 0), 1) + bytes(400)),
    ],
)
def test_each_lie_is_named(what, data, tmp_path):
    path = tmp_path / "lie.gguf"
    path.write_bytes(data)
    with pytest.raises(ModelError, match=what):
        read_gguf(path)


def test_control_characters_of_a_name_do_not_reach_the_message(tmp_path):
    """A tensor's name could hold an escape sequence that moves the cursor or sets the title of the terminal."""
    path = tmp_path / "escape.gguf"
    path.write_bytes(container([], entry(b"\x1b]0;owned\x07", (32,), 77, 0), 1))
    with pytest.raises(ModelError) as caught:
        read_gguf(path)
    assert "\x1b" not in caught.value.message


def test_a_million_empty_texts_take_no_more_than_seconds(tmp_path):
    """An array of empty strings is the cheapest way to make a reader build objects."""
    count = 1 << 20
    key = struct.pack("<Q", 1) + b"a" + struct.pack("<IIQ", ARRAY, STRING, count) + bytes(8 * count)
    path = tmp_path / "many.gguf"
    path.write_bytes(container([key]))
    started = time.perf_counter()
    read_gguf(path)
    assert time.perf_counter() - started < 5
    path.write_bytes(
        container([struct.pack("<Q", 1) + b"a" + struct.pack("<IIQ", ARRAY, STRING, 1 << 23) + bytes(8 << 23)])
    )
    with pytest.raises(ModelError, match="more than"):
        read_gguf(path)


def test_a_missing_block_is_named(good, tmp_path):
    """One weight has another name: the conversion says which part of which block is missing."""
    path = tmp_path / "lacks.gguf"
    path.write_bytes(good.replace(b"blk.1.ffn_down.weight", b"blk.1.ffn_dawn.weight"))
    with pytest.raises(ModelError, match=r"down_proj of block 1"):
        convert_gguf(path, tmp_path)


def with_vocabulary(good, path, **changes):
    """Return the good file's header with other tokenizer keys."""
    path.write_bytes(good)
    file = read_gguf(path)
    keys = {f"tokenizer.ggml.{name}": value for name, value in changes.items()}
    return dataclasses.replace(file, metadata={**file.metadata, **keys})


@pytest.mark.parametrize("number", [-1, 2**32 - 1, 10_000])
def test_an_unknown_token_outside_of_the_vocabulary_is_named(number, good, tmp_path):
    """It ended as an IndexError, a bug in jessy."""
    with pytest.raises(ModelError, match=f"names token {number} for the unknown"):
        tokenizer_json(with_vocabulary(good, tmp_path / "lie.gguf", unknown_token_id=number))


def test_a_vocabulary_entry_of_a_megabyte_is_refused_at_once(good, tmp_path):
    """Its pairs were looked for at every cut, each a copy of the entry: minutes for a megabyte."""
    tokens = list(read_gguf(with_vocabulary(good, tmp_path / "a.gguf").path).metadata["tokenizer.ggml.tokens"])
    start = time.perf_counter()
    with pytest.raises(ModelError, match="entry of 1000000 characters"):
        tokenizer_json(with_vocabulary(good, tmp_path / "b.gguf", tokens=[*tokens[:-1], "a" * 1_000_000]))
    assert time.perf_counter() - start < 5
    assert tokenizer_json(with_vocabulary(good, tmp_path / "c.gguf", tokens=[*tokens[:-1], "▁" * 1000]))
