"""Completion: what may be written at the cursor. Instructions, settings, names and values all come from the table."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from jessyfile.editors.hover import default_word, describe_head, describe_value, listed_metric
from jessyfile.editors.lsp.names import declarations, walk
from jessyfile.editors.lsp.places import CursorPlace, Where, cursor_at
from jessyfile.editors.vocabulary import instructions
from jessyfile.language.metric_table import metric_names, metric_unit, shipped_suites
from jessyfile.language.parse import parse
from jessyfile.language.recipe import MODELS
from jessyfile.language.source import SourceFile
from jessyfile.language.table import (
    LANGUAGE_WORDS,
    OPEN,
    Node,
    Schema,
    by_keyword,
    document_schema,
    is_array,
    item_schema,
    root,
    unit_of,
)
from jessyfile.language.values import PERIODS, null_word

if TYPE_CHECKING:
    from jessyfile.language.syntax import Statement, Token
    from jessyfile.language.table import Group, Part

Kind = Literal["instruction", "setting", "value", "name", "variable", "word", "file"]
_FILES = ("EXTENDS", "INCLUDE")
_BARE = ("integer", "number", "share", "seconds", "range")


@dataclass(frozen=True, slots=True)
class Suggestion:
    """One thing that may be written. `snippet`, where given, is what an editor that has snippets puts in instead."""

    label: str
    kind: Kind
    detail: str = ""
    documentation: str = ""
    snippet: str | None = None


@dataclass(frozen=True, slots=True)
class Scene:
    """A text, the folder its paths count from, and the texts that it extends or includes: their names count too."""

    text: str
    folder: Path | None = None
    others: tuple[str, ...] = ()

    def named(self, *keywords: str) -> Iterator[Suggestion]:
        """Yield the names that these instructions give to things, in any of the texts."""
        for text in (self.text, *self.others):
            for statement in walk(parse(SourceFile("x", text)).statements):
                if statement.head.text in keywords and statement.args and statement.args[0].text:
                    detail = f"{statement.head.text}, line {statement.span.line}"
                    yield Suggestion(statement.args[0].text, "name", detail)

    def things(self, keyword: str) -> list[Suggestion]:
        """Return the levels or suites there are; those that every recipe has when none is named."""
        default = by_keyword()[keyword][0].schema.get("default", {})
        return list(self.named(keyword)) or [Suggestion(name, "name") for name in default]


@dataclass(frozen=True, slots=True)
class Completion:
    """The suggestions, and the part of a word before the cursor whose place they take."""

    word: str
    suggestions: tuple[Suggestion, ...]


def complete(scene: Scene, offset: int) -> Completion:
    """Return what may stand at an offset of a scene's text."""
    cursor = cursor_at(scene.text, offset)
    maker = _MAKERS.get(cursor.where)
    return Completion(cursor.word, tuple(dict.fromkeys(maker(cursor, scene))) if maker else ())


# what begins a statement


def _heads(cursor: CursorPlace, scene: Scene) -> Iterator[Suggestion]:
    if cursor.node is None:
        return
    for word, node in cursor.node.statements.items():
        if word == "JESSY" and cursor.overlay:
            continue
        if word == OPEN:
            yield from (*scene.named("LEVEL"), *scene.named("CATEGORY"))
            continue
        if word not in cursor.used or node.kind in ("list", "named"):
            yield _head(word, node)
    for word in ("DROP",) if cursor.node.parent or cursor.overlay else LANGUAGE_WORDS:
        form = str(document_schema()["x-words"][word]["form"])
        yield Suggestion(word, "instruction", form, describe_head(word, None) or "")


def _head(word: str, node: Node) -> Suggestion:
    block = node.kind == "block" and not node.form.groups
    detail = str(node.schema.get("x-example") or node.form.text)
    kind: Kind = "instruction" if word.isupper() else "setting"
    return Suggestion(word, kind, detail, describe_head(word, node) or "", f"{word} {{\n  $0\n}}" if block else None)


# names in `${…}`


def _variables(_: CursorPlace, scene: Scene) -> Iterator[Suggestion]:
    for mention in declarations(parse(SourceFile("x", scene.text)).statements).values():
        yield Suggestion(mention.name, "variable", mention.span.file.line(mention.span.line).strip())


# files


def _files(cursor: CursorPlace, scene: Scene) -> Iterator[Suggestion]:
    if scene.folder is None or cursor.statement is None or cursor.statement.head.text not in _FILES:
        return
    written = cursor.word.rpartition("/")[0]
    try:
        paths = sorted((scene.folder / written).iterdir())
    except (OSError, ValueError):
        return
    for path in paths:
        if path.suffix == ".jessy" or (path.is_dir() and not path.name.startswith(".")):
            yield Suggestion(f"{written}/{path.name}".lstrip("/"), "file")


# what follows a word


def _arguments(cursor: CursorPlace, scene: Scene) -> Iterator[Suggestion]:
    statement = cursor.statement
    if statement is None:
        return
    if statement.head.text == "DROP":
        yield from _droppable(statement, scene)
    elif statement.head.text == "ARG":
        yield from _words(("FROM ENV",) if len(statement.args) >= 3 else ())
    elif cursor.node and (node := cursor.node.statement_of(statement.head.text)) is not None:
        opened = [statement.head] if OPEN in node.form.keywords else []
        yield from _placeholders(node, [*opened, *statement.args], scene)


def _words(words: Iterable[str]) -> Iterator[Suggestion]:
    return (Suggestion(word, "word") for word in words)


def _droppable(statement: Statement, scene: Scene) -> Iterator[Suggestion]:
    if not statement.args:
        yield from _words(word for word in instructions() if word in by_keyword() and word != "JESSY")
    elif len(statement.args) == 1:
        yield from scene.named(statement.args[0].text)


def _placeholders(node: Node, written: list[Token], scene: Scene) -> Iterator[Suggestion]:
    name = written[0].text if node.kind == "named" and written else None
    for part in next_parts(node.form.groups, written):
        if part.kind == "word":
            yield Suggestion(part.text, "word", node.form.text)
        elif part.text == "name" and node.kind == "named":
            yield from _names(node, scene)
        else:
            yield from _values(node, node.placeholder(part.text, name), name, scene)


def next_parts(groups: tuple[Group, ...], written: list[Token]) -> Iterator[Part]:
    """Yield the parts of a form that may come next: one, or the first ones of optional groups."""
    tokens = list(written)
    for group in groups:
        first = group.parts[0]
        if tokens and group.optional and first.kind == "word" and tokens[0].text != first.text:
            continue
        for part in group.parts:
            if not tokens:
                yield part
                if not group.optional or part is not first:
                    return
                break
            if part.kind == "rest":
                yield part
                return
            del tokens[0]


def _names(node: Node, scene: Scene) -> Iterator[Suggestion]:
    if node.name == "criterion":
        yield from _metrics(scene)
    elif node.fixed_names is not None:
        for name in node.fixed_names:
            yield Suggestion(name, "name", str(node.entry_of(name)["description"]))
    elif node.name == "suite":
        yield from (Suggestion(name, "name") for name in shipped_suites())
    elif isinstance(node.schema.get("default"), dict):
        yield from (Suggestion(name, "name") for name in node.schema["default"])


def _metrics(scene: Scene) -> Iterator[Suggestion]:
    for metric in (name for name in metric_names() if "<field>" not in name):  # fields are the suite's own
        kind = "LEVEL" if "<level>" in metric else "SUITE" if "<suite>" in metric else None
        names = [thing.label for thing in scene.things(kind)] if kind else [""]
        for name in names:
            written = metric.replace("<level>", name).replace("<suite>", name)
            listed = root().nodes["eval"].nodes["criterion"].schema["x-metrics"][listed_metric(written) or metric]
            yield Suggestion(written, "name", str(listed["description"]))


def _values(node: Node, schema: Schema, name: str | None, scene: Scene) -> Iterator[Suggestion]:
    schema = item_schema(schema) if is_array(schema) else schema
    unit = unit_of(schema)
    takes = describe_value(schema)
    if node.name == "level" and unit == "bare":
        yield from scene.things("LEVEL")
    yield from (Suggestion(word, "value", takes) for word in _choices(schema, unit, name))
    if unit == "text":
        yield Suggestion("FILE", "word", "read the text from a file", snippet='FILE "$0"')
        yield Suggestion('"""', "value", "a text of several lines", snippet='"""\n  $0\n  """')
    default = default_word(schema) if unit in _BARE else None
    if default and default != null_word(schema):
        yield Suggestion(default, "value", f"the default; {takes}")


def _choices(schema: Schema, unit: str, name: str | None) -> Iterator[str]:
    if unit == "criterion":
        yield "90%" if metric_unit(name or "") == "share" else "5s"
        yield from MODELS
        return
    yield from (str(value) for value in schema.get("enum", ()) if value is not None)
    yield from {"boolean": ("yes", "no"), "period": tuple(PERIODS)}.get(unit, ())
    nothing = null_word(schema)
    if nothing:
        yield nothing


_MAKERS: dict[Where, Callable[[CursorPlace, Scene], Iterator[Suggestion]]] = {
    "head": _heads,
    "argument": _arguments,
    "variable": _variables,
    "string": _files,
}
