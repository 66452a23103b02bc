"""Addresses and values as the user writes them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from jessyfile.language.metric_table import metric_unit
from jessyfile.language.table import node_at
from jessyfile.language.write_value import spell
from jessyfile.text.lines import lines

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
    (re.compile(r"eval\.criterion\.(.+)\.(?:value|comparison|rank)"), r"\1"),
    (re.compile(r"eval\.criterion\.(.+)\.([a-z_]+)"), r"\1 \2"),
    (re.compile(r"eval\.suite\.([^.]+)\.(.+)"), r"SUITE \1 \2"),
    (re.compile(r"(from|system|template|name|adapter|requires)"), ""),
    (re.compile(r"(?:lora|train|export|deploy|dataset|complexity|personality|eval)\.([^.]+)"), r"\1"),
)
_NAMED = re.compile(
    r"(dataset\.category\.[^.]+\.topic\.[^.]+|dataset\.category\.[^.]+|complexity\.level\.[^.]+|eval\.suite\.[^.]+"
    r"|eval\.criterion\..+(?=\.(?:value|rank|comparison|confidence)$))"
)
_KEYS = ("count", "value", "iterations", "file")
LONG = 60
_NAMED_COLUMN, _SAID_COLUMN = 32, 24


@dataclass(frozen=True, slots=True)
class Change:
    """A value, or a whole named thing, that was written, taken away or changed; `where` is its place as `file:line`, empty for a
    default, None for what stands in no recipe.
    """

    address: str
    old: Json
    new: Json
    where: str | None
    kind: Literal["changed", "new", "gone"] = "changed"


def gathered(changes: Sequence[Change]) -> Iterator[Change]:
    """Yield the changes in the order of their places, a named thing that is wholly new or gone as one of them."""
    groups: dict[str, list[Change]] = {}
    for change in sorted(changes, key=_place):
        match = _NAMED.match(change.address)
        name = match[1] if match else change.address
        groups.setdefault(_outermost(name, groups), []).append(change)
    for name, group in groups.items():
        yield from _as_one(name, group) or group


def _outermost(name: str, groups: Mapping[str, list[Change]]) -> str:
    """Return the category of a topic when the category itself is new or gone."""
    category = name.partition(".topic.")[0]
    return category if category in groups and _as_one(category, groups[category]) else name


def _as_one(name: str, group: Sequence[Change]) -> list[Change]:
    key = next((change for change in group if change.address in [f"{name}.{key}" for key in _KEYS]), None)
    if key is None:
        return []
    if all(change.old is None for change in group):
        return [replace(key, kind="new")]
    return [replace(key, kind="gone")] if all(change.new is None for change in group) else []


def _place(change: Change) -> tuple[str, int, str]:
    file, _, line = (change.where or "").rpartition(":")
    return file or "~", int(line) if line.isdigit() else 0, change.address


def change_block(changes: Iterable[Change]) -> Iterator[str]:
    """Yield how values changed, in columns: one line for a short one, a line diff for a text."""
    found = [replace(change, old=_as_text(change.old), new=_as_text(change.new)) for change in changes]
    short = [change for change in found if not long_text(change.old, change.new)]
    # a longer one stands out of its column: it must not push all the others away
    name = max([21, *(size for change in short if (size := len(spelled(change.address))) <= _NAMED_COLUMN)])
    text = max([19, *(size for change in short if (size := len(_said(change))) <= _SAID_COLUMN)])
    for change in found:
        if change in short:
            yield f"        {spelled(change.address):<{name}} {_said(change):<{text}} {_where(change)}".rstrip()
        else:
            yield f"        {spelled(change.address)}  {change.where or ''}".rstrip()
            yield from (f"          {line}" for line in line_diff(change.old, change.new))


def _said(change: Change) -> str:
    old, new = (
        value if isinstance(value, str) and change.where is None else shown(value, change.address)
        for value in (change.old, change.new)
    )
    return {"changed": f"{old} -> {new}", "new": f"new: {new}", "gone": f"gone: {old}"}[change.kind]


def _where(change: Change) -> str:
    if change.where is None:
        return ""
    return change.where or ("(default)" if change.new is not None and change.kind == "changed" else "")


def spelled(address: str) -> str:
    """Return how the setting of an address is written: `TOPIC debugging`, `learning_rate`, `SYSTEM`."""
    for pattern, form in _FORMS:
        match = pattern.fullmatch(address)
        if match:
            return match.expand(form) if form else match[1].upper()
    return address


def shown(value: Json, address: str = "") -> str:
    """Return a short value as its recipe writes it: `1e-4`, `10%`, `5s`, `yes`, `q_proj k_proj`."""
    if isinstance(value, float) and 0 < abs(value) < 1e-3 and _unit(address)[0] != "share":
        return _scientific(value)
    unit, schema = _unit(address)
    if isinstance(value, list) and unit != "range":
        return " ".join(shown(entry, address) for entry in value) or "none"
    if isinstance(value, dict):
        return " ".join(shown(entry) for entry in value.values())
    return spell(value, unit, schema)


def _unit(address: str) -> tuple[str, Mapping[str, Any]]:
    """Return how the value at an address is spelled, from the table; plainly when it has no place there."""
    if address.startswith("eval.criterion.") and address.endswith(".value"):
        return metric_unit(address.removeprefix("eval.criterion.").removesuffix(".value")), {}
    node = node_at(tuple(address.split("."))) if address else None
    return (node.unit, node.schema) if node else ("bare", {})


def long_text(*values: Json) -> bool:
    """Whether any of the values needs a line diff to be read."""
    return any(isinstance(value, str) and ("\n" in value or len(value) > LONG) for value in values)


def _as_text(value: Json) -> Json:
    """Return a list of things with parts (messages) as a text with a line each; every other value as it is."""
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return "\n".join(" ".join(str(part) for part in entry.values()) for entry in value) + "\n"
    return value


def line_diff(old: Json, new: Json, context: int = 1) -> Iterator[str]:
    """Yield the changed lines of a text with `-` and `+` before them, and `context` unchanged lines around."""
    from difflib import SequenceMatcher

    before, after = _lines(old), _lines(new)
    for group in SequenceMatcher(None, before, after, autojunk=False).get_grouped_opcodes(context):
        for tag, low, high, low2, high2 in group:
            if tag == "equal":
                yield from (f"  {line}" for line in before[low:high])
                continue
            yield from (f"- {line}" for line in before[low:high])
            yield from (f"+ {line}" for line in after[low2:high2])


def duration(seconds: float) -> str:
    """Return a forecast's seconds to one reading: `40s`, `38m`, `2h 05m`."""
    if seconds < 0.5:
        return "<1s"
    if seconds < 59.5:
        return f"{round(seconds)}s"
    minutes = round(seconds / 60)
    return f"{minutes}m" if minutes < 90 else f"{minutes // 60}h {minutes % 60:02d}m"


def spanned(low: float, high: float) -> str:
    """Return a range of seconds: `4m to 15m`, one reading where both ends have the same."""
    return " to ".join(dict.fromkeys((duration(low), duration(high))))


def size(count: int) -> str:
    """Return bytes in the largest decimal unit that keeps them above 1: `6.1 GB`."""
    amount, unit = float(count), "B"
    for unit in ("B", "KB", "MB", "GB", "TB"):
        if amount < 1000 or unit == "TB":
            break
        amount /= 1000
    return f"{amount:.0f} {unit}" if unit in ("B", "KB", "MB") else f"{amount:.1f} {unit}"


def counted(count: int, noun: str, many: str = "") -> str:
    """Return `1 row`, `2 rows`."""
    return f"{count} {noun if count == 1 else many or noun + 's'}"


def _scientific(value: float) -> str:
    mantissa, _, exponent = f"{value:e}".partition("e")
    return f"{float(mantissa):g}e{int(exponent)}"


def _lines(value: Json) -> list[str]:
    return lines(value) if isinstance(value, str) else []
