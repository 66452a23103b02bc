"""Read JSON values back as the dataclass that they were written from. A value that does not fit is refused with its
place."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

from jessyfile.errors import StateError
from jessyfile.fsops import read_bytes

Record = Mapping[str, object]  # a JSON object as it was written; `read_as` tells what is in it
T = TypeVar("T")


def read_as(kind: type[T], body: object, what: str) -> T:
    """Return JSON values as a dataclass; keys that it does not know are passed over.

    Raises StateError that names `what` and the value when one is missing or of another type.
    """
    import msgspec

    try:
        return msgspec.convert(body, kind)
    except msgspec.ValidationError as error:
        raise StateError(
            f"{what} is not as this jessy writes it: {error}", hint="`jessy apply` makes it again"
        ) from None


def load_as(kind: type[T], path: Path) -> T:
    """Return a JSON file as a dataclass. Raises StateError when it is damaged, FileNotFoundError when it is absent."""
    try:
        body = json.loads(read_bytes(path))
    except (ValueError, RecursionError):
        raise StateError(f"`{path}` is damaged", hint="run `jessy fsck --repair`, then `jessy apply`") from None
    return read_as(kind, body, f"`{path}`")
