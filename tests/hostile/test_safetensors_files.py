"""A damaged or lying safetensors file is refused in pure Python, before a C++ loader sees it."""

import json
import random
import struct

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from jessyfile.errors import ModelError
from jessyfile.models.safetensors_check import check_safetensors

COUNT = 1000
GOOD = save(
    {"a": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.ones(4, np.float16)}, metadata={"format": "mlx"}
)


def file_of(header: object, body: bytes = b"", text: bytes | None = None) -> bytes:
    data = text if text is not None else json.dumps(header).encode()
    return struct.pack("<Q", len(data)) + data + body


def tensor(dtype="F32", shape=(2,), offsets=(0, 8), **more):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets), **more}


@pytest.mark.parametrize(
    ("what", "data"),
    [
        ("bytes", b""),
        ("header claims", struct.pack("<Q", 2**63)),
        ("header claims", struct.pack("<Q", 10) + b"{}"),
        ("no JSON", file_of(None, text=b"{" * 100_000)),
        ("no JSON", file_of(None, text=b'{"a": "\xff"}')),
        ("no JSON object", file_of([])),
        ("twice", file_of(None, bytes(8), b'{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"a":{}}')),
        ("not described", file_of({"a": 5})),
        ("no texts by name", file_of({"__metadata__": {"format": {}}})),
        ("no texts by name", file_of({"__metadata__": ["format"]})),
        ("not described", file_of({"a": tensor(more=1)}, bytes(8))),
        ("unknown type", file_of({"a": tensor("F31")}, bytes(8))),
        ("unknown type", file_of({"a": tensor([])}, bytes(8))),
        ("no proper shape", file_of({"a": tensor(shape=(-2,))}, bytes(8))),
        ("no proper shape", file_of({"a": tensor(shape=(True,))}, bytes(8))),
        ("no proper shape", file_of({"a": tensor(offsets=(0, 8, 9))}, bytes(8))),
        ("needs", file_of({"a": tensor(shape=(2**40, 2**40))}, bytes(8))),
        ("needs", file_of({"a": tensor(offsets=(8, 0))}, bytes(8))),
        ("begin where", file_of({"a": tensor(), "b": tensor()}, bytes(8))),
        ("begin where", file_of({"a": tensor(offsets=(4, 12))}, bytes(12))),
        ("file at", file_of({"a": tensor()}, bytes(9))),
        ("file at", file_of({"a": tensor()}, bytes(7))),
    ],
)
def test_each_lie_is_named(what, data, tmp_path):
    path = tmp_path / "lie.safetensors"
    path.write_bytes(data)
    with pytest.raises(ModelError, match=what):
        check_safetensors(path)


def test_a_good_file_is_described(tmp_path):
    path = tmp_path / "good.safetensors"
    path.write_bytes(GOOD)
    found = check_safetensors(path)
    assert {name: (one.dtype, one.shape, one.nbytes) for name, one in found.items()} == {
        "a": ("F32", (2, 3), 24),
        "b": ("F16", (4,), 8),
    }


def test_every_truncation_is_refused(tmp_path):
    path = tmp_path / "cut.safetensors"
    for cut in range(len(GOOD)):
        path.write_bytes(GOOD[:cut])
        with pytest.raises(ModelError):
            check_safetensors(path)


def theirs_accepts(path) -> bool:
    try:
        with safe_open(path, "numpy") as file:
            for name in file.keys():  # noqa: SIM118 (no mapping)
                file.get_slice(name).get_shape()
    except (SafetensorError, OSError):
        return False
    return True


def ours_accepts(path) -> bool:
    try:
        check_safetensors(path)
    except ModelError:
        return False
    return True


def test_what_the_formats_own_reader_rejects_we_reject(tmp_path):
    """Over thousands of flipped bytes, nothing passes here that the reference reader refuses."""
    path = tmp_path / "flip.safetensors"
    header = struct.unpack("<Q", GOOD[:8])[0] + 8
    for number in range(COUNT):
        rng = random.Random(number)
        data = bytearray(GOOD)
        for _ in range(rng.choice((1, 1, 2, 4))):
            data[rng.randrange(header)] = rng.choice((*b'{}[]":,0123456789', rng.randrange(256)))
        path.write_bytes(data)
        assert not (ours_accepts(path) and not theirs_accepts(path)), bytes(data[:header])


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=300))
def test_arbitrary_bytes_end_in_one_error_family(data, tmp_path):
    path = tmp_path / "any.safetensors"
    path.write_bytes(data)
    assert ours_accepts(path) <= theirs_accepts(path)
