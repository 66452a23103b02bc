"""Ollama's TEMPLATE, executed: the part of Go's text/template that chat templates use.

Known are text with trimmed white space, `if` with `else if` and `else`, `range`, `with`, variables, fields, and the functions
`eq ne and or not len lt gt index slice`. Anything else is refused, never guessed. A template without `.Messages` is executed
turn by turn and cut behind `.Response`, as Ollama does.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from jessyfile.errors import ModelfileError

if TYPE_CHECKING:
    from jessyfile.language.recipe import Message

Value = Any  # what a template's field or variable holds: text, number, truth value, list or mapping
_ACTION = re.compile(r"\{\{(-(?=\s))?\s*(.*?)\s*((?<=\s)-)?\}\}", re.DOTALL)
_WORD = re.compile(r'"(?:[^"\\]|\\.)*"|`[^`]*`|\(|\)|[^\s()]+')
_CLOSED = ("end", "else")


@dataclass(slots=True)
class _Node:
    """A text, or an action with what it holds."""

    word: str
    text: str = ""
    inner: list[_Node] = field(default_factory=list)
    other: list[_Node] = field(default_factory=list)


def rendered_template(template: str, messages: Sequence[Message], system: str | None) -> str:
    """Return the prompt that Ollama makes of a conversation. Raises ModelfileError for a template that is not understood."""
    nodes, rest = _block(_pieces(template), 0)
    if rest:
        raise _not_understood(rest[0].text)
    turns = [{"Role": one.role, "Content": one.content} for one in messages]
    if ".Messages" in template:
        return "".join(_run(nodes, {"System": system or "", "Messages": turns}, {}))
    return _turn_by_turn(nodes, turns, system or "")


def _turn_by_turn(nodes: list[_Node], turns: Sequence[Mapping[str, str]], system: str) -> str:
    found, prompt = "", ""
    for turn in turns:
        if turn["Role"] == "assistant":
            found += "".join(_run(nodes, {"System": system, "Prompt": prompt, "Response": turn["Content"]}, {}))
            system = prompt = ""
        else:
            prompt = turn["Content"]
    data = {"System": system, "Prompt": prompt, "Response": _CUT}
    return found + "".join(_run(nodes, data, {})).partition(_CUT)[0]


_CUT = "\0"


def _pieces(template: str) -> list[_Node]:
    found, at, trim = [], 0, False
    for match in _ACTION.finditer(template):
        text = template[at : match.start()]
        text = text.lstrip() if trim else text
        found.append(_Node("text", text.rstrip() if match[1] else text))
        if not match[2].startswith("/*"):
            found.append(_Node("action", match[2]))
        at, trim = match.end(), bool(match[3])
    tail = template[at:]
    return [*found, _Node("text", tail.lstrip() if trim else tail)]


def _block(pieces: list[_Node], depth: int) -> tuple[list[_Node], list[_Node]]:
    """Return the nodes up to the `end` or `else` that closes them, and the pieces from there on."""
    nodes: list[_Node] = []
    while pieces:
        piece, *pieces = pieces
        word, _, rest = piece.text.partition(" ") if piece.word == "action" else ("", "", "")
        if word in _CLOSED:
            return nodes, [piece, *pieces]
        if word in ("if", "range", "with"):
            node, pieces = _opened(word, rest.strip(), pieces, depth + 1)
            nodes.append(node)
        else:
            nodes.append(piece)
    if depth:
        raise _not_understood("a block without an end")
    return nodes, []


def _opened(word: str, rest: str, pieces: list[_Node], depth: int) -> tuple[_Node, list[_Node]]:
    inner, pieces = _block(pieces, depth)
    closing, *pieces = pieces
    node = _Node(word, rest, inner)
    if closing.text == "end":
        return node, pieces
    following = closing.text.removeprefix("else").strip()
    if following:
        kind, _, condition = following.partition(" ")
        nested, pieces = _opened(kind, condition.strip(), pieces, depth)
        node.other = [nested]
        return node, pieces
    node.other, pieces = _block(pieces, depth)
    if not pieces or pieces[0].text != "end":
        raise _not_understood("an else without an end")
    return node, pieces[1:]


def _run(nodes: list[_Node], dot: Value, names: dict[str, Value]) -> Iterator[str]:
    names.setdefault("$", dot)
    for node in nodes:
        if node.word == "text":
            yield node.text
        elif node.word == "action":
            yield from _said(node.text, dot, names)
        elif node.word == "range":
            yield from _ranged(node, dot, names)
        else:
            value = _value(node.text, dot, names)
            inner = value if node.word == "with" and value else dot
            yield from _run(node.inner, inner, names) if value else _run(node.other, dot, names)


def _said(text: str, dot: Value, names: dict[str, Value]) -> Iterator[str]:
    assigned = re.fullmatch(r"(\$\w+)\s*:?=\s*(.+)", text, re.DOTALL)
    if assigned:
        names[assigned[1]] = _value(assigned[2], dot, names)
    else:
        value = _value(text, dot, names)
        yield value if isinstance(value, str) else str(value).lower() if isinstance(value, bool) else str(value)


def _ranged(node: _Node, dot: Value, names: dict[str, Value]) -> Iterator[str]:
    bound = re.fullmatch(r"(?:(\$\w+)\s*,\s*)?(\$\w+)\s*:=\s*(.+)", node.text, re.DOTALL)
    items = _value(bound[3] if bound else node.text, dot, names)
    if not isinstance(items, list):
        raise _not_understood(node.text)
    for number, item in enumerate(items):
        if bound:
            names |= {bound[1]: number, bound[2]: item} if bound[1] else {bound[2]: item}
        yield from _run(node.inner, item, names)
    if not items:
        yield from _run(node.other, dot, names)


def _value(text: str, dot: Value, names: Mapping[str, Value]) -> Value:
    if "|" in text:
        raise _not_understood(text)
    value, rest = _expression(_WORD.findall(text), dot, names)
    if rest:
        raise _not_understood(text)
    return value


def _expression(words: list[str], dot: Value, names: Mapping[str, Value]) -> tuple[Value, list[str]]:
    """Return the value of a call with its arguments, or of one operand, and the words behind it."""
    if not words:
        raise _not_understood("an empty action")
    if words[0] not in _FUNCTIONS:
        return _operand(words, dot, names)
    name, *words = words
    given = []
    while words and words[0] != ")":
        value, words = _operand(words, dot, names)
        given.append(value)
    try:
        return _FUNCTIONS[name](*given), words
    except (TypeError, IndexError, KeyError) as error:
        raise _not_understood(name) from error


def _operand(words: list[str], dot: Value, names: Mapping[str, Value]) -> tuple[Value, list[str]]:
    word, *words = words
    if word == "(":
        value, words = _expression(words, dot, names)
        if not words or words[0] != ")":
            raise _not_understood("(")
        return value, words[1:]
    if word[0] == '"':
        return word[1:-1].encode("raw_unicode_escape").decode("unicode_escape"), words
    if word[0] == "`":
        return word[1:-1], words
    if re.fullmatch(r"-?[0-9]+", word):
        return int(word), words
    if word in ("true", "false"):
        return word == "true", words
    return _field(word, dot, names), words


def _field(word: str, dot: Value, names: Mapping[str, Value]) -> Value:
    start, *path = word.split(".")
    if start and start not in names:
        raise _not_understood(word)
    value = names[start] if start else dot
    for name in filter(None, path):
        if not isinstance(value, Mapping):
            raise _not_understood(word)
        value = value.get(name, "")  # a field that a plain conversation leaves empty, such as .Tools
    return value


def _either(*given: Value) -> Value:
    return next((one for one in given if one), given[-1])


def _all(*given: Value) -> Value:
    return next((one for one in given if not one), given[-1])


_FUNCTIONS: Mapping[str, Any] = {
    "eq": lambda one, *others: one in others, "ne": lambda one, other: one != other, "not": lambda one: not one,
    "and": _all, "or": _either, "len": len, "lt": lambda one, other: one < other, "gt": lambda one, other: one > other,
    "le": lambda one, other: one <= other, "ge": lambda one, other: one >= other,
    "index": lambda items, at: items[at], "slice": lambda items, start=0, stop=None: items[start:stop],
}  # fmt: skip


def _not_understood(what: str) -> ModelfileError:
    return ModelfileError(
        f"TEMPLATE holds {what[:60]!r}, which is not understood", hint="use the template that jessy writes"
    )
