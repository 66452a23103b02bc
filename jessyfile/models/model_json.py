"""Read the JSON files of a model's folder: strict JSON, in bounded memory, with values of the kinds that are relied on.

What a file holds beyond that is kept as it is.
"""

from __future__ import annotations

import json
import os
import re
from itertools import chain, compress
from pathlib import Path
from typing import Any

from jessyfile.errors import ModelError
from jessyfile.models.foreign_files import HEAD, what_it_is
from jessyfile.models.plain_file import plain_file
from jessyfile.text.strict_json import RejectedError, finite, no_constant, unique
from jessyfile.text.uncollected import uncollected

MAX_BYTES = 1 << 24
MAX_TOKENIZER_BYTES = 1 << 26  # Gemma 3's has 33 million
MAX_DEPTH = 64
LARGEST = 1e15  # of a number in a configuration or in metadata: MLX divides by no integer of 64 bits
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")  # only so can UTF-8 hold one
_AGAIN = "fetch the folder again"


def read_json(path: Path) -> dict[str, Any]:
    """Return a JSON object; an absent file is an empty one. Raises ModelError for anything else."""
    if not os.path.lexists(path):
        return {}
    limit = MAX_TOKENIZER_BYTES if path.name == "tokenizer.json" else MAX_BYTES
    with plain_file(path) as handle:
        size = os.fstat(handle.fileno()).st_size
        data = handle.read(min(size, limit))
    if (foreign := what_it_is(data[:HEAD])) is not None:
        raise ModelError(f"`{path}` is {foreign[0]}, not JSON", hint=foreign[1])
    if size > limit:
        raise ModelError(f"`{path}` has more than {limit >> 20} MiB, too many for such a file", hint=_AGAIN)
    try:
        found = strict_json(data)
    except UnicodeDecodeError as error:
        raise _bad(path, f"is not UTF-8 at byte {error.start}") from error
    except RejectedError as error:
        raise _bad(path, str(error)) from error
    except (ValueError, RecursionError) as error:
        what = str(error) if isinstance(error, ValueError) else "it is nested too deep"
        raise _bad(path, f"cannot be read as JSON: {what}") from error
    if not isinstance(found, dict):
        raise _bad(path, "holds no JSON object")
    _check_shape(path, found)
    return found


def _bad(path: Path, what: str) -> ModelError:
    return ModelError(f"`{path}` {what}", hint=_AGAIN)


@uncollected()
def strict_json(data: bytes) -> object:
    """Return a JSON value by the letter of the standard.

    Raises ValueError or RecursionError for NaN, infinity, a repeated key, a byte order mark, half a surrogate pair, or
    nesting deeper than any file of a model has.
    """
    if data.startswith((b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")):
        raise ValueError("it begins with a byte order mark; save it as UTF-8 without one")
    hooks: dict[str, Any] = {"parse_float": finite, "parse_constant": no_constant, "object_pairs_hook": unique}
    found: object = json.loads(data.decode("utf-8"), **hooks)
    _check_depth(found)
    if _SURROGATE.search(data):
        _check_surrogates(found)
    return found


def _check_depth(value: object) -> None:
    level = [value] if isinstance(value, dict | list) else []
    for _ in range(MAX_DEPTH):
        inner = list(chain.from_iterable(one.values() if isinstance(one, dict) else one for one in level))
        level = list(compress(inner, map({dict, list}.__contains__, map(type, inner))))
        if not level:
            return
    raise RecursionError


def _check_surrogates(value: object) -> None:
    try:
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError as error:
        raise ValueError("it holds half of a surrogate pair, which is no character") from error


@uncollected()
def _check_shape(path: Path, document: dict[str, Any]) -> None:
    import msgspec

    from jessyfile.models.json_shapes import BY_NAME, QuantizationShape

    try:
        msgspec.convert(document, BY_NAME.get(path.name, dict))
        if path.name == "config.json" and isinstance(document.get("quantization"), dict):
            msgspec.convert(document["quantization"], QuantizationShape)
    except msgspec.ValidationError as error:
        what, _, place = str(error).partition(" - at ")
        where = place.strip("`").removeprefix("$").strip(".")
        raise _bad(
            path,
            f"is malformed{f' at {where}' if where else ''}: {what[:1].lower()}{what[1:160].replace(' | null', '')}",
        ) from None
