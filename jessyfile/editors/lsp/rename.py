"""Renaming an ARG or a LET, and every reason not to.

A LET belongs to its file. An ARG is also a name outside: files that extend or include each other share the value given
for it, so it is renamed in all of them that declare it. Where a file cannot be read for sure, nothing is renamed.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from jessyfile.editors.lsp.names import NAME, Mention, declarations, mention_at, mentions
from jessyfile.editors.lsp.places import parsed
from jessyfile.editors.lsp.workspace import MAX_RECIPES, Workspace
from jessyfile.language.diagnostics import has_errors

if TYPE_CHECKING:
    from jessyfile.language.source import SourceFile, Span

Edits = dict[Path, list["Span"]]


class Refusal(Exception):
    """Why a name is not renamed."""


def renamed_at(file: SourceFile, offset: int) -> Mention:
    """Return the name that a rename at an offset would change. Raises Refusal."""
    statements = parsed(file).statements
    mention = mention_at(statements, offset)
    if mention is None:
        raise Refusal("only the names of ARG and LET can be renamed")
    if mention.name not in declarations(statements):
        raise Refusal(f"`{mention.name}` is not declared in this file")
    return mention


def rename(workspace: Workspace, file: SourceFile, offset: int, new: str) -> Edits:
    """Return the edits that rename an ARG or LET.

    Args:
        workspace: the open files and the project's recipes.
        file: the file with the cursor.
        offset: the cursor's place, in characters.
        new: the new name.

    Returns:
        By file, every place where the name is written.

    Raises:
        Refusal: the rename would not be safe.
    """
    name = renamed_at(file, offset).name
    if not NAME.fullmatch(new):
        raise Refusal(f"`{new}` is no name: use letters a to z, digits and `_`")
    edits: Edits = {}
    for path, other in _affected(workspace, file, name):
        edits[path] = _places(other, name, new)
    return edits


def _affected(workspace: Workspace, file: SourceFile, name: str) -> Iterator[tuple[Path, SourceFile]]:
    """Yield the files in which the name has to change with this one."""
    if file.path is None:
        raise Refusal("the file has no name yet: save it first")
    yield file.path, file
    if declarations(parsed(file).statements)[name].word == "LET":
        return
    if len(workspace.recipes(file.path)) >= MAX_RECIPES:
        raise Refusal(f"the project has {MAX_RECIPES} recipes or more: not all files that share this ARG can be found")
    together = {path: other for files in workspace.sets_with(file.path).values() for path, other in files.items()}
    for path, other in together.items():
        declared = declarations(parsed(other).statements).get(name)
        if path != file.path and declared and declared.word == "ARG":
            yield path, other


def _places(file: SourceFile, name: str, new: str) -> list[Span]:
    found = parsed(file)
    if has_errors(found.diagnostics):
        raise Refusal(f"{file.name} has mistakes on line {found.diagnostics[0].line}: fix them first")
    taken = declarations(found.statements).get(new)
    if taken and new != name:
        raise Refusal(f"`{new}` is taken in {file.name}, line {taken.span.line}")
    if new != name and any(mention.name == new for mention in mentions(found.statements)):
        raise Refusal(f"`{new}` is used in {file.name} already")
    return [mention.span for mention in mentions(found.statements) if mention.name == name]
