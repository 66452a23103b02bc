"""The parts of JSON on which readers differ: repeated keys, numbers that no float holds, words that are no numbers."""

from __future__ import annotations

import math
from typing import Any


class RejectedError(ValueError):
    """A rule that JSON readers do not all have was broken; the message ends a sentence that begins with what was read."""


def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object's members. Raises RejectedError for a key that comes twice."""
    found = dict(pairs)
    if len(found) != len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise RejectedError(f"has the key `{twice[:40]}` twice")
    return found


def finite(text: str) -> float:
    """Return a number. Raises RejectedError for one that is beyond the largest float."""
    value = float(text)
    if not math.isfinite(value):
        raise RejectedError("holds a number out of range")
    return value


def no_constant(text: str) -> float:
    """Raise RejectedError for NaN and infinity."""
    raise RejectedError(f"holds {text}, which JSON does not have")
