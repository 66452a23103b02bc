"""The part of Go's text/template that our chat templates use: range, if, eq, variables, and trimmed white space.

Enough to execute them exactly; any other action is an error.
"""

import re

_ACTION = re.compile(r"\{\{(-?)\s*(.*?)\s*(-?)\}\}", re.DOTALL)


def execute(template: str, data: dict) -> str:
    pieces = _parse(template)
    block, rest = _block(pieces, 0)
    assert rest == len(pieces)
    return "".join(_run(block, data, {}))


def _parse(template: str) -> list[tuple[str, str]]:
    found, at, trim = [], 0, False
    for match in _ACTION.finditer(template):
        text = template[at : match.start()]
        text = text.lstrip() if trim else text
        found.append(("text", text.rstrip() if match[1] else text))
        found.append(("action", match[2]))
        at, trim = match.end(), bool(match[3])
    tail = template[at:]
    found.append(("text", tail.lstrip() if trim else tail))
    return found


def _block(pieces, at):
    """Return the nodes up to the `end` or `else` that belongs to the caller, and where it is."""
    nodes = []
    while at < len(pieces):
        kind, text = pieces[at]
        word = text.split(" ")[0] if kind == "action" else ""
        if word in ("end", "else"):
            return nodes, at
        if word == "range":
            body, at = _block(pieces, at + 1)
            nodes.append(("range", text[6:], body))
        elif word == "if":
            node, at = _if(pieces, at, text[3:])
            nodes.append(node)
        else:
            nodes.append((kind, text))
        at += 1
    return nodes, at


def _if(pieces, at, condition):
    yes, at = _block(pieces, at + 1)
    word = pieces[at][1]
    if word == "end":
        return ("if", condition, yes, []), at
    if word.startswith("else if "):
        other, at = _if(pieces, at, word[8:])
        return ("if", condition, yes, [other]), at
    no, at = _block(pieces, at + 1)
    return ("if", condition, yes, no), at


def _run(nodes, dot, variables):
    for node in nodes:
        if node[0] == "text":
            yield node[1]
        elif node[0] == "range":
            for item in _value(node[1], dot, variables):
                yield from _run(node[2], item, variables)
        elif node[0] == "if":
            yield from _run(node[2] if _value(node[1], dot, variables) else node[3], dot, variables)
        elif assigned := re.fullmatch(r"(\$\w+) :?= (.*)", node[1]):
            variables[assigned[1]] = _value(assigned[2], dot, variables)
        else:
            yield _value(node[1], dot, variables)


def _value(text, dot, variables):
    if text.startswith("eq "):
        _, left, right = text.split(" ")
        return _value(left, dot, variables) == _value(right, dot, variables)
    if text.startswith('"'):
        return text[1:-1]
    if text.startswith("$"):
        return variables[text]
    return dot[text[1:]]
