"""A public function with many parameters says what each of them is."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

PACKAGE = Path(__file__).parents[1] / "jessyfile"
MANY = 3
Function = ast.FunctionDef | ast.AsyncFunctionDef


class Public(NamedTuple):
    """A public function, its docstring (with its class's for a constructor) and the names of its parameters."""

    place: str
    docstring: str
    parameters: tuple[str, ...]
    node: Function


def _parameters(node: Function) -> tuple[str, ...]:
    args = node.args
    named = [*args.posonlyargs, *args.args, *filter(None, [args.vararg]), *args.kwonlyargs, *filter(None, [args.kwarg])]
    return tuple(argument.arg for argument in named if argument.arg not in ("self", "cls"))


def _is_command(node: Function) -> bool:
    """Whether click makes a command of it: its help text is for users, and each option has its own."""
    return any("click" in ast.unparse(each) or ".command(" in ast.unparse(each) for each in node.decorator_list)


def public_functions(tree: ast.Module, file: str) -> Iterator[Public]:
    """Yield the functions, methods and constructors of a module that others may call."""
    found: list[tuple[ast.Module | ast.ClassDef, str, str]] = [(tree, "", "")]
    while found:
        around, prefix, about = found.pop()
        for node in around.body:
            name = getattr(node, "name", "_")
            if isinstance(node, ast.ClassDef) and not name.startswith("_"):
                found.append((node, f"{prefix}{name}.", ast.get_docstring(node) or ""))
            elif (
                isinstance(node, Function)
                and (not name.startswith("_") or name == "__init__")
                and not _is_command(node)
            ):
                docstring = (ast.get_docstring(node) or "") + ("\n" + about if name == "__init__" else "")
                yield Public(f"{file}::{prefix}{name}", docstring, _parameters(node), node)


def faults(function: Public) -> Iterator[str]:
    """Yield what a docstring of many parameters lacks."""
    if len(function.parameters) <= MANY:
        return
    block = re.search(r"^Args:\n((?:[ ]{4}.*\n?|\n(?=[ ]{4}))+)", function.docstring, re.MULTILINE)
    if block is None:
        yield f"{function.place} has {len(function.parameters)} parameters and no `Args:`"
        return
    named = re.findall(r"^ {4}\*{0,2}(\w+): \S", block[1], re.MULTILINE)
    if named != list(function.parameters):
        yield f"{function.place}: `Args:` names {', '.join(named)}, the function {', '.join(function.parameters)}"
    result = ast.unparse(function.node.returns) if function.node.returns else "None"
    told = re.search(r"\A(Return|Yield)\b|^(Returns|Yields):\n {4}\S", function.docstring, re.MULTILINE)
    if result not in ("None", "Never") and not told:
        yield f"{function.place} returns {result} and does not say what that is"


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_many_parameters_are_described_one_by_one(path: Path) -> None:
    """Sixty-six functions of four to nine parameters had one sentence for all of them: whoever called one had to read it."""
    file = path.relative_to(PACKAGE).as_posix()
    tree = ast.parse(path.read_text("utf-8"))
    assert [said for each in public_functions(tree, file) for said in faults(each)] == []
