"""Model files as nobody should have made them: one number makes one mutant, the same on every machine.

A mutant is a valid tiny model (a GGUF, a folder, an adapter, a store's manifest) with one to three things wrong: a bit, a cut, a
splice, a count or an offset at the edge of its type, a value of another type, a name twice, a hostile text, number or JSON.
"""

from __future__ import annotations

import json
import math
import random
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

Files = dict[str, bytes]  # by path below the project's root
EDGES = (0, 1, 2, 3, 7, 255, 2**16, 2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**40, 2**62, 2**63 - 1, 2**63, 2**64 - 1)
FLOATS = (math.nan, math.inf, -math.inf, 0.0, -1.0, 1e-45, 1e38, -0.0, 3.5)
TEXTS = (
    "", " ", "\0", "a\0b", "\x1b]0;owned\x07", "a\nb", "\u202e", "x" * 70_000, "../../x", "/etc/passwd", "%s%n", "▁" * 2000,
    "é" * 300, "\ufeff", "<0xFF>", "<0xZZ>", "(a+)+$", "{{ 7*7 }}", "nan", "-1", "12", "true", "float32", "🙂" * 50,
)  # fmt: skip
JSONS: tuple[Any, ...] = (
    None, True, False, -1, 0.5, -0.5, 1e308, math.nan, math.inf, -math.inf, "\ud800", "a\ud800b",
    [], {}, [[]], [None], {"": None}, [1, "a"], {"a": 1}, 10**30, -(2**63), *EDGES, *TEXTS,
)  # fmt: skip


@dataclass(frozen=True)
class Mutant:
    """One project folder: which seed it was, what was done to it, and its files."""

    number: int
    seed: str
    done: tuple[str, ...]
    files: Files


def mutant(number: int, seeds: dict[str, Files]) -> Mutant:
    """Return the mutant of this number."""
    rng = random.Random(number)
    seed = rng.choice(sorted(seeds))
    found = Mutant(number, seed, (), dict(seeds[seed]))
    for _ in range(rng.choice((1, 1, 1, 1, 2, 3))):
        found = _changed(rng, found, seeds)
    return found


def _changed(rng: random.Random, found: Mutant, seeds: dict[str, Files]) -> Mutant:
    path = rng.choice([name for name in sorted(found.files) if "/sha256-" not in name] or [""])
    if not path:
        return found
    if rng.random() < 0.03:
        return replace(
            found, done=(*found.done, f"without {path}"), files={k: v for k, v in found.files.items() if k != path}
        )
    data = found.files[path]
    ways: Sequence[Callable[[random.Random, bytes], tuple[str, bytes]]] = _ways(path)
    way = rng.choice(ways)
    if rng.random() < 0.04:
        other = rng.choice(sorted(seeds))
        twin = seeds[other].get(path) or b"".join(rng.choice(sorted(seeds[other].items()))[1:])
        what, data = f"of {other}", rng.choice((twin, _spliced(rng, data, twin)))
    else:
        what, data = way(rng, data)
    return replace(found, done=(*found.done, f"{path}: {what}"), files={**found.files, path: data})


def _ways(path: str) -> Sequence[Callable[[random.Random, bytes], tuple[str, bytes]]]:
    if path.endswith(".gguf") or "/sha256-" in path:
        return (
            _bytes,
            _gguf_field,
            _gguf_field,
            _gguf_key,
            _gguf_key,
            _gguf_key,
            _gguf_tokens,
            _gguf_tokens,
            _gguf_tensor,
            _gguf_tensor,
        )
    if path.endswith(".safetensors"):
        return (_bytes, _safetensors_header, _safetensors_header, _safetensors_header, _safetensors_data)
    if path.endswith("tokenizer.json"):
        return (_json_text, _json_path, _tokenizer, _tokenizer, _tokenizer)
    if path.endswith("config.json"):
        return (_json_text, _json_path, _json_path, _config, _config)
    return (_json_text, _json_path, _json_path)


# bytes


def _bytes(rng: random.Random, data: bytes) -> tuple[str, bytes]:
    way = rng.choice(("bits", "cut", "splice", "grow", "empty", "zeros", "front"))
    front = rng.randrange(max(1, min(len(data), 2000)))
    if way == "bits":
        changed = bytearray(data)
        for _ in range(rng.choice((1, 1, 2, 8, 64))):
            if changed:
                changed[rng.choice((rng.randrange(len(changed)), min(front, len(changed) - 1)))] ^= 1 << rng.randrange(
                    8
                )
        return "bits", bytes(changed)
    if way == "cut":
        return way, data[: rng.choice((front, rng.randrange(len(data) + 1)))]
    if way == "splice":
        return way, _spliced(rng, data, data)
    if way == "grow":
        return way, data + rng.randbytes(rng.choice((1, 8, 4096)))
    if way == "zeros":
        return way, data[:front] + bytes(len(data) - front)
    return way, b"" if way == "empty" else rng.choice(FRONTS) + data[rng.choice((0, 4, 16)) :]


FRONTS = (
    b"<!DOCTYPE html><html>", b"PK\x03\x04", b"\x80\x02}q\x00", b"version https://git-lfs.github.com/spec/v1\n", b"GGUF\x00\x00\x00\x03",
    b"GGUF\x01\x00\x00\x00", b"ggjt", b"\xef\xbb\xbf", b"\x1f\x8b\x08", b"\x00" * 16, b"\xff" * 16, b"{" * 3000,
)  # fmt: skip


def _spliced(rng: random.Random, one: bytes, two: bytes) -> bytes:
    at, start = rng.randrange(len(one) + 1), rng.randrange(len(two) + 1)
    return one[:at] + two[start : start + rng.choice((1, 8, 100, 5000))] + one[at + rng.choice((0, 0, 8, 100)) :]


# GGUF

SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "B", 10: "Q", 11: "q", 12: "d"}
STRING, ARRAY = 8, 9


@dataclass(frozen=True)
class Parts:
    """A valid GGUF taken apart: keys as bytes of type and value, the table's entries, its data, where its numbers stand."""

    keys: tuple[tuple[bytes, bytes], ...]
    table: tuple[tuple[bytes, tuple[int, ...], int, int], ...]
    data: bytes
    numbers: tuple[tuple[int, int], ...]

    def joined(self) -> bytes:
        head = b"GGUF" + struct.pack("<IQQ", 3, len(self.table), len(self.keys))
        head += b"".join(_text(key) + value for key, value in self.keys)
        for name, sizes, kind, offset in self.table:
            head += _text(name) + struct.pack(f"<I{len(sizes)}QIQ", len(sizes), *sizes, kind, offset)
        return head + bytes(-len(head) % 32) + self.data


def _text(data: bytes) -> bytes:
    return struct.pack("<Q", len(data)) + data


class _Walk:
    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0
        self.numbers: list[tuple[int, int]] = []

    def number(self, code: str) -> Any:
        size = struct.calcsize("<" + code)
        self.numbers.append((self.at, size))
        self.at += size
        return struct.unpack_from("<" + code, self.data, self.at - size)[0]

    def text(self) -> bytes:
        length = self.number("Q")
        self.at += length
        return self.data[self.at - length : self.at]

    def value(self, kind: int) -> None:
        if kind == STRING:
            self.text()
        elif kind == ARRAY:
            inner, count = self.number("I"), self.number("Q")
            marked = len(self.numbers)
            for _ in range(count):
                self.value(inner)
            del self.numbers[marked + 30 :]
        else:
            self.number(SCALARS[kind])


def parts(data: bytes) -> Parts | None:
    """Take a GGUF apart; None for one that an earlier mutation has broken."""
    walk = _Walk(data)
    try:
        walk.at = 4
        _, tensors, count = walk.number("I"), walk.number("Q"), walk.number("Q")
        keys = []
        for _ in range(min(count, 1000)):
            key, start = walk.text(), walk.at
            walk.value(walk.number("I"))
            keys.append((key, data[start : walk.at]))
        table = []
        for _ in range(min(tensors, 1000)):
            name = walk.text()
            sizes = tuple(walk.number("Q") for _ in range(min(walk.number("I"), 9)))
            table.append((name, sizes, walk.number("I"), walk.number("Q")))
    except (struct.error, KeyError, OverflowError, MemoryError):
        return None
    return Parts(tuple(keys), tuple(table), data[-(-walk.at // 32) * 32 :], tuple(walk.numbers))


def _gguf_field(rng: random.Random, data: bytes) -> tuple[str, bytes]:
    found = parts(data)
    if found is None:
        return _bytes(rng, data)
    at, size = rng.choice(found.numbers)
    number = rng.choice(
        (*EDGES, len(data), len(data) - at, struct.unpack("<q", data[at : at + size].ljust(8, b"\0"))[0] + 1)
    )
    return f"the number at {at}", data[:at] + struct.pack("<Q", number % 2**64)[:size] + data[at + size :]


def _any_value(rng: random.Random, depth: int = 0) -> bytes:
    kind = rng.choice((*SCALARS, STRING, STRING, *(() if depth > 3 else (ARRAY, ARRAY))))
    return struct.pack("<I", kind) + _any_of(rng, kind, depth)


def _any_of(rng: random.Random, kind: int, depth: int = 0) -> bytes:
    if kind == STRING:
        return _text(_hostile_bytes(rng))
    if kind == ARRAY:
        inner = rng.choice((*SCALARS, STRING, ARRAY)) if depth < 3 else 4
        items = [_any_of(rng, inner, depth + 1) for _ in range(rng.choice((0, 1, 2, 6, 40)))]
        return struct.pack("<IQ", inner, len(items)) + b"".join(items)
    code = SCALARS[kind]
    if code in "fd":
        return struct.pack("<" + code, rng.choice(FLOATS))
    return struct.pack("<Q", rng.choice(EDGES))[: struct.calcsize(code)]


def _hostile_bytes(rng: random.Random) -> bytes:
    return rng.choice(
        (
            *(text.encode() for text in TEXTS),
            b"\xff\xfe",
            b"\xed\xa0\x80",
            b"\xf5\x80\x80\x80",
            b"gemma3",
            b"llama",
            b"gpt2",
            b"linear",
        )
    )


def _gguf_key(rng: random.Random, data: bytes) -> tuple[str, bytes]:
    found = parts(data)
    if found is None or not found.keys:
        return _bytes(rng, data)
    keys, number = list(found.keys), rng.randrange(len(found.keys))
    key, value = keys[number]
    way = rng.choice(("other", "other", "other", "kept type", "kept type", "drop", "twice", "rename", "swap", "add"))
    if way == "other":
        keys[number] = (key, _any_value(rng))
    elif way == "kept type":
        kind = struct.unpack("<I", value[:4])[0]
        keys[number] = (key, value[:4] + _any_of(rng, kind))
    elif way == "drop":
        del keys[number]
    elif way == "twice":
        keys.append((key, rng.choice((value, _any_value(rng)))))
    elif way == "rename":
        keys[number] = (_hostile_bytes(rng), value)
    elif way == "swap":
        other = rng.randrange(len(keys))
        keys[number], keys[other] = (key, keys[other][1]), (keys[other][0], value)
    else:
        key = rng.choice(ADDED_KEYS).encode()
        keys = [*(pair for pair in keys if pair[0] != key), (key, _any_value(rng))]
    return f"key {key[:40]!r} {way}", replace(found, keys=tuple(keys)).joined()


_WORDS = ("gemma", "gemma2", "gemma3", "llama", "qwen2", "qwen3")
ADDED_KEYS = (
    "general.alignment", "split.count", "split.no", "tokenizer.ggml.pre", "tokenizer.ggml.add_bos_token", "tokenizer.ggml.add_eos_token",
    "tokenizer.ggml.add_space_prefix", "tokenizer.ggml.bos_token_id", "tokenizer.ggml.eos_token_id", "tokenizer.ggml.unknown_token_id",
    "tokenizer.ggml.padding_token_id", "tokenizer.ggml.scores", "tokenizer.ggml.token_type", "tokenizer.ggml.merges", "tokenizer.chat_template",
    "general.name", "general.file_type",
    *(f"{word}.{key}" for word in _WORDS for key in (
        "expert_count", "rope.scaling.type", "rope.scaling.factor", "rope.freq_base", "rope.freq_base_swa", "attention.sliding_window",
        "attention.sliding_window_pattern", "attention.key_length", "attention.value_length", "attention.layer_norm_rms_epsilon",
        "attn_logit_softcapping", "final_logit_softcapping", "rope.dimension_count", "rope.scaling.original_context_length", "vocab_size",
        "attention.head_count_kv", "rope.global.freq_base", "rope.local.freq_base", "context_length", "vision.block_count",
    )),
)  # fmt: skip


def _gguf_tokens(rng: random.Random, data: bytes) -> tuple[str, bytes]:
    """Change entries of the vocabulary, its scores, types or merges."""
    found = parts(data)
    lists = [] if found is None else [
        number for number, (key, value) in enumerate(found.keys)
        if key.startswith(b"tokenizer.ggml.") and value[:4] == struct.pack("<I", ARRAY)
    ]  # fmt: skip
    if found is None or not lists:
        return _bytes(rng, data)
    number = rng.choice(lists)
    key, value = found.keys[number]
    inner, count = struct.unpack("<IQ", value[4:16])
    if inner not in (STRING, *SCALARS) or count < 2:
        return _gguf_key(rng, data)
    items = _items(inner, count, value[16:])
    way = rng.choice(("item", "item", "item", "item", "repeat", "drop", "more", "all the same"))
    for _ in range(rng.choice((1, 1, 3))):
        at = rng.randrange(len(items) or 1)
        if not items:
            break
        if way == "item":
            items[at] = rng.choice((_any_of(rng, inner), rng.choice(items)))
        elif way == "repeat":
            items[at] = items[0]
        elif way == "drop":
            del items[at]
        elif way == "more":
            items.insert(rng.choice((at, len(items))), _any_of(rng, inner))
        else:
            items = [items[0]] * len(items)
    changed = value[:4] + struct.pack("<IQ", inner, len(items)) + b"".join(items)
    keys = (*found.keys[:number], (key, changed), *found.keys[number + 1 :])
    return f"{way} of {key.decode()}", replace(found, keys=keys).joined()


def _items(inner: int, count: int, data: bytes) -> list[bytes]:
    if inner != STRING:
        size = struct.calcsize("<" + SCALARS[inner])
        return [data[at : at + size] for at in range(0, count * size, size)]
    items, at = [], 0
    for _ in range(count):
        end = at + 8 + struct.unpack_from("<Q", data, at)[0]
        items.append(data[at:end])
        at = end
    return items


def _gguf_tensor(rng: random.Random, data: bytes) -> tuple[str, bytes]:
    found = parts(data)
    if found is None or not found.table:
        return _bytes(rng, data)
    table, body, number = list(found.table), found.data, rng.randrange(len(found.table))
    name, offset = table[number][0], table[number][3]
    way = rng.choice(("entry", "entry", "entry", "entry", "drop", "twice", "swap", "content", "fewer"))
    if way == "entry":
        way, table[number] = _other_entry(rng, table[number], len(body))
    elif way == "drop":
        del table[number]
    elif way == "twice":
        table.append(table[number])
    elif way == "swap":
        other = rng.randrange(len(table))
        table[number], table[other] = (table[other][0], *table[number][1:]), (name, *table[other][1:])
    elif way == "content":
        body = body[:offset] + b"".join(struct.pack("<f", rng.choice(FLOATS)) for _ in range(8)) + body[offset + 32 :]
    else:
        body = body[: rng.randrange(len(body))]
    return f"tensor {name.decode(errors='replace')[:40]} {way}", replace(found, table=tuple(table), data=body).joined()


Entry = tuple[bytes, tuple[int, ...], int, int]
NAMES = (
    b"blk.0.attn_q.bias", b"blk.99.attn_q.weight", "blk.٣.attn_q.weight".encode(), b"blk.00.attn_q.weight", b"output.weight",
    b"rope_freqs.weight", b"rope_factors_short.weight", b"v.blk.0.x.weight", b"blk.1e9.attn_q.weight",
)  # fmt: skip


def _other_entry(rng: random.Random, entry: Entry, length: int) -> tuple[str, Entry]:
    """Change a tensor's name, shape, type or place."""
    name, sizes, kind, offset = entry[0], entry[1] or (1,), *entry[2:]
    edge = rng.choice((*EDGES, sizes[0] * 2, sizes[0] // 2)) % 2**64
    place = rng.choice((*EDGES, offset + 1, offset + 32, length, max(0, length - 32))) % 2**64
    flat = rng.choice(((math.prod(sizes) % 2**64,), (*sizes, 1), (1, *sizes), (1, 1, 1, *sizes)))
    ways: dict[str, Entry] = {
        "kind": (name, sizes, rng.choice((*range(42), 99, 2**31, 2**32 - 1)), offset),
        "shape": (name, (*sizes[:-1], edge), kind, offset),
        "flat": (name, flat, kind, offset),
        "turned": (name, tuple(reversed(sizes)), kind, offset),
        "offset": (name, sizes, kind, place),
        "rename": (rng.choice((_hostile_bytes(rng), *NAMES)), sizes, kind, offset),
    }
    return rng.choice(list(ways.items()))


# safetensors


def _safetensors_header(rng: random.Random, data: bytes) -> tuple[str, bytes]:
    length = struct.unpack("<Q", data[:8].ljust(8, b"\0"))[0]
    text, body = data[8 : 8 + length], data[8 + length :]
    way = rng.choice(("length", "text", "path", "tensor", "tensor", "tensor"))
    if way == "length":
        return "length", struct.pack(
            "<Q", rng.choice((*EDGES, len(data), len(data) - 8, length + 1, length - 1)) % 2**64
        ) + data[8:]
    if way == "text":
        what, text = _json_text(rng, text)
    elif way == "path":
        what, text = _json_path(rng, text)
    else:
        what, text = _described(rng, text)
    return f"header {what}", struct.pack("<Q", len(text)) + text + body


def _described(rng: random.Random, text: bytes) -> tuple[str, bytes]:
    """Change how one tensor is described, in ways that leave the bytes as many as they are."""
    header = _parsed(text)
    names = (
        [name for name in header if isinstance(header[name], dict) and "shape" in header[name]]
        if isinstance(header, dict)
        else []
    )
    if not names:
        return _json_text(rng, text)
    name = rng.choice(names)
    entry = header[name]
    shape = entry["shape"] if isinstance(entry["shape"], list) else []
    way = rng.choice(("dtype", "turned", "flat", "rename", "swap", "drop", "empty", "shape"))
    if way == "dtype":
        entry["dtype"] = rng.choice(
            ("F64", "I32", "U32", "F16", "BF16", "I64", "BOOL", "F8_E4M3", "C64", "F4", "f32", rng.choice(TEXTS))
        )
    elif way == "turned":
        entry["shape"] = shape[::-1]
    elif way == "flat":
        entry["shape"] = rng.choice(([*shape, 1], [1, *shape], [1] * 30 + shape, [], [0, *shape]))
    elif way == "rename":
        del header[name]
        header[
            rng.choice(
                (
                    name + ".x",
                    "model.layers.9.mlp.up_proj.weight",
                    "lm_head.weight",
                    name.replace(".weight", ".scales"),
                    name.replace(".weight", ".bias"),
                    *TEXTS,
                )
            )
        ] = entry
    elif way == "swap":
        other = rng.choice(names)
        header[name], header[other] = header[other], entry
    elif way == "drop":
        del header[name]
    elif way == "empty":
        header["model.extra.weight"] = {"dtype": "F32", "shape": [0, 4], "data_offsets": [0, 0]}
    else:
        entry["shape"] = [rng.choice(EDGES) for _ in range(rng.choice((1, 2, 3, 40)))]
    return f"{name} {way}", _dumped(header)


def _safetensors_data(rng: random.Random, data: bytes) -> tuple[str, bytes]:
    length = struct.unpack("<Q", data[:8].ljust(8, b"\0"))[0]
    if length + 8 >= len(data):
        return _bytes(rng, data)
    at = rng.randrange(8 + length, len(data))
    return "numbers", data[:at] + b"".join(struct.pack("<f", rng.choice(FLOATS)) for _ in range(4)) + data[at + 16 :]


# JSON


def _parsed(text: bytes) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _dumped(value: Any) -> bytes:
    return json.dumps(value).encode("utf-8", "surrogatepass")


def _json_text(rng: random.Random, data: bytes) -> tuple[str, bytes]:
    way = rng.choice(("bytes", "bom", "utf-16", "deep", "number", "twice", "raw surrogate", "word", "latin-1", "tail"))
    if way == "bytes":
        return _bytes(rng, data)
    if way == "bom":
        return way, b"\xef\xbb\xbf" + data
    if way in ("utf-16", "latin-1"):
        return way, data.decode("utf-8", "replace").encode(way, "replace")
    if way == "deep":
        opening, closing = rng.choice(((b"[", b"]"), (b'{"a":', b"}")))
        depth = rng.choice((500, 2000, 100_000))
        return way, data.rstrip(b"} \n") + b',"z":' + opening * depth + b"1" + closing * rng.choice((0, depth)) + b"}"
    at = _after(rng, data, b":") if b":" in data else 0
    if way == "number":
        return way, data[:at] + rng.choice(
            (b"1e999", b"-0", b"1" * 5000, b"0x10", b"NaN", b"-Infinity", b"1.", b"01")
        ) + b"," + data[at:]
    if way == "twice":
        return way, data[:1] + data[1:-1].strip()[: _after(rng, data, b",")] + data[1:]
    if way == "raw surrogate":
        return way, data.replace(b'"', b'"\xed\xa0\x80', rng.choice((1, 3, -1)))
    if way == "tail":
        return way, data + rng.choice((b"\0", b"{}", b"}", b"\n// x"))
    return way, data.replace(
        rng.choice((b"true", b"false", b"null", b'"', b"[", b"0")), rng.choice((b"None", b"", b"'", b"{")), 1
    )


def _after(rng: random.Random, data: bytes, sign: bytes) -> int:
    places = [at + 1 for at, byte in enumerate(data[:20_000]) if byte == sign[0]]
    return rng.choice(places) if places else 0


def _json_path(rng: random.Random, data: bytes) -> tuple[str, bytes]:
    document = _parsed(data)
    if not isinstance(document, dict) or not document:
        return _json_text(rng, data)
    parent, key, path = _somewhere(rng, document)
    way = rng.choice(("value", "value", "value", "value", "drop", "twin", "wrap", "rename"))
    if way == "value":
        parent[key] = rng.choice(JSONS)
    elif way == "drop":
        del parent[key]
    elif way == "twin":
        other, name, _ = _somewhere(rng, document)
        parent[key] = json.loads(json.dumps(other[name]))
    elif way == "wrap":
        parent[key] = rng.choice(([parent[key]], {"a": parent[key]}, str(parent[key])[:5000]))
    elif isinstance(parent, dict):
        parent[rng.choice(("", "model_type", "\ud800", str(key).upper()))] = parent.pop(key)
    return f"{way} at {path}", _dumped(document)


def _somewhere(rng: random.Random, document: Any) -> tuple[Any, Any, str]:
    """Return a container, a key of it and its path, each level as likely as the next."""
    parent, path = document, "$"
    while True:
        key = rng.choice(list(parent)) if isinstance(parent, dict) else rng.randrange(len(parent))
        path += f".{str(key)[:20]!r}"
        inner = parent[key]
        if not isinstance(inner, dict | list) or not inner or rng.random() < 0.35:
            return parent, key, path
        parent = inner


CONFIG_KEYS = (
    "model_type", "vocab_size", "hidden_size", "num_hidden_layers", "intermediate_size", "num_attention_heads", "num_key_value_heads",
    "head_dim", "rms_norm_eps", "rope_theta", "max_position_embeddings", "tie_word_embeddings", "query_pre_attn_scalar", "sliding_window",
    "sliding_window_pattern", "rope_local_base_freq", "attn_logit_softcapping", "final_logit_softcapping", "rope_scaling", "rope_parameters",
    "layer_types", "attention_bias", "mlp_bias", "rope_traditional", "architectures", "quantization", "quantization_config", "text_config",
    "model_file", "torch_dtype", "dtype", "hidden_act", "hidden_activation", "bos_token_id", "eos_token_id", "quantize_activations",
    "partial_rotary_factor", "use_cache", "attention_dropout", "vision_config", "num_experts", "use_sliding_window", "max_window_layers",
)  # fmt: skip
CONFIG_VALUES: tuple[Any, ...] = (
    {"bits": 4, "group_size": 32}, {"bits": 0, "group_size": 0}, {"bits": 4, "group_size": -1, "mode": "x"}, {"bits": "4"},
    {"quant_method": "gptq"}, {"rope_type": "yarn", "factor": 0.0, "original_max_position_embeddings": 0},
    {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 1.0, "original_max_position_embeddings": 8192},
    {"rope_type": "linear", "factor": math.nan}, {"type": "linear", "factor": "8"}, {"rope_type": ["linear"]}, {"rope_type": "dynamic", "factor": 2},
    {"full_attention": {"rope_theta": 1e4, "rope_type": "default"}, "sliding_attention": {"rope_theta": "x"}}, {"full_attention": []},
    ["full_attention"] * 3, ["sliding_attention"] * 6, [1, 2], "model.py", "gemma3_text", "llama", "qwen2", "gemma", 10**9, 2**40, 5, 6, 33, 48,
)  # fmt: skip


def _config(rng: random.Random, data: bytes) -> tuple[str, bytes]:
    document = _parsed(data)
    if not isinstance(document, dict):
        return _json_text(rng, data)
    own = [key for key in document if isinstance(document[key], int | float | str)] or ["model_type"]
    key = rng.choice((rng.choice(own), rng.choice(CONFIG_KEYS)))
    document[key] = rng.choice((rng.choice(JSONS), rng.choice(CONFIG_VALUES), rng.choice(FLOATS)))
    return f"{key} = {str(document[key])[:40]!r}", _dumped(document)


REGEXES = (
    "(a+)+$", "(.*)*x", "(?:a|a)*b", "(a|b|ab)*c", "[", "(?<=a+)b", "\\p{Zzz}", "(" * 500 + ")" * 500, "a{1000000}", "(?R)", "",
    "x" * 100_000, "((a{0,100}){0,100}){0,100}", "\\",
)  # fmt: skip


def _stage(rng: random.Random, depth: int = 0) -> Any:
    """Return one stage of a tokenizer.json, of any kind that the library knows, with any settings."""
    pattern = {rng.choice(("Regex", "String")): rng.choice((*REGEXES, *TEXTS))}
    edge = rng.choice(EDGES)
    more = [] if depth > 3 else [_stage(rng, depth + 1) for _ in range(rng.choice((0, 1, 2)))]
    return rng.choice((
        {"type": "Replace", "pattern": pattern, "content": rng.choice(TEXTS)}, {"type": "Prepend", "prepend": rng.choice(TEXTS)},
        {"type": "Split", "pattern": pattern, "behavior": rng.choice(("Isolated", "Removed", "MergedWithNext", "Contiguous")), "invert": edge % 2 == 0},
        {"type": "NFKC"}, {"type": "NFC"}, {"type": "Lowercase"}, {"type": "Precompiled", "precompiled_charsmap": rng.choice(("", "AAAA", "/////w==", "x"))},
        {"type": "Strip", "content": rng.choice(TEXTS)[:1], "start": edge, "stop": edge}, {"type": "StripAccents"},
        {"type": "Strip", "strip_left": True, "strip_right": True}, {"type": "ByteLevel", "add_prefix_space": edge % 2 == 0, "trim_offsets": True, "use_regex": True},
        {"type": "Metaspace", "replacement": rng.choice(("▁", "ab", "")), "prepend_scheme": rng.choice(("always", "never", "x")), "split": True},
        {"type": "Sequence", rng.choice(("normalizers", "pretokenizers", "decoders", "processors")): more}, {"type": "Digits", "individual_digits": edge % 2 == 0},
        {"type": "Punctuation", "behavior": "Isolated"}, {"type": "UnicodeScripts"}, {"type": "FixedLength", "length": edge},
        {"type": "WordPiece", "prefix": "##", "cleanup": True}, {"type": "CTC", "pad_token": "", "word_delimiter_token": "", "cleanup": True},
        {"type": "BPEDecoder", "suffix": rng.choice(TEXTS)}, {"type": "Fuse"}, {"type": "ByteFallback"},
        {"type": "TemplateProcessing", "single": [{"Sequence": {"id": "A", "type_id": 0}}, {"SpecialToken": {"id": "x", "type_id": edge}}], "pair": [], "special_tokens": {}},
        {"type": "BertProcessing", "sep": ["a", edge], "cls": ["b", 0]}, {"type": "RobertaProcessing", "sep": ["a", 0], "cls": ["b", 0], "trim_offsets": True, "add_prefix_space": True},
        rng.choice(JSONS),
    ))  # fmt: skip


def _tokenizer(rng: random.Random, data: bytes) -> tuple[str, bytes]:
    document = _parsed(data)
    model = document.get("model") if isinstance(document, dict) else None
    if not isinstance(model, dict) or not isinstance(model.get("vocab"), dict) or not model["vocab"]:
        return _json_text(rng, data)
    vocab, way = model["vocab"], rng.choice(("stage", "stage", "stage", "merges", "vocab", "added", "model", "frame"))
    token = rng.choice(list(vocab))
    if way == "stage":
        name = rng.choice(("normalizer", "pre_tokenizer", "post_processor", "decoder"))
        document[name], way = _stage(rng), name
    elif way == "merges" and isinstance(model.get("merges"), list):
        items = model["merges"] or [["a", "b"]]
        items.insert(
            rng.randrange(len(items) + 1),
            rng.choice(
                (
                    ["zz", "yy"],
                    ["a"],
                    "a b",
                    "a  b",
                    ["", "a"],
                    [token, token],
                    ["a", "b", "c"],
                    rng.choice(items),
                    rng.choice(JSONS),
                )
            ),
        )
        model["merges"] = items
    elif way == "vocab":
        other = rng.choice((token, rng.choice(TEXTS), "\ud800", "new"))
        vocab[other] = rng.choice((*EDGES, -1, 1.5, None, vocab[token], len(vocab) + 5, "1"))
    elif way == "added":
        entry = {"id": rng.choice((*EDGES, vocab[token])), "content": rng.choice((*TEXTS, token)), "single_word": False, "lstrip": rng.random() < 0.5,
                 "rstrip": rng.random() < 0.5, "normalized": rng.random() < 0.5, "special": rng.random() < 0.5}  # fmt: skip
        if rng.random() < 0.3:
            entry[rng.choice(list(entry))] = rng.choice(JSONS)
        listed = document.get("added_tokens")
        document["added_tokens"] = [*(listed if isinstance(listed, list) else []), entry]
    elif way == "model":
        name = rng.choice(
            (
                "dropout",
                "unk_token",
                "continuing_subword_prefix",
                "end_of_word_suffix",
                "fuse_unk",
                "byte_fallback",
                "ignore_merges",
                "type",
            )
        )
        model[name] = rng.choice((*JSONS, 0.5, 1.0, token, "WordPiece", "Unigram", "WordLevel"))
    else:
        document["truncation"] = rng.choice(
            (
                None,
                {
                    "direction": "Right",
                    "max_length": rng.choice((0, 1, 3, 2**63)),
                    "strategy": "LongestFirst",
                    "stride": rng.choice((0, 5)),
                },
            )
        )
        document["padding"] = rng.choice((None, {"strategy": rng.choice(("BatchLongest", {"Fixed": 2**40}, {"Fixed": 64})), "direction": "Right", "pad_to_multiple_of": rng.choice((None, 0, 2**40)),
                                                 "pad_id": 0, "pad_type_id": 0, "pad_token": "<pad>"}))  # fmt: skip
    return f"tokenizer {way}", _dumped(document)
