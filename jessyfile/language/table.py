"""The one table, grammar/recipe.schema.json, as objects: what may be written where, and how.

Each property of the schema is a `Node`. How it is written comes from its `x-form`, for example

    CATEGORY <name> <count> [<title>]     an instruction whose name and count follow it; the title may be left out
    MUST|SHOULD|MAY <name> <comparison> <value> [at <confidence>]
    rank <value>                          what a setting has when it says nothing else
    <name> <model> [at <at>]              a line that begins with a name of the user's

`<name>` is the key of a named thing, `<value>` the node's own value, any other placeholder a property beside or
inside it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any, Literal

from jessyfile.resources import resource

Kind = Literal["value", "list", "block", "named"]
Schema = Mapping[str, Any]
Address = tuple[str, ...]

OPEN = "<name>"  # in place of a keyword: a line that begins with a name of the user's
LANGUAGE_WORDS = ("EXTENDS", "INCLUDE", "DROP", "VARIANT", "LET", "ARG")
_PART = re.compile(r"\[|\]|<[a-z_]+(?:\.\.\.)?>|[^\s\[\]]+")


@dataclass(frozen=True, slots=True)
class Part:
    """One place in a form: a fixed word, one value, or all values that are left."""

    kind: Literal["word", "value", "rest"]
    text: str


@dataclass(frozen=True, slots=True)
class Group:
    """Parts that come together; an optional group may be left out."""

    parts: tuple[Part, ...]
    optional: bool


@dataclass(frozen=True, slots=True)
class Form:
    """How an instruction or a setting is written."""

    text: str
    keywords: tuple[str, ...]
    groups: tuple[Group, ...]

    @property
    def placeholders(self) -> tuple[str, ...]:
        """The names between angle brackets, in order."""
        return tuple(part.text for group in self.groups for part in group.parts if part.kind != "word")


@cache
def read_form(text: str) -> Form:
    """Read a form's text."""
    head, *rest = _PART.findall(text)
    if head == OPEN:
        rest = [head, *rest]
    groups: list[Group] = []
    parts: list[Part] = []
    optional = False
    for item in rest:
        if item in "[]":
            groups.append(Group(tuple(parts), optional))
            parts, optional = [], item == "["
        else:
            parts.append(_part(item))
    groups.append(Group(tuple(parts), optional))
    return Form(text, tuple(head.split("|")), tuple(group for group in groups if group.parts))


def _part(item: str) -> Part:
    if not item.startswith("<"):
        return Part("word", item)
    return Part("rest", item[1:-4]) if item.endswith("...>") else Part("value", item[1:-1])


@dataclass(frozen=True, eq=False)
class Node:
    """One property of the schema: where it stands, how it is written, what may stand inside it."""

    name: str
    schema: Schema
    parent: Node | None

    @cached_property
    def form(self) -> Form:
        """How it is written."""
        return read_form(self.schema.get("x-form") or f"{self.name} <value>")

    @cached_property
    def kind(self) -> Kind:
        """A single value, a list with one line an item, a block, or a block for each name."""
        if self.schema.get("x-repeat"):
            return "list"
        if "<name>" in self.form.text and "name" not in self._inside:
            return "named"
        return "block" if self._inside else "value"

    @cached_property
    def _inside(self) -> Schema:
        return self.entry_of(None).get("properties", {})  # type: ignore[no-any-return]

    def entry_of(self, name: str | None) -> Schema:
        """Return the schema of one named thing (for a parameter, the one of that key), or the node's own."""
        extra = self.schema.get("additionalProperties")
        if isinstance(extra, dict):
            return extra
        properties: Schema = self.schema.get("properties", {})
        if name is not None and self.kind == "named":
            return properties[name]  # type: ignore[no-any-return]
        return self.schema

    def placeholder(self, text: str, key: str | None) -> Schema:
        """Return the schema of one placeholder of its form; `key` is the thing's name when the node is a named one."""
        if self.kind == "named":
            entry = self.entry_of(key if self.fixed_names and key in self.fixed_names else None)
            found: Schema = entry if self.fixed_names else entry["properties"].get(text, {"type": "string"})
            return item_schema(found) if found.get("x-repeat") else found
        if self.kind == "list":
            return item_schema(self.schema) if text == "value" else self.schema["items"]["properties"][text]
        if self.kind == "block":
            return self.schema["properties"][text]  # type: ignore[no-any-return]
        return self.schema if text == "value" or self.parent is None else self.parent.nodes[text].schema

    @property
    def fixed_names(self) -> tuple[str, ...] | None:
        """The names that are allowed, when the schema lists them (parameters); None when the user chooses."""
        if self.kind != "named" or isinstance(self.schema.get("additionalProperties"), dict):
            return None
        return tuple(self.schema["properties"])

    @cached_property
    def address(self) -> Address:
        """Its address from the root, with `*` for every name."""
        if self.parent is None:
            return ()
        above = self.parent.address + (("*",) if self.parent.kind == "named" else ())
        return (*above, self.name)

    @cached_property
    def nodes(self) -> dict[str, Node]:
        """Every property inside, by its name."""
        if self.kind in ("value", "list") or self.fixed_names is not None:
            return {}
        return {name: Node(name, schema, self) for name, schema in self._inside.items()}

    @cached_property
    def statements(self) -> dict[str, Node]:
        """What may stand inside its braces, by keyword."""
        taken = set(self.form.placeholders) if self.parent else set()
        written = [
            n
            for n in self.nodes.values()
            if n.name not in taken and "x-with" not in n.schema and not self._by_keyword(n)
        ]
        return {keyword: node for node in written for keyword in node.form.keywords}

    def statement_of(self, word: str) -> Node | None:
        """Return what a line that begins with a word is, inside its braces; None when it is nothing known."""
        return self.statements.get(word) or (None if word.isupper() else self.statements.get(OPEN))

    def _by_keyword(self, node: Node) -> bool:
        return self.schema.get("x-keyword") == node.name

    def inherited(self, annotation: str) -> Any:  # noqa: ANN401 (whatever the schema holds)
        """Return an annotation of this node or of the nearest one around it."""
        if annotation in self.schema:
            return self.schema[annotation]
        return self.parent.inherited(annotation) if self.parent else None

    @property
    def unit(self) -> str:
        """How its value is spelled."""
        return unit_of(self.schema)

    def walk(self) -> Iterator[Node]:
        """Yield this node and everything inside it."""
        yield self
        for node in self.nodes.values():
            yield from node.walk()


def is_array(schema: Schema) -> bool:
    """Return whether a value of this schema is written as several values."""
    return "array" in schema.get("type", ()) and schema.get("x-unit") != "range"


def item_schema(schema: Schema) -> Schema:
    """Return the schema of one item of a list, spelled as the list says."""
    return {**schema["items"], "x-unit": unit_of(schema)}


def unit_of(schema: Schema) -> str:
    """Return how a value of this schema is spelled: its `x-unit`, else by its type."""
    unit = schema.get("x-unit")
    if unit:
        return str(unit)
    if "enum" in schema:
        return "choice"
    declared = schema.get("type")
    names = [declared] if isinstance(declared, str) else list(declared or ())
    for name in ("integer", "number", "boolean", "array"):
        if name in names:
            return name if name != "array" else unit_of(schema["items"])
    return "string"


@cache
def document_schema() -> Schema:
    """Return the schema itself."""
    return json.loads(resource("grammar", "recipe.schema.json").read_text("utf-8"))  # type: ignore[no-any-return]


@cache
def root() -> Node:
    """Return the node of a whole recipe."""
    return Node("", {**document_schema(), "x-form": "RECIPE"}, None)


@cache
def by_keyword() -> dict[str, tuple[Node, ...]]:
    """Return every node that a keyword can mean, wherever it may stand."""
    found: dict[str, list[Node]] = {}
    for node in root().walk():
        for keyword, inner in node.statements.items():
            found.setdefault(keyword, []).append(inner)
    return {keyword: tuple(nodes) for keyword, nodes in found.items()}


@cache
def node_at(address: Address) -> Node | None:
    """Return the node of an address, named things and dotted metric names included; None when there is none."""
    node = root()
    parts = list(address)
    while parts:
        if node.kind == "named":
            parts = parts[1:]
            if not parts or node.fixed_names is not None:
                return node
        inner = node.nodes.get(parts[0])
        if inner is None:
            return None
        node, parts = inner, parts[1:]
    return node


def is_entry(address: Address) -> bool:
    """Return whether an address is that of one thing that the user named, and not of a part of it."""
    node = node_at(address)
    if node is None or node.kind != "named" or node.fixed_names is not None:
        return False
    return len(address) == len(node.address) + 1
