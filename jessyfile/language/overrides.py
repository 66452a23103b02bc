"""`--set lora.rank=8`: one value from outside, in place of everything that the recipe says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jessyfile.language.diagnostics import mistake
from jessyfile.language.layer import Setting
from jessyfile.language.project_files import Project, Refused
from jessyfile.language.reading import convert_value, judge
from jessyfile.language.source import SourceFile, Span
from jessyfile.language.suggest import help_for
from jessyfile.language.syntax import kind_of
from jessyfile.language.table import Address, Node, Schema, is_array, is_entry, item_schema, node_at, root, unit_of
from jessyfile.language.values import InvalidValue, Json
from jessyfile.language.variables import Reporter, Value

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jessyfile.language.layer import Layer

_TEXTS = ("string", "text", "path", "folder", "rooted", "pattern")


def override(merged: Layer, sets: Mapping[str, str], project: Project, report: Reporter) -> None:
    """Put the values of `--set` in place of the recipe's; report each one that does not fit.

    Args:
        merged: the recipe's values, which are changed in place.
        sets: the new values as text, by address.
        project: the project that every path must stay inside.
        report: takes each diagnostic.
    """
    for address, text in sets.items():
        file = SourceFile("--set", f"{address}={text}")
        parts = split_address(address)
        schema = leaf_schema(parts)
        if schema is None or not _exists(merged, parts):
            helps = _meant(address)
            report(
                mistake(
                    "J037",
                    f"`{address}` is no address of this recipe",
                    Span(file, 0, len(address)),
                    "not known",
                    helps=helps,
                )
            )
            continue
        _put(merged, parts, schema, Value("", text, Span(file, len(address) + 1, len(file.text))), project, report)


def split_address(address: str) -> Address:
    """Return an address in its parts; a metric's name keeps its dots."""
    parts = address.split(".")
    if parts[:2] == ["eval", "criterion"] and len(parts) > 3:
        return ("eval", "criterion", ".".join(parts[2:-1]), parts[-1])
    return tuple(parts)


def leaf_schema(address: Address) -> Schema | None:
    """Return the schema of one value; None when the address names none, or a whole block."""
    node = node_at(address)
    if node is None or node is root():
        return None
    if node.kind == "named":
        return node.entry_of(address[-1]) if node.fixed_names and address[-1] in node.fixed_names else None
    return node.schema if node.kind in ("value", "list") and "items" not in _objects(node) else None


def _objects(node: Node) -> Schema:
    items = node.schema.get("items", {})
    return node.schema if items.get("type") == "object" else {}


def known_addresses() -> tuple[str, ...]:
    """Return the address of every setting that has no name of the user's in it."""
    return tuple(
        ".".join(node.address) for node in root().walk() if node.kind in ("value", "list") and "*" not in node.address
    )


def _meant(address: str) -> str:
    """Return the help for an address that is none: those of the setting that it names without its block, or a similar one."""
    settings = [known for known in known_addresses() if known.rpartition(".")[2] == address]
    if settings:
        return f"did you mean {' or '.join(f'`{known}`' for known in settings[:4])}?"
    return help_for(address, known_addresses(), "address", "`jessy show RECIPE --flat` lists every address")


def _exists(merged: Layer, address: Address) -> bool:
    """Return whether the named things in an address are part of the recipe."""
    prefixes = (address[:length] for length in range(1, len(address) + 1))
    return all(prefix in merged.entries for prefix in prefixes if is_entry(prefix))


def _put(merged: Layer, address: Address, schema: Schema, value: Value, project: Project, report: Reporter) -> None:
    try:
        found = _value(address, schema, value, project)
        judge(schema, found)
    except InvalidValue as unfit:
        message = f"`{'.'.join(address)}` {unfit.message}"
        report(mistake(unfit.code, message, value.span, unfit.label, helps=unfit.help or ()))
        merged.failed.add(address)
    except Refused as refused:
        report(mistake(refused.code, refused.message, value.span, "named here", helps=refused.help))
        merged.failed.add(address)
    else:
        merged.settings[address] = Setting(found, value.span)


def _value(address: Address, schema: Schema, value: Value, project: Project) -> Json:
    metric = address[2] if address[:2] == ("eval", "criterion") else None
    if not is_array(schema):
        return convert_value(_as(value, unit_of(schema)), schema, project, project.root, metric)
    item = item_schema(schema)
    pieces = [value.text] if schema.get("x-repeat") else value.text.split()
    return [
        convert_value(_as(value._replace(text=p), unit_of(item)), item, project, project.root, metric) for p in pieces
    ]


def _as(value: Value, unit: str) -> Value:
    return value._replace(kind="STRING") if unit in _TEXTS and value.text != "none" else _word(value)


def _word(value: Value) -> Value:
    return value._replace(kind=kind_of(value.text.strip()) or "STRING", text=value.text.strip())
