"""A recipe's document -> the text of one recipe without EXTENDS, INCLUDE or variables, each line with where it
came from."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from jessyfile.language.metric_table import metric_unit
from jessyfile.language.recipe import Recipe, Source, leaves
from jessyfile.language.table import OPEN, Address, Group, Node, Part, Schema, item_schema, root, unit_of
from jessyfile.language.write_value import quoted, spell, spell_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from jessyfile.language.values import Json

_INDENT = "  "
Origins = Literal["none", "others", "all"]


def flatten(recipe: Recipe, *, origins: Origins = "none", everything: bool = False) -> str:
    """Return the recipe as one text, formatted; `origins` says which lines tell where they are written, and `everything` prints
    defaults too."""
    from jessyfile.language.format import format_text

    own = os.path.relpath(recipe.path, _root_of(recipe))
    shown = {address: one for address, one in recipe.sources.items() if origins == "all" or one.file != own}
    text = print_document(
        recipe.document,
        recipe.sources,
        folder=os.path.dirname(own),
        origins={} if origins == "none" else shown,
        everything=everything,
    )
    return format_text(text)


def _root_of(recipe: Recipe) -> str:
    from jessyfile.project import find_root

    return str(find_root(recipe.path))


def flat_lines(recipe: Recipe) -> Iterator[str]:
    """Yield one line for each value: address, JSON value, and where it was written."""
    import json

    values = [(".".join(a), json.dumps(v, ensure_ascii=False)) for a, v in leaves(recipe.document)]
    wide = max(len(f"{address} = {value}") for address, value in values if len(value) < 40)
    for address, value in values:
        source = recipe.sources.get(address)
        line = f"{address} = {value}"
        yield f"{line:<{wide}}  # {f'from {source}' if source else 'default'}"


def print_document(
    document: Mapping[str, Json],
    sources: Mapping[str, Source],
    *,
    folder: str = "",
    origins: Mapping[str, Source] | None = None,
    everything: bool = False,
) -> str:
    """Return a document as recipe text.

    Args:
        document: the recipe's values as JSON.
        sources: where each value was written, by address.
        folder: where the text will stand, relative to the root; paths are written from there.
        origins: the places that are told in a comment; none unless given.
        everything: whether defaults are printed too.

    Returns:
        The recipe's text.
    """
    printer = _Printer(sources, folder, origins=origins or {}, everything=everything)
    lines: list[str] = []
    for node in root().nodes.values():
        part = printer.node(node, (), document, "")
        if part and lines and (len(part) > 1 or node.kind not in ("value", "list")):
            lines.append("")
        lines += part
    return "\n".join(lines) + "\n"


@dataclass(frozen=True)
class _Printer:
    """Prints nodes of the table with the values of one document."""

    sources: Mapping[str, Source]
    folder: str
    origins: Mapping[str, Source]
    everything: bool

    def node(self, node: Node, around: Address, inside: Mapping[str, Json], indent: str) -> list[str]:
        """Return the lines of one property."""
        address = (*around, node.name)
        value: Json = inside.get(node.name)
        if not self._wanted(address) or (value is None and node.kind != "value") or "x-with" in node.schema:
            return []
        if node.kind == "value":
            # several words, of which there are none, are no line: the language cannot write it
            return [] if value == [] else self._statement(node, address, {**inside, "value": value}, indent)
        if node.kind == "list":
            items = (item if isinstance(item, dict) else {"value": item} for item in value)
            return [line for item in items for line in self._statement(node, address, item, indent)]
        if node.kind == "block":
            return self._block(node, address, value, indent)
        return [line for name, entry in value.items() for line in self._named(node, (*address, name), entry, indent)]

    def _wanted(self, address: Address) -> bool:
        if self.everything:
            return True
        text = ".".join(address)
        return text in self.sources or any(known.startswith(text + ".") for known in self.sources)

    def _named(self, node: Node, address: Address, entry: Json, indent: str) -> list[str]:
        if not self._wanted(address):
            return []
        name = address[-1]
        if node.fixed_names is not None:
            values = entry if isinstance(entry, list) else [entry]
            return [
                line for one in values for line in self._statement(node, address, {"name": name, "value": one}, indent)
            ]
        return self._block(node, address, {**entry, "name": name}, indent)

    def _block(self, node: Node, address: Address, inside: Mapping[str, Json], indent: str) -> list[str]:
        children = dict.fromkeys(node.statements.values())
        lines = [
            line
            for child in children
            for line in self.node(child, address, self._shown(address, inside), indent + _INDENT)
        ]
        if not lines and not node.form.groups:
            return []
        [head, *rest] = self._statement(node, address, inside, indent, bare=bool(lines))
        return [head + " {" + self._origin(address), *lines, indent + "}"] if lines else [head, *rest]

    def _shown(self, address: Address, inside: Mapping[str, Json]) -> Mapping[str, Json]:
        """Leave out what a topic only inherits."""
        if self.everything or len(address) < 2 or address[-2] != "topic":
            return inside
        return {
            k: v for k, v in inside.items() if k not in ("language", "level") or ".".join((*address, k)) in self.sources
        }

    def _statement(
        self, node: Node, address: Address, inside: Mapping[str, Json], indent: str, *, bare: bool = False
    ) -> list[str]:
        form = node.form
        keyword = str(inside[node.schema["x-keyword"]]).upper() if "x-keyword" in node.schema else form.keywords[0]
        words = [] if keyword == OPEN else [keyword]
        lines: list[str] = []
        for group in form.groups:
            for word in self._group(group, node, inside):
                if isinstance(word, list):
                    words.append(word[0])
                    lines = [line if line == "" else indent + line for line in word[1:]]
                else:
                    words.append(word)
        lines = [indent + " ".join(words), *lines]
        return lines if bare else [*lines[:-1], lines[-1] + self._origin(address)]

    def _group(self, group: Group, node: Node, inside: Mapping[str, Json]) -> Iterator[str | list[str]]:
        if group.optional and all(inside.get(p.text) in (None, "", []) for p in group.parts if p.kind != "word"):
            return
        for part in group.parts:
            yield from self._part(part, node, inside)

    def _part(self, part: Part, node: Node, inside: Mapping[str, Json]) -> Iterator[str | list[str]]:
        if part.kind == "word":
            yield part.text
            return
        value, schema = inside.get(part.text), node.placeholder(part.text, inside.get("name"))
        unit = unit_of(schema)
        if part.kind == "rest":
            for one in [None] if value is None else value:
                yield self._path(str(one), unit, schema) if unit == "path" else spell(one, unit, item_schema(schema))
        elif part.text == "name" and node.kind == "named":
            yield str(value)
        elif unit == "text" and isinstance(value, str) and "\n" in value:
            yield spell_text(value, _INDENT)
        elif unit in ("path", "folder", "model", "pattern") and isinstance(value, str):
            yield self._path(value, unit, schema)
        elif unit == "criterion":
            yield str(value) if isinstance(value, str) else spell(value, metric_unit(inside["name"]), schema)
        else:
            yield spell(value, unit, schema)

    def _path(self, value: str, unit: str, schema: Schema) -> str:
        if unit == "model" and not value.startswith("./"):
            return spell(value, unit, schema)
        relative = os.path.relpath(value.removeprefix("./"), self.folder or ".")
        return quoted(relative if unit != "model" or relative.startswith("../") else f"./{relative}")

    def _origin(self, address: Address) -> str:
        if not self.origins:
            return ""
        source = self.origins.get(".".join(address))
        return f"  # from {source}" if source else ("  # default" if self.everything else "")
