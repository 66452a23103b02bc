"""docs/reference.md, written from the table and the catalogue of codes: `python -m jessyfile.editors.reference`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from jessyfile.language.codes import CODES
from jessyfile.language.table import Node, Schema, document_schema, is_array, item_schema, root, unit_of
from jessyfile.language.values import EXPECTED
from jessyfile.language.write_value import spell

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference.md"
_HEAD = """# The Jessyfile's reference

Written from `grammar/recipe.schema.json` by `python -m jessyfile.editors.reference`; do not edit. The guide is
[language.md](language.md).

*Effect* says what a change costs: **retrain** makes the data or the adapter again, **repackage** only what is served,
**recheck** only the verdict, **cosmetic** nothing. *Read by* names the steps that consume a setting; a setting that
nothing reads does not exist.
"""


def reference() -> str:
    """Return the page's text."""
    parts = [
        _HEAD,
        *_language_words(),
        *(part for node in root().nodes.values() for part in _section(node, 2)),
        *_codes(),
    ]
    return "\n".join(parts).rstrip() + "\n"


def _language_words() -> Iterator[str]:
    yield "## How recipes are put together\n"
    for word in document_schema()["x-words"].values():
        yield f"`{word['form']}`  \n{word['description']}\n"
        yield _code(word["example"])


def _code(text: str) -> str:
    return f"```jessy\n{text}\n```\n"


def _section(node: Node, depth: int) -> Iterator[str]:
    """Yield the text of an instruction, then of what may stand inside it."""
    yield f"{'#' * depth} {' / '.join(node.form.keywords)}\n"
    yield f"{node.schema['description']}\n"
    if node.form.placeholders:
        yield f"Written `{node.form.text}`.\n"
    if "x-example" in node.schema:
        yield _code(_in_context(node))
    if node.kind in ("value", "list") or node.fixed_names is None:
        yield _facts(node)
    yield from _placeholders(node)
    yield from _settings(node)
    inner = [n for n in dict.fromkeys(node.statements.values()) if _is_section(n)]
    for one in inner:
        yield from _section(one, min(depth + 1, 4))


def _is_section(node: Node) -> bool:
    return node.form.keywords[0].isupper() or node.kind in ("block", "named")


def _in_context(node: Node) -> str:
    """Return the example, inside the blocks where it stands."""
    lines = [node.schema["x-example"]]
    around = node.parent
    while around and around.parent:
        opening = around.schema["x-example"].split(" {")[0] if around.form.groups else around.form.keywords[0]
        lines = [f"{opening} {{", *("  " + line for line in lines), "}"]
        around = around.parent
    return "\n".join(lines)


def _facts(node: Node) -> str:
    facts = [f"effect: {node.inherited('x-effect')}", f"read by: {_steps(node.inherited('x-steps'))}"]
    if node.kind in ("value", "list"):
        facts.insert(0, _default(node.schema))
    return " · ".join(facts) + "\n"


def _steps(names: list[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _default(schema: Schema) -> str:
    if "default" not in schema:
        return "**required**" if "const" not in schema else "always 1"
    value = schema["default"]
    if value in ([], {}):
        return "default: none"
    return f"default: `{_spelled(value, schema)}`"


def _spelled(value: Any, schema: Schema) -> str:  # noqa: ANN401 (any JSON value)
    if is_array(schema) and value is not None:
        return " ".join(spell(one, unit_of(schema), item_schema(schema)) for one in value)
    return spell(
        float(value) if isinstance(value, int) and not isinstance(value, bool) else value, unit_of(schema), schema
    )


def _placeholders(node: Node) -> Iterator[str]:
    """Yield a table of the values in an instruction's form that are settings of their own."""
    names = [p for p in node.form.placeholders if p not in ("name", "value", node.name)]
    rows = [(f"`<{name}>`", node.placeholder(name, None)) for name in names]
    if (node.kind == "named" and node.fixed_names is None) or node.kind in ("block", "list"):
        yield from _table("value", rows)
    if node.fixed_names is not None:
        yield from _table("name", [(f"`{name}`", node.entry_of(name)) for name in node.fixed_names])
        yield f"effect: {node.inherited('x-effect')} · read by: {_steps(node.inherited('x-steps'))}\n"
    if "x-metrics" in node.schema:
        yield from _metrics(node.schema["x-metrics"])


def _table(title: str, rows: list[tuple[str, Schema]]) -> Iterator[str]:
    if rows:
        lines = [f"| {title} | takes | default | says |", "|---|---|---|---|"]
        for name, schema in rows:
            default = f"`{_spelled(schema['default'], schema)}`" if schema.get("default") is not None else ""
            lines.append(f"| {name} | {_takes(schema)} | {default} | {schema.get('description', '')} |")
        yield "\n".join(lines) + "\n"


def _takes(schema: Schema) -> str:
    """Return what a value may be, in words."""
    choices = schema.get("enum") or (schema.get("items", {}).get("enum") if is_array(schema) else None)
    if choices:
        return ", ".join(f"`{c}`" for c in choices if c is not None)
    bounds = [f"{word} {_bound(schema[key], schema)}" for key, word in _BOUNDS.items() if key in schema]
    return " ".join([EXPECTED.get(unit_of(schema), "a percentage or a duration"), *bounds])


def _bound(limit: float, schema: Schema) -> str:
    return (
        _spelled(limit, schema) if unit_of(schema) in ("share", "seconds") and limit else f"{limit:,}".replace(",", " ")
    )


_BOUNDS = {"minimum": "from", "exclusiveMinimum": "above", "maximum": "to", "exclusiveMaximum": "below"}


def _settings(node: Node) -> Iterator[str]:
    """Yield the table of a block's lowercase settings."""
    plain = [n for n in dict.fromkeys(node.statements.values()) if not _is_section(n)]
    if not plain:
        return
    lines = ["| setting | takes | default | effect | read by | says |", "|---|---|---|---|---|---|"]
    for one in plain:
        default = _default(one.schema).removeprefix("default: ")
        example = f" As in `{one.schema['x-example']}`." if "x-example" in one.schema else ""
        steps = _steps(one.inherited("x-steps"))
        says = one.schema["description"] + example
        lines.append(
            f"| `{one.name}` | {_takes(one.schema)} | {default} | {one.inherited('x-effect')} | {steps} | {says} |"
        )
    yield "\n".join(lines) + "\n"


def _metrics(metrics: dict[str, dict[str, Any]]) -> Iterator[str]:
    lines = ["| metric | measured in | says |", "|---|---|---|"]
    for name, metric in metrics.items():
        unit = "a percentage" if metric["unit"] == "share" else "a duration"
        lines.append(f"| `{name}` | {unit} | {metric['description']} |")
    yield "\n".join(lines) + "\n"


def _codes() -> Iterator[str]:
    yield "## What diagnostics mean\n"
    yield "`jessy explain CODE` prints the same in a terminal. Codes from J200 on are warnings.\n"
    for code, entry in CODES.items():
        yield f"### {code}: {entry.title}\n"
        yield f"{entry.why}\n"
        if entry.right and "FILE" not in entry.right and ".jsonl" not in entry.right:
            yield _code(entry.right)


if __name__ == "__main__":
    from jessyfile import fsops

    fsops.write_text(PAGE, reference())
