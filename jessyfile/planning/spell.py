"""Addresses and values as the user writes them."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jessyfile.planning.steps import Json

_FORMS = (
    (re.compile(r"dataset\.category\.[^.]+\.topic\.([^.]+)\.count"), r"TOPIC \1"),
    (re.compile(r"dataset\.category\.[^.]+\.topic\.([^.]+)\.(.+)"), r"TOPIC \1 \2"),
    (re.compile(r"dataset\.category\.([^.]+)\.count"), r"CATEGORY \1"),
    (re.compile(r"dataset\.category\.([^.]+)\.(.+)"), r"CATEGORY \1 \2"),
    (re.compile(r"complexity\.level\.([^.]+)\.(.+)"), r"LEVEL \1 \2"),
    (re.compile(r"parameter\.(.+)"), r"PARAMETER \1"),
    (re.compile(r"message\.(.+)"), r"MESSAGE \1"),
    (re.compile(r"license\.(.+)"), r"LICENSE \1"),
    (re.compile(r"eval\.criterion\.(.+)\.([a-z_]+)"), r"\1 \2"),
    (re.compile(r"eval\.suite\.([^.]+)\.(.+)"), r"SUITE \1 \2"),
    (re.compile(r"(from|system|template|name|adapter|requires)"), ""),
    (re.compile(r"(?:lora|train|export|deploy|dataset|complexity|personality|eval)\.([^.]+)"), r"\1"),
)
LONG = 60


def spelled(address: str) -> str:
    """Return how the setting of an address is written: `TOPIC debugging`, `learning_rate`, `SYSTEM`."""
    for pattern, form in _FORMS:
        match = pattern.fullmatch(address)
        if match:
            return match.expand(form) if form else match[1].upper()
    return address


def shown(value: Json) -> str:
    """Return a short value as one word or a few: `1e-4`, `on`, `q_proj k_proj`, `nothing` for an absent one."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, float):
        return _number(value)
    if isinstance(value, list):
        return " ".join(shown(entry) for entry in value) or "nothing"
    return str(value)


def long_text(*values: Json) -> bool:
    """Whether any of the values needs a line diff to be read."""
    return any(isinstance(value, str) and ("\n" in value or len(value) > LONG) for value in values)


def line_diff(old: Json, new: Json, context: int = 1) -> Iterator[str]:
    """Yield the changed lines of a text with `-` and `+` before them, and `context` unchanged lines around."""
    before, after = _lines(old), _lines(new)
    for group in difflib.SequenceMatcher(None, before, after, autojunk=False).get_grouped_opcodes(context):
        for tag, low, high, low2, high2 in group:
            if tag == "equal":
                yield from (f"  {line}" for line in before[low:high])
                continue
            yield from (f"- {line}" for line in before[low:high])
            yield from (f"+ {line}" for line in after[low2:high2])


def duration(seconds: float) -> str:
    """Return a forecast's seconds to one reading: `40s`, `38m`, `2h 05m`."""
    if seconds < 0.5:
        return "less than 1s"
    if seconds < 59.5:
        return f"{round(seconds)}s"
    minutes = round(seconds / 60)
    return f"{minutes}m" if minutes < 90 else f"{minutes // 60}h {minutes % 60:02d}m"


def size(count: int) -> str:
    """Return bytes in the largest decimal unit that keeps them above 1: `6.1 GB`."""
    amount, unit = float(count), "B"
    for unit in ("B", "KB", "MB", "GB", "TB"):
        if amount < 1000 or unit == "TB":
            break
        amount /= 1000
    return f"{amount:.0f} {unit}" if unit in ("B", "KB", "MB") else f"{amount:.1f} {unit}"


def _number(value: float) -> str:
    if value != 0 and abs(value) < 1e-3:
        mantissa, _, exponent = f"{value:e}".partition("e")
        return f"{float(mantissa):g}e{int(exponent)}"
    return f"{value:g}"


def _lines(value: Json) -> list[str]:
    return value.splitlines() if isinstance(value, str) else []
