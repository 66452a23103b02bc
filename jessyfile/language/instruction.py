"""One statement whose meaning is known -> values in its layer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jessyfile.language.diagnostics import mistake
from jessyfile.language.form_match import Matched, Unmatched, form_help, match
from jessyfile.language.layer import FileContext, Setting
from jessyfile.language.metric_table import known_metric, metric_names, metrics_of_suite
from jessyfile.language.project_files import Refused
from jessyfile.language.reading import judge, read_value
from jessyfile.language.suggest import help_for, listed, plain, similar
from jessyfile.language.table import Address, Node, Schema, is_array, item_schema
from jessyfile.language.values import InvalidValue, Json, null_word
from jessyfile.language.variables import Unreadable, Value

if TYPE_CHECKING:
    from jessyfile.language.source import Span
    from jessyfile.language.syntax import Statement, Token


class _Nothing:
    """Stands for a value that was reported as a mistake: null is a value."""


_NOTHING: Any = _Nothing()


class Instruction:
    """Reads one statement; `address` is where its block's values belong."""

    def __init__(self, context: FileContext, node: Node, around: Address, statement: Statement) -> None:
        """Begin to read one statement.

        Args:
            context: the file, its folder, names in scope and the layer that takes the values.
            node: the instruction's entry in the table of the language.
            around: the address of the block around it.
            statement: the parsed statement.
        """
        self.context = context
        self.layer = context.layer
        self.node = node
        self.around = around
        self.statement = statement
        self.address: Address = (*around, node.name)

    def read(self) -> bool:
        """Take the statement's values; return whether the block that follows has a place."""
        try:
            found = match(self.node, self.statement)
        except Unmatched as unmatched:
            if unmatched.report:
                self.context.report(unmatched.report)
            self.layer.failed.add(self.address)
            return self.node.kind != "named"
        if self.node.kind == "named":
            return self._named(found)
        if self.node.kind == "block":
            return self._block(found)
        (self._value if self.node.kind == "value" else self._item)(found)
        return True

    def check_block(self) -> bool:
        """Return whether the statement has a block to read; report one that is missing or has no place."""
        block, head = self.statement.block, self.statement.head.text
        may_have = bool(self.node.statements) and self.node.kind in ("block", "named")
        if block is None and may_have and self.node.kind == "block" and not self.node.form.groups:
            helps = f"write `{head} {{`, then a setting a line, then `}}`"
            self._report("J012", f"`{head}` lacks its block", self.statement.span, "incomplete", helps)
        if block is not None and not may_have:
            self._report("J019", f"`{head}` has no block", block.open, "not expected", form_help(self.node))
        return block is not None and may_have

    def _report(self, code: str, message: str, at: Span, label: str, helps: str | None, fix: str | None = None) -> None:
        self.context.report(mistake(code, message, at, label, helps=helps or (), fix=fix))

    # the four kinds

    def _value(self, found: Matched) -> None:
        for placeholder, tokens in found.items():
            name = self.node.name if placeholder == "value" else placeholder
            self._set((*self.around, name), self.node.placeholder(placeholder, None), tokens)

    def _block(self, found: Matched) -> bool:
        opened = found or not self.statement.block or "null" in self.node.schema.get("type", ())
        if opened and not self._enter(self.statement.span, again=bool(found)):
            return False
        for placeholder, tokens in found.items():
            self._set((*self.address, placeholder), self.node.placeholder(placeholder, None), tokens)
        return True

    def _item(self, found: Matched) -> None:
        read = {name: self._read(self.address, self.node.placeholder(name, None), t) for name, t in found.items()}
        if not any(value is _NOTHING for value in read.values()):
            self._append(read.get("value", read))

    def _append(self, item: Json) -> None:
        earlier = self.layer.settings.get(self.address)
        values = [*earlier.value, item] if earlier else [item]
        self.layer.settings[self.address] = Setting(values, earlier.span if earlier else self.statement.span)

    def _named(self, found: Matched) -> bool:
        name = self._name(found["name"][0])
        if name is None:
            self.layer.failed.add((*self.address, "?"))
            return False
        self.address = (*self.address, name)
        if self.node.fixed_names is not None:
            self._fixed(name, found["value"])
            return True
        if not self._enter(found["name"][0].span):
            return False
        keyword = self.node.schema.get("x-keyword")
        if keyword:
            head = self.statement.head
            self.layer.settings[(*self.address, keyword)] = Setting(head.text.lower(), head.span)
        for placeholder, tokens in found.items():
            if placeholder != "name":
                self._set((*self.address, placeholder), self.node.placeholder(placeholder, name), tokens)
        return True

    def _fixed(self, name: str, tokens: list[Token]) -> None:
        schema = self.node.entry_of(name)
        if not schema.get("x-repeat"):
            self._set(self.address, schema, tokens)
            return
        value = self._read(self.address, item_schema(schema), tokens)
        if value is not _NOTHING:
            self._append(value)

    # names

    def _name(self, token: Token) -> str | None:
        try:
            value = self.context.scope.read(token)
        except Unreadable:
            return None
        if self.node.name == "criterion":
            if known_metric(value.text):
                return value.text
            self._unknown(value, "J024", "metric", (*metric_names(), *metrics_of_suite(value.text)))
            return None
        known = self.node.fixed_names
        if known is None:
            return self._checked_name(value)
        if value.text not in known:
            self._unknown(value, "J001", "name", known)
            return None
        return value.text

    def _unknown(self, value: Value, code: str, kind: str, known: tuple[str, ...]) -> None:
        what, label = (kind, "not measured") if kind == "metric" else (self.node.name, "not known")
        listing = metric_names() if kind == "metric" else known
        helps = help_for(value.text, known, kind, f"known: {listed(listing)}")
        self._report(code, f"unknown {what} `{value.text}`", value.span, label, helps, similar(value.text, known))

    def _checked_name(self, value: Value) -> str | None:
        try:
            judge(self.node.schema["propertyNames"], value.text)
        except InvalidValue:
            message = f"`{value.text}` is no name for a {self.statement.head.text}"
            helps = "a name begins with a lower-case letter and has a to z, 0 to 9, `_` and `-`"
            self._report("J020", message, value.span, "not a name", helps, _as_name(value.text))
            return None
        return value.text

    def _enter(self, at: Span, *, again: bool = True) -> bool:
        """Note that a thing was opened here; report it, and return False, when it was opened before."""
        first = self.layer.entries.get(self.address)
        if first and again:
            head = self.statement.head.text
            what = f"{head} {self.address[-1]}" if self.node.kind == "named" else head
            self._twice(f"`{what}` is written twice", self.statement.span, (first, "first here"))
            return False
        self.layer.entries.setdefault(self.address, at)
        return True

    def _twice(self, message: str, at: Span, first: tuple[Span, str]) -> None:
        self.context.report(mistake("J011", message, at, "again here", second=first, helps="keep one of the two"))

    # values

    def _set(self, address: Address, schema: Schema, tokens: list[Token]) -> None:
        span = tokens[0].span.to(tokens[-1].span)
        first = self.layer.settings.get(address)
        if first:
            self._twice(f"`{self._spoken(address)}` is set twice", span, (first.span, "first set here"))
            return
        value = self._list(address, schema, tokens) if is_array(schema) else self._read(address, schema, tokens)
        if value is not _NOTHING:
            self.layer.settings[address] = Setting(value, span)

    def _list(self, address: Address, schema: Schema, tokens: list[Token]) -> Json:
        if len(tokens) == 1 and tokens[0].kind == "NAME" and tokens[0].text == null_word(schema):
            return None
        values = [self._read(address, item_schema(schema), [token]) for token in tokens]
        if any(value is _NOTHING for value in values):
            return _NOTHING
        try:
            judge(schema, values)
        except InvalidValue as unfit:
            return self._unfit(address, unfit, tokens)
        return values

    def _read(self, address: Address, schema: Schema, tokens: list[Token]) -> Json:
        """Return one value, or `_NOTHING` when it was reported as a mistake."""
        metric = self.address[-1] if self.node.name == "criterion" else None
        try:
            return read_value(self.context, schema, tokens, metric)
        except Unreadable:
            self.layer.failed.add(address)
        except InvalidValue as unfit:
            self._unfit(address, unfit, tokens)
        except Refused as refused:
            self._report(refused.code, refused.message, tokens[-1].span, "named here", refused.help)
            self.layer.failed.add(address)
        return _NOTHING

    def _unfit(self, address: Address, unfit: InvalidValue, tokens: list[Token]) -> Json:
        span = tokens[0].span.to(tokens[-1].span)
        self._report(unfit.code, f"`{self._spoken(address)}` {unfit.message}", span, unfit.label, unfit.help, unfit.fix)
        self.layer.failed.add(address)
        return _NOTHING

    def _spoken(self, address: Address) -> str:
        """Return what a reader calls a value: its word as written, with its name if it has one."""
        head = self.statement.head.text
        if self.node.name == "criterion" and address[-1] == "value":
            return address[-2]
        if self.node.fixed_names is not None:
            return f"{head} {self.address[-1]}"
        return head if address == self.address else address[-1]


def _as_name(text: str) -> str | None:
    name = "".join(c if c.isascii() and (c.isalnum() or c in "_-") else "_" for c in plain(text)).strip("_-")
    return name if name and name[0].isalpha() else None
