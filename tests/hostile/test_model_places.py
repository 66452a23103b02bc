"""What stands where a base model should: no file, half of one, a file of another kind. One sentence says what it is, a hint what to
do, and the plan says it already."""

from __future__ import annotations

import os
import socket
import struct
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "models"))

from store_blobs import write_blob
from tiny import tiny_model
from world import context, recipe

from jessyfile.errors import ModelError
from jessyfile.models.base_checks import base_preflight
from jessyfile.models.base_step import run_base
from jessyfile.models.gguf_container import U32, pair_bytes
from jessyfile.models.gguf_reader import read_gguf
from jessyfile.models.model_json import read_json
from jessyfile.models.safetensors_check import check_safetensors
from jessyfile.models.weights import Weights
from jessyfile.planning.preflight import Outlook

PAGE = b"<!DOCTYPE html>\n<html><head><title>Log in</title></head><body>" + b"x" * 500
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"
PICKLE = b"\x80\x02}q\x00(X\x05\x00\x00\x00model" + bytes(100)
TAR = b"model".ljust(257, b"\0") + b"ustar\x0000" + bytes(300)


def listening(place: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(os.path.relpath(place))


def bytes_of(data: bytes) -> Callable[[Path], object]:
    return lambda place: place.write_bytes(data)


def half(place: Path) -> None:
    data = write_blob(place, "gemma3:270m").read_bytes()
    place.write_bytes(data[: len(data) // 2])


def large_and_empty(place: Path) -> None:
    """Write what a download that was given up leaves: all of its size, and no content."""
    with open(place, "wb") as handle:
        handle.truncate(1 << 40)


def part_of_three(place: Path) -> None:
    write_blob(place, "gemma3:270m", with_=(("split.count", U32, 3), ("split.no", U32, 0)))


NO_FILE = {
    "a named pipe": os.mkfifo,
    "a device": lambda place: place.symlink_to("/dev/zero"),
    "a socket": listening,
    "leads nowhere": lambda place: place.symlink_to(place.name),
    "does not exist": lambda place: place.symlink_to("absent"),
    "has no config.json": Path.mkdir,
}
NO_GGUF = {
    "is empty": bytes_of(b""),
    "a web page": bytes_of(PAGE),
    "a Git LFS pointer": bytes_of(POINTER),
    "a ZIP archive": bytes_of(b"PK\x03\x04" + bytes(600)),
    "a tar archive": bytes_of(TAR),
    "a pickle of PyTorch": bytes_of(PICKLE),
    "gzip": bytes_of(b"\x1f\x8b\x08" + bytes(100)),
    "from before GGUF": bytes_of(b"tjgg" + bytes(100)),
    "big-endian": bytes_of(b"GGUF" + struct.pack(">IQQ", 3, 0, 0)),
    "version 1 is neither": bytes_of(b"GGUF" + struct.pack("<III", 1, 0, 0)),
    "a safetensors file": bytes_of(struct.pack("<Q", 300) + b'{"__metadata__":{}}' + bytes(300)),
    "filled with zeros": large_and_empty,
    "file ends first": half,
    "one part of a split": part_of_three,
}


def refused(root: Path, base: str) -> str:
    """Return what plan and step say of a base: the same, with a hint."""
    asked = recipe(root, base=base)
    asked.source = lambda _address: None
    (finding,) = base_preflight(Outlook(asked, root, {"base"}))
    assert finding.severity == "error"
    assert finding.help
    assert finding.message.isprintable()
    if all(path.lstat().st_size < 1 << 30 for path in root.rglob("*")):  # the step hashes a file before it reads it
        with pytest.raises(ModelError) as caught:
            run_base(context(root, asked))
        assert (finding.message, finding.help) == (caught.value.message, caught.value.hint)
    return finding.message


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("says", [*NO_FILE, *NO_GGUF])
def test_what_stands_in_place_of_a_gguf_is_told(says: str, tmp_path: Path) -> None:
    """A pipe was waited on for ever, a device "did not exist", a login page "did not begin with GGUF"."""
    {**NO_FILE, **NO_GGUF}[says](tmp_path / "model.gguf")
    assert says in refused(tmp_path, "./model.gguf")


@pytest.mark.parametrize("file", ["config.json", "model.safetensors", "tokenizer.json"])
@pytest.mark.parametrize(
    "says", ["a named pipe", "a device", "a folder", "a web page", "a Git LFS pointer", "filled with zeros"]
)
def test_what_stands_in_place_of_a_folders_file_is_told(file: str, says: str, tmp_path: Path) -> None:
    """A pipe as config.json was waited on for ever, /dev/zero read until memory ended."""
    place = tiny_model(tmp_path / "model") / file
    place.unlink()
    {**NO_FILE, **NO_GGUF, "a folder": Path.mkdir}[says](place)
    missing = file == "tokenizer.json" and says in ("a named pipe", "a device", "a folder")
    assert ("no tokenizer.json" if missing else says) in refused(tmp_path, "./model")


def test_an_archive_of_pytorch_is_no_model_safetensors(tmp_path: Path) -> None:
    folder = tiny_model(tmp_path / "model")
    (folder / "model.safetensors").write_bytes(b"PK\x03\x04" + bytes(600))
    assert "a ZIP archive, as PyTorch saves weights" in refused(tmp_path, "./model")


@pytest.mark.parametrize(
    ("what", "text"),
    [
        ("byte order mark", b'\xef\xbb\xbf{"model_type": "llama"}'),
        ("byte order mark", '{"model_type": "llama"}'.encode("utf-16")),
        ("not UTF-8 at byte 16", b'{"model_type": "\xff"}'),
        ("has the key `model_type` twice", b'{"model_type": "llama", "model_type": "gemma"}'),
        ("holds NaN, which JSON does not have", b'{"rope_theta": NaN}'),
        ("out of range", b'{"rope_theta": 1e999}'),
        ("surrogate", b'{"model_type": "\\ud800"}'),
        ("nested too deep", b'{"a": ' + b"[" * 100_000),
        ("nested too deep", b'{"a": ' + b"[" * 65 + b"]" * 65 + b"}"),
        ("no JSON object", b"[]"),
        ("more than 16 MiB", b" " * (1 << 24) + b"{}"),
        ("malformed at hidden_size: expected `int`", b'{"hidden_size": "640"}'),
        ("malformed at hidden_size: expected `int` <= 2147483648", b'{"hidden_size": 1099511627776}'),
        ("malformed at num_hidden_layers: expected `int` <= 1024", b'{"num_hidden_layers": 1000000000}'),
        ("malformed at num_attention_heads: expected `int` >= 1", b'{"num_attention_heads": 0}'),
        ("malformed at layer_types[1]", b'{"layer_types": ["full_attention", 2]}'),
        ("malformed at text_config.rope_theta", b'{"text_config": {"rope_theta": -1}}'),
    ],
)
def test_each_thing_that_is_no_config_json_is_named(what: str, text: bytes, tmp_path: Path) -> None:
    """Numbers written as texts and a billion layers reached the model's own code; of a name that stands twice the last one counted."""
    (tmp_path / "config.json").write_bytes(text)
    with pytest.raises(ModelError) as caught:
        read_json(tmp_path / "config.json")
    assert what in caught.value.message
    assert caught.value.hint


def test_a_file_that_becomes_shorter_while_it_is_read_ends_in_an_error(tmp_path: Path) -> None:
    """A fetch that began anew cut the file off, and the process that had it mapped into memory died of SIGBUS."""
    file = read_gguf(write_blob(tmp_path / "model.gguf", "llama3.2:1b"))
    folder = tiny_model(tmp_path / "model")
    weights, tensor = Weights(folder), file.tensors["blk.2.ffn_norm.weight"]
    for path in (tmp_path / "model.gguf", folder / "model.safetensors"):
        os.truncate(path, 4096)
    for read in (lambda: file.stored(tensor), lambda: weights.read("model.norm.weight")):
        with pytest.raises(ModelError, match="became shorter while it was read"):
            read()


def test_a_header_that_ends_while_it_is_read_ends_in_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_blob(tmp_path / "model.gguf", "llama3.2:1b")
    size = path.stat().st_size
    os.truncate(path, 700)
    monkeypatch.setattr("jessyfile.models.gguf_reader.os.fstat", lambda _: SimpleNamespace(st_size=size))
    with pytest.raises(ModelError, match=r"became shorter while it was read, at byte 700"):
        read_gguf(path)


def test_a_header_of_gigabytes_is_not_read(tmp_path: Path) -> None:
    """Sixteen megabytes describe more tensors than any model has; a hundred were read and became gigabytes of objects."""
    place = tmp_path / "model.safetensors"
    with open(place, "wb") as handle:
        handle.write(struct.pack("<Q", 90_000_000) + b"{")
        handle.truncate(1 << 40)
    with pytest.raises(ModelError, match="header claims 90000000 bytes"):
        check_safetensors(place)


def test_texts_of_a_file_stay_short_in_messages(tmp_path: Path) -> None:
    """A name of 60,000 letters filled the screen."""
    key = "k" * 60_000
    data = b"GGUF" + struct.pack("<IQQ", 3, 0, 2) + 2 * pair_bytes(key, U32, 1)
    (tmp_path / "model.gguf").write_bytes(data)
    assert len(refused(tmp_path, "./model.gguf")) < 300
