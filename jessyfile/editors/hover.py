"""What the table says about a word of a recipe, in Markdown: documentation, form, range, default, effect, readers."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from jessyfile.editors.lsp.names import declarations, mention_at
from jessyfile.editors.lsp.places import Found, found_at
from jessyfile.language.form_match import Unmatched, match
from jessyfile.language.metric_table import known_metric, metric_names
from jessyfile.language.parse import parse
from jessyfile.language.table import Node, Schema, document_schema, is_array, item_schema, root, unit_of
from jessyfile.language.values import EXPECTED, null_word
from jessyfile.language.write_value import spell

if TYPE_CHECKING:
    from jessyfile.language.source import SourceFile, Span
    from jessyfile.language.syntax import Statement

_EFFECTS = {
    "retrain": "the model is trained again",
    "repackage": "the model is packed again, without training",
    "recheck": "the model is judged again, without training",
    "cosmetic": "nothing runs again",
}


def hover_text(file: SourceFile, offset: int) -> tuple[str, Span] | None:
    """Return what there is to say about the word at an offset, and where it stands; None when there is nothing."""
    parsed = parse(file)
    mention = mention_at(parsed.statements, offset)
    found = found_at(parsed.statements, offset)
    if mention:
        return _name(parsed.statements, mention.name), mention.span
    text = _word(found) if found else None
    return (text, found.token.span) if found and text else None


def _word(found: Found) -> str | None:
    if not found.is_head:
        return _argument(found)
    return describe_head(found.token.text, found.nodes[-1] if len(found.nodes) > 1 else None)


def describe_head(word: str, node: Node | None) -> str | None:
    """Return the page of an instruction or a setting; None for a word that the table does not have."""
    own = document_schema()["x-words"].get(word)
    if own:
        return f"**{word}**\n\n{own['description']}\n\n- form: `{own['form']}`\n\n{_code(own['example'])}"
    if node is None or node.parent is None or word not in node.form.keywords:
        return None
    where = f" in {node.parent.form.keywords[0]}" if node.parent.parent else ""
    parts = [f"**{word}**{where}", str(node.schema["description"]), "\n".join(f"- {line}" for line in _facts(node))]
    shown = node.schema.get("x-example")
    return "\n\n".join([*parts, *([_code(shown)] if shown else [])])


def describe_value(schema: Schema) -> str:
    """Return what a value may be, with its limits."""
    if is_array(schema):
        return f"{describe_value(item_schema(schema))}, one or several"
    unit = unit_of(schema)
    choices = _choices(schema)
    takes = ", ".join(f"`{choice}`" for choice in choices) if choices else EXPECTED.get(unit, "a value")
    limits = "" if choices else _limits(schema, unit)
    nothing = null_word(schema)
    return takes + limits + (f", or `{nothing}`" if nothing and nothing not in choices else "")


def _choices(schema: Schema) -> list[str]:
    return [str(value) if value is not None else (null_word(schema) or "none") for value in schema.get("enum", ())]


def _limits(schema: Schema, unit: str) -> str:
    low, high = schema.get("minimum"), schema.get("maximum")
    above, below = schema.get("exclusiveMinimum"), schema.get("exclusiveMaximum")
    words = [
        f"from {spell(low, unit, schema)}" if low is not None else "",
        f"above {spell(above, unit, schema)}" if above is not None else "",
        f"to {spell(high, unit, schema)}" if high is not None else "",
        f"below {spell(below, unit, schema)}" if below is not None else "",
    ]
    said = " ".join(word for word in words if word)
    return f" {said}" if said else ""


def _facts(node: Node) -> list[str]:
    facts = [f"form: `{node.form.text}`"] if "x-form" in node.schema else []
    parts = _parts(node)
    if node.kind in ("value", "list") and not parts:
        facts.append(f"takes: {describe_value(node.schema)}")
    facts += [f"`{name}`: {schema['description']}" for name, schema in parts.items() if "description" in schema]
    default, effect, steps = default_word(node.schema), node.inherited("x-effect"), node.inherited("x-steps")
    facts += [f"default: `{default}`"] if default else []
    facts += [f"after a change: {_EFFECTS[effect]} ({effect})"] if effect else []
    return facts + ([f"read by: {', '.join(steps)}"] if steps else [])


def _parts(node: Node) -> dict[str, Schema]:
    """Return the placeholders of a form that have a meaning of their own."""
    if node.fixed_names is not None:
        return {}
    names = [name for name in node.form.placeholders if name not in ("value", "name")]
    own = [name for name in node.form.placeholders if name == "value" and node.kind == "named"]
    return {name: node.placeholder(name, None) for name in (*names, *own)}


def default_word(schema: Schema) -> str | None:
    """Return a plain default as a recipe spells it; None when there is none, or it is no single line."""
    value: Any = schema.get("default")
    if "default" not in schema or isinstance(value, dict) or value in ("", []):
        return None
    if is_array(schema) and isinstance(value, list):
        return " ".join(spell(item, unit_of(schema), item_schema(schema)) for item in value)
    return spell(value, unit_of(schema), schema)


def _code(example: str) -> str:
    return f"```jessyfile\n{example}\n```"


def _name(statements: tuple[Statement, ...], name: str) -> str:
    declared = declarations(statements).get(name)
    if declared is None:
        return f"`{name}` is not declared in this file"
    line = declared.span.file.line(declared.span.line).strip()
    return f"**{name}**, line {declared.span.line}\n\n{_code(line)}"


def _argument(found: Found) -> str | None:
    if len(found.nodes) < 2:
        return None
    node = found.nodes[-1]
    try:
        placed = match(node, found.statement)
    except Unmatched:
        return None
    name = next((part for part, tokens in placed.items() if found.token in tokens), None)
    if name is None:
        return f"a word of the form `{node.form.text}`"
    if name == "name":
        return _thing(node, found.token.text)
    key = placed["name"][0].text if "name" in placed else None
    schema = node.placeholder(name, key)
    description = schema.get("description") or node.schema["description"]
    return f"{description}\n\n- takes: {describe_value(schema)}"


def listed_metric(metric: str) -> str | None:
    """Return a metric as the table lists it, `latency.<level>` for `latency.low`; None when nothing measures it."""
    if not known_metric(metric):
        return None
    names = metric_names()
    return next((n for n in (metric, *names) if n in names and fnmatchcase(metric, re.sub("<[a-z]+>", "*", n))), None)


def _thing(node: Node, name: str) -> str | None:
    """Return what a named thing is: a metric, a parameter, or one of the user's."""
    if node.name == "criterion":
        listed = listed_metric(name)
        if listed is None:
            return None
        metric = root().nodes["eval"].nodes["criterion"].schema["x-metrics"][listed]
        suites = f"\n- suites: {', '.join(metric['suites'])}" if metric["suites"] else ""
        return f"**{listed}**\n\n{metric['description']}\n\n- measured as: {EXPECTED[metric['unit']]}{suites}"
    if node.fixed_names is not None and name in node.fixed_names:
        schema = node.entry_of(name)
        return f"**{name}**\n\n{schema['description']}\n\n- takes: {describe_value(schema)}"
    return str(node.schema["description"])
