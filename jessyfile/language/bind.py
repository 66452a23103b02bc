"""Statements -> settings: each value with its address, judged by the table, with where it was written.

A *layer* is what one recipe says itself, its INCLUDE parts among it: in one layer nothing is set twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from jessyfile.language.diagnostics import mistake
from jessyfile.language.files import Project, Refused
from jessyfile.language.judge import explain_error
from jessyfile.language.metrics import known_metric, metric_names, metric_unit
from jessyfile.language.parse import CONTROL, MAX_BYTES, Block, Statement, Token
from jessyfile.language.source import SourceFile, Span
from jessyfile.language.suggest import plain, similar
from jessyfile.language.table import LANGUAGE_WORDS, Address, Group, Node, Part, Schema, by_keyword, unit_of
from jessyfile.language.values import Json, Unfit, convert, null_word, wrong_kind
from jessyfile.language.variables import Report, Scope, Unreadable, Value


@dataclass(frozen=True, slots=True)
class Setting:
    """One value and where it was written."""

    value: Json
    span: Span


@dataclass(frozen=True, slots=True)
class Drop:
    """One DROP: the address it removes."""

    address: Address
    what: str
    span: Span


@dataclass
class Layer:
    """What one recipe says: its values, the named things it opens, what it drops, and what could not be read."""

    settings: dict[Address, Setting] = field(default_factory=dict)
    entries: dict[Address, Span] = field(default_factory=dict)
    drops: list[Drop] = field(default_factory=list)
    failed: set[Address] = field(default_factory=set)


@dataclass(frozen=True)
class Unit:
    """One file being read: its text, the folder its paths count from, its names."""

    file: SourceFile
    folder: Path
    scope: Scope
    project: Project
    read_files: list[Path]


@dataclass(frozen=True)
class Binder:
    """Reads the statements of one file into a layer."""

    unit: Unit
    layer: Layer
    report: Report

    def block(self, node: Node, address: Address, statements: Iterable[Statement]) -> None:
        """Read what stands inside one pair of braces, or at the top of a file."""
        for statement in _with_blocks(statements):
            self._statement(node, address, statement)

    def _statement(self, node: Node, address: Address, statement: Statement) -> None:
        head = statement.head
        if head.broken:
            return
        if head.text == "DROP":
            self._drop(node, address, statement)
            return
        inner = node.statements.get(head.text)
        if inner is None:
            self._unknown(node, address, head)
            return
        _Instruction(self, inner, address, statement).read()

    def _unknown(self, node: Node, address: Address, head: Token) -> None:
        here = [*node.statements, *(LANGUAGE_WORDS if node.parent is None else ())]
        elsewhere = by_keyword().get(head.text)
        what = "instruction" if head.text.isupper() else "setting"
        where = f" inside {_title(node)}" if node.parent else ""
        near = similar(head.text, here)
        fix = None
        if head.text in LANGUAGE_WORDS:
            helps = f"`{head.text}` stands outside all blocks"
        elif near and plain(near) == plain(head.text):
            helps, fix = f"a similar name exists: `{near}`", near
        elif elsewhere:
            helps = f"`{head.text}` belongs {_inside(elsewhere[0])}"
        elif near:
            helps, fix = f"a similar name exists: `{near}`", near
        else:
            helps = _known(here, what)
        self.report(
            mistake("J001", f"unknown {what} `{head.text}`{where}", head.span, "not known here", helps=helps, fix=fix)
        )
        self.layer.failed.add((*address, "?"))

    def _drop(self, node: Node, address: Address, statement: Statement) -> None:
        words = [token.text for token in statement.args]
        if statement.block or not 1 <= len(words) <= 2 or any(token.broken for token in statement.args):
            self.report(
                mistake(
                    "J044",
                    "`DROP` takes an instruction and, for a named thing, its name",
                    statement.span,
                    "not readable",
                    helps="write it like `DROP CATEGORY slang`",
                )
            )
            return
        depth = len(node.address)
        found = [
            n
            for n in by_keyword().get(words[0] if words[0].isupper() else "", ())
            if n.address[:depth] == node.address and "*" not in n.address[depth:]
        ]
        named = bool(found) and found[0].kind == "named"
        if not found or named != (len(words) == 2):
            helps = f"`{words[0]}` needs a name" if named else "only instructions can be dropped, as in `DROP SYSTEM`"
            self.report(
                mistake(
                    "J044",
                    f"`DROP {' '.join(words)}` names nothing that a recipe can hold",
                    statement.span,
                    "not known",
                    helps=helps,
                )
            )
            return
        target = (*address, *found[0].address[len(node.address) :], *words[1:])
        self.layer.drops.append(Drop(target, " ".join(words), statement.span))


def _with_blocks(statements: Iterable[Statement]) -> Iterator[Statement]:
    """Give an instruction the block that stands below it without a name: its `{` was reported already."""
    before: Statement | None = None
    for statement in statements:
        if before and before.block is None and statement.head.broken and statement.block and not statement.args:
            before = replace(before, block=statement.block)
            continue
        if before:
            yield before
        before = statement
    if before:
        yield before


def _title(node: Node) -> str:
    return node.form.keywords[0] if node.parent else "a recipe"


def _inside(node: Node) -> str:
    if node.parent is None or node.parent.parent is None:
        return "outside all blocks"
    title = _title(node.parent)
    return f"inside {'an' if title[0] in 'AEIOU' else 'a'} {title} block"


def _known(names: Sequence[str], what: str) -> str:
    words = [name for name in names if name.isupper() == (what == "instruction")] or list(names)
    return "known here: " + ", ".join(f"`{name}`" for name in words[:12]) + (", …" if len(words) > 12 else "")


class _Missing(Exception):  # noqa: N818 (a signal inside this module)
    """The statement cannot be read further; reported already."""


class _Instruction:
    """One statement whose node is known."""

    def __init__(self, binder: Binder, node: Node, around: Address, statement: Statement) -> None:
        self.node = node
        self.around = around
        self.statement = statement
        self.unit = binder.unit
        self.layer = binder.layer
        self.report = binder.report
        self.binder = binder
        self.address: Address = (*around, node.name)

    def read(self) -> None:
        try:
            found = self._match()
        except _Missing:
            self.layer.failed.add(self.address)
            found = None
        if found is None and self.node.kind == "named":
            return
        if found is None or self._set_values(found):
            self._inside()

    def _set_values(self, found: dict[str, list[Token]]) -> bool:
        """Take the values that were matched; return whether the block that follows has a place."""
        if self.node.kind == "named":
            return self._named(found)
        {"value": self._value, "list": self._item, "block": self._block}[self.node.kind](found)
        return True

    # the values after the keyword

    def _match(self) -> dict[str, list[Token]]:
        tokens, found = list(self.statement.args), {}
        if any(token.broken for token in tokens):
            raise _Missing
        for group in self.node.form.groups:
            if group.optional and not self._begins(group, tokens):
                continue
            for part in group.parts:
                self._part(part, tokens, found)
        if tokens:
            self._mistake(
                "J013",
                f"`{self.statement.head.text}` has a value too many",
                tokens[0].span,
                "not expected",
                self._form_help(),
            )
        return found

    @staticmethod
    def _begins(group: Group, tokens: list[Token]) -> bool:
        first = group.parts[0]
        return bool(tokens) and (first.kind != "word" or tokens[0].text == first.text)

    def _part(self, part: Part, tokens: list[Token], found: dict[str, list[Token]]) -> None:
        if part.kind == "word":
            if not tokens or tokens[0].text != part.text:
                at, label = (tokens[0].span, "instead of it") if tokens else (self._end(), "here")
                self._mistake("J012", f"the word `{part.text}` is missing", at, label, self._form_help())
            tokens.pop(0)
            return
        if not tokens:
            what = part.text if part.text != "value" else "a value"
            self._mistake(
                "J012",
                f"`{self.statement.head.text}` lacks {self._article(what)}",
                self.statement.span,
                "incomplete",
                self._form_help(),
            )
        count = len(tokens) if part.kind == "rest" else 1
        if tokens[0].text == "FILE" and len(tokens) > 1 and unit_of(self._schema(part.text, found)) == "text":
            count = 2
        found[part.text] = tokens[:count]
        del tokens[:count]

    @staticmethod
    def _article(what: str) -> str:
        return what if what.startswith("a ") else f"its {what}"

    def _end(self) -> Span:
        span = self.statement.span
        return Span(span.file, span.end, span.end)

    def _form_help(self) -> str:
        example = self.node.schema.get("x-example")
        return f"write it like `{example}`" if example else f"the form is `{self.node.form.text}`"

    def _mistake(self, code: str, message: str, at: Span, label: str, helps: str) -> None:
        self.report(mistake(code, message, at, label, helps=helps))
        raise _Missing

    # what they set

    def _schema(self, placeholder: str, found: dict[str, list[Token]]) -> Schema:
        node = self.node
        if node.kind == "named":
            names = found.get("name")
            key = names[0].text if names and placeholder != "name" else None
            entry = node.entry_of(key if node.fixed_names and key in node.fixed_names else None)
            return (
                entry
                if placeholder == "value" and node.fixed_names
                else entry.get("properties", {}).get(placeholder, {"type": "string", "x-unit": "bare"})
            )  # type: ignore[no-any-return]
        if node.kind == "list":
            items: Schema = node.schema["items"]
            return {**items, "x-unit": node.unit} if placeholder == "value" else items["properties"][placeholder]
        if node.kind == "block":
            return node.schema["properties"][placeholder]  # type: ignore[no-any-return]
        return node.schema if placeholder == "value" else node.parent.nodes[placeholder].schema  # type: ignore[union-attr]

    def _value(self, found: dict[str, list[Token]]) -> None:
        for placeholder, tokens in found.items():
            name = self.node.name if placeholder == "value" else placeholder
            self._set((*self.around, name), self._schema(placeholder, found), tokens)

    def _block(self, found: dict[str, list[Token]]) -> None:
        if found or not self.statement.block:
            self._enter(self.address, self.statement.span, again=bool(found))
        for placeholder, tokens in found.items():
            self._set((*self.address, placeholder), self._schema(placeholder, found), tokens)

    def _item(self, found: dict[str, list[Token]]) -> None:
        items = {name: self._read(self.address, self._schema(name, found), tokens) for name, tokens in found.items()}
        if any(value is _NOTHING for value in items.values()):
            return
        self._append(self.address, items["value"] if "value" in items else items)

    def _append(self, address: Address, item: Json) -> None:
        earlier = self.layer.settings.get(address)
        values = [*earlier.value, item] if earlier else [item]
        self.layer.settings[address] = Setting(values, earlier.span if earlier else self.statement.span)

    def _named(self, found: dict[str, list[Token]]) -> bool:
        name = self._name(found["name"][0])
        if name is None:
            self.layer.failed.add((*self.address, "?"))
            return False
        self.address = (*self.address, name)
        if self.node.fixed_names is not None:
            self._fixed(name, found)
            return True
        if not self._enter(self.address, found["name"][0].span):
            return False
        keyword = self.node.schema.get("x-keyword")
        if keyword:
            self.layer.settings[(*self.address, keyword)] = Setting(
                self.statement.head.text.lower(), self.statement.head.span
            )
        for placeholder, tokens in found.items():
            if placeholder != "name":
                self._set((*self.address, placeholder), self._schema(placeholder, found), tokens)
        return True

    def _fixed(self, name: str, found: dict[str, list[Token]]) -> None:
        schema = self.node.entry_of(name)
        if schema.get("x-repeat"):
            value = self._read(self.address, {**schema["items"], "x-unit": unit_of(schema)}, found["value"])
            if value is not _NOTHING:
                self._append(self.address, value)
            return
        self._set(self.address, schema, found["value"])

    def _name(self, token: Token) -> str | None:
        try:
            value = self.unit.scope.read(token)
        except Unreadable:
            return None
        fixed = self.node.fixed_names
        title = self.statement.head.text
        if fixed is not None and value.text not in fixed:
            near = similar(value.text, fixed)
            helps = f"a similar name exists: `{near}`" if near else "known: " + ", ".join(f"`{n}`" for n in fixed)
            self.report(
                mistake(
                    "J001", f"unknown {self.node.name} `{value.text}`", token.span, "not known", helps=helps, fix=near
                )
            )
            return None
        if self.node.name == "criterion":
            return self._metric(value)
        if fixed is None and judged(self.node.schema["propertyNames"], value.text):
            self.report(
                mistake(
                    "J020",
                    f"`{value.text}` is no name for a {title}",
                    token.span,
                    "not a name",
                    helps="a name begins with a lower-case letter and has a to z, 0 to 9, `_` and `-`",
                    fix=_as_name(value.text),
                )
            )
            return None
        return value.text

    def _metric(self, value: Value) -> str | None:
        if known_metric(value.text):
            return value.text
        near = similar(value.text, metric_names())
        helps = (
            f"a similar metric exists: `{near}`"
            if near
            else "known: " + ", ".join(f"`{name}`" for name in metric_names())
        )
        self.report(
            mistake("J024", f"unknown metric `{value.text}`", value.span, "not measured", helps=helps, fix=near)
        )
        return None

    def _enter(self, address: Address, at: Span, *, again: bool = True) -> bool:
        """Note that a thing was opened here; a named one only once."""
        first = self.layer.entries.get(address)
        if first and again:
            what = (
                " ".join((self.statement.head.text, *address[-1:]))
                if self.node.kind == "named"
                else self.statement.head.text
            )
            self.report(
                mistake(
                    "J011",
                    f"`{what}` is written twice",
                    self.statement.span,
                    "again here",
                    second=(first, "first here"),
                    helps="keep one of the two",
                )
            )
            return False
        self.layer.entries.setdefault(address, at)
        return True

    def _set(self, address: Address, schema: Schema, tokens: list[Token]) -> None:
        span = tokens[0].span.to(tokens[-1].span)
        first = self.layer.settings.get(address)
        if first:
            self.report(
                mistake(
                    "J011",
                    f"`{self._spoken(address)}` is set twice",
                    span,
                    "again here",
                    second=(first.span, "first set here"),
                    helps="keep one of the two",
                )
            )
            return
        if schema.get("type") == "array" or "array" in schema.get("type", ()):
            value = self._list(address, schema, tokens)
        else:
            value = self._read(address, schema, tokens)
        if value is not _NOTHING:
            self.layer.settings[address] = Setting(value, span)

    def _list(self, address: Address, schema: Schema, tokens: list[Token]) -> Json:
        if unit_of(schema) == "range":
            return self._read(address, schema, tokens)
        values = [self._read(address, {**schema["items"], "x-unit": unit_of(schema)}, [token]) for token in tokens]
        if any(value is _NOTHING for value in values):
            return _NOTHING
        return values if self._allowed(address, schema, values, tokens[0].span.to(tokens[-1].span)) else _NOTHING

    def _read(self, address: Address, schema: Schema, tokens: list[Token]) -> Json:
        """Return one value, or `_NOTHING` when it was reported as a mistake."""
        try:
            value = self._file_text(tokens[1]) if len(tokens) == 2 else self.unit.scope.read(tokens[0])
            found = self._convert(address, value, schema)
        except Unreadable:
            self.layer.failed.add(address)
            return _NOTHING
        except Unfit as unfit:
            self.report(
                mistake(
                    unfit.code,
                    f"`{self._spoken(address)}` {unfit.message}",
                    tokens[0].span,
                    unfit.label,
                    helps=unfit.help or (),
                    fix=unfit.fix,
                )
            )
            self.layer.failed.add(address)
            return _NOTHING
        except Refused as refused:
            self.report(mistake(refused.code, refused.message, tokens[-1].span, "named here", helps=refused.help))
            self.layer.failed.add(address)
            return _NOTHING
        return found if self._allowed(address, schema, found, tokens[0].span.to(tokens[-1].span)) else _NOTHING

    def _convert(self, address: Address, value: Value, schema: Schema) -> Json:
        unit = unit_of(schema)
        if unit == "criterion":
            if value.kind == "NAME" and value.text == "baseline":
                return "baseline"
            unit = metric_unit(self.address[-1])
        if unit in ("path", "folder", "model") and not (value.kind == "NAME" and value.text == null_word(schema)):
            return path_value(value, unit, self.unit.project, self.unit.folder)
        return convert(value, unit, schema)

    def _file_text(self, token: Token) -> Value:
        written = self.unit.scope.read(token)
        if written.kind not in ("STRING", "PATH"):
            raise wrong_kind(written, "path")
        path = self.unit.project.existing(written.text, self.unit.folder)
        data = self.unit.project.read(path, written.text, MAX_BYTES)
        self.unit.read_files.append(path)
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise Refused("J006", f"`{written.text}` is not UTF-8 (byte {error.start})", "save it as UTF-8") from error
        text = text.replace("\r\n", "\n").removesuffix("\n")
        control = CONTROL.search(text)
        if control:
            line = text.count("\n", 0, control.start()) + 1
            raise Refused(
                "J006",
                f"`{written.text}` holds the control character U+{ord(control.group()):04X} on line {line}",
                "delete it",
            )
        return Value("TEXT", text, token.span)

    def _allowed(self, address: Address, schema: Schema, value: Json, span: Span) -> bool:
        problem = judged(schema, value)
        if problem is None:
            return True
        self.report(mistake(problem[0], f"`{self._spoken(address)}` {problem[1]}", span, problem[2], helps=problem[3]))
        self.layer.failed.add(address)
        return False

    def _spoken(self, address: Address) -> str:
        """Return what a reader calls a value: its word as written, with its name if it has one."""
        head = self.statement.head.text
        if self.node.name == "criterion" and address[-1] == "value":
            return address[-2]
        if self.node.fixed_names is not None:
            return f"{head} {self.address[-1]}"
        return head if address in (self.address, (*self.around, self.node.name)) else address[-1]

    # its block

    def _inside(self) -> None:
        block = self.statement.block
        if block is None:
            if self.node.kind == "block" and self.node.statements and not self.node.form.groups:
                self.report(
                    mistake(
                        "J012",
                        f"`{self.statement.head.text}` lacks its block",
                        self.statement.span,
                        "incomplete",
                        helps=f"write `{self.statement.head.text} {{`, then a setting a line, then `}}`",
                    )
                )
            return
        if not self.node.statements or self.node.kind in ("value", "list"):
            self.report(
                mistake(
                    "J019",
                    f"`{self.statement.head.text}` has no block",
                    block.open,
                    "not expected",
                    helps=self._form_help(),
                )
            )
            return
        self.binder.block(self.node, self.address, _split(self.node, block))


def path_value(value: Value, unit: str, project: Project, folder: Path) -> str:
    """Return a path as counted from the root; `./` stands before a model's, to tell it from a name. Raises Unfit or Refused."""
    if unit == "model" and value.kind != "PATH" and not value.text.startswith(("./", "../", "/", "~")):
        if value.kind in ("NAME", "WORD", "REF", "STRING", "URL"):
            return value.text
        raise wrong_kind(value, unit)
    if value.kind not in ("STRING", "PATH"):
        raise wrong_kind(value, unit, f'put it into quotes: `"{value.text}"`')
    relative = project.relative(project.existing(value.text, folder, is_folder=unit == "folder"))
    return f"./{relative}" if unit == "model" else relative


def _split(node: Node, block: Block) -> Sequence[Statement]:
    """Return a block's statements; on one line, several settings may follow each other."""
    if not block.one_line or len(block.statements) != 1 or block.statements[0].block:
        return block.statements
    only = block.statements[0]
    statements, args, head = [], [], only.head
    for token in only.args:
        if args and token.kind in ("WORD", "NAME") and token.text in node.statements:
            statements.append(Statement(head, tuple(args), None))
            head, args = token, []
        else:
            args.append(token)
    return [*statements, Statement(head, tuple(args), None)]


class _Nothing:
    """Stands for a value that was reported as a mistake: null is a value."""


_NOTHING: Any = _Nothing()


def _as_name(text: str) -> str | None:
    name = "".join(c if c.isascii() and (c.isalnum() or c in "_-") else "_" for c in plain(text)).strip("_-")
    return name if name and name[0].isalpha() else None


def judged(schema: Schema, value: Json) -> tuple[str, str, str, str] | None:
    """Return why the schema refuses a value, as code, end of the sentence, label and help; None when it takes it."""
    from jsonschema.validators import Draft202012Validator

    error = next(Draft202012Validator(schema).iter_errors(value), None)
    return explain_error(error) if error is not None else None
