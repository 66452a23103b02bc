"""One spelling of a JSON value, so that equal values have equal hashes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Any

from jessyfile.text.printable import json_text

if TYPE_CHECKING:
    from jessyfile.planning.steps import Json


def normal(value: object) -> Json:
    """Return a JSON value with whole floats as integers, tuples as lists and dataclasses as objects of the fields that
    tell them apart: `5.0`, `5` and `5s` are one value.

    Raises TypeError for what is no JSON value, so that a step's odd fact is found where it is returned.
    """
    if value is None or isinstance(value, bool | str | int):
        return value
    if isinstance(value, float):
        return int(value) if value.is_integer() else value
    if isinstance(value, Mapping):
        return {str(key): normal(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [normal(entry) for entry in value]
    if is_dataclass(value):
        return {part.name: normal(getattr(value, part.name)) for part in fields(value) if part.compare}
    raise TypeError(f"not a JSON value: {type(value).__name__}")


def readable(value: object) -> str:
    """Return a JSON value, or a dataclass as one, as text for a file that people may open."""
    return json_text(normal(value), indent=2, sort_keys=True) + "\n"


def canonical(value: object) -> str:
    """Return the value's one JSON spelling: sorted keys, no white space, no NaN."""
    return json.dumps(normal(value), ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)


def digest(value: object) -> str:
    """Return the SHA-256 of the value's canonical JSON in lower-case hexadecimal."""
    return hashlib.sha256(canonical(value).encode("utf-8", "surrogatepass")).hexdigest()


def sealed(body: Mapping[str, Any]) -> str:
    """Return a readable JSON text of an object together with its own hash, so that damage is found when it is read."""
    return (
        json.dumps(
            {**normal(body), "seal": digest(body)}, ensure_ascii=False, indent=1, sort_keys=True, allow_nan=False
        )
        + "\n"
    )


def unsealed(data: bytes) -> dict[str, Any] | None:
    """Return the object that `sealed` wrote, or None when a byte of it is not as it was written."""
    try:
        body = json.loads(data)
    except (ValueError, RecursionError):
        return None
    if not isinstance(body, dict):
        return None
    seal = body.pop("seal", None)
    return body if seal == digest(body) else None
