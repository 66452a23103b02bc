"""The recipes of a project as an editor has them: open files as they stand in it, the others from the disk.

A part has no `JESSY 1`, so it is judged inside the recipes that INCLUDE it, and alone only when none does.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from jessyfile.editors.lsp.places import parsed
from jessyfile.language.diagnostics import in_order
from jessyfile.language.inherit import read_source
from jessyfile.language.loading import load_source
from jessyfile.language.project_files import Project, Refused
from jessyfile.language.source import SourceFile
from jessyfile.language.variables import Scope, Unreadable
from jessyfile.project import find_root

if TYPE_CHECKING:
    from jessyfile.language.diagnostics import Diagnostic
    from jessyfile.language.syntax import Statement

MAX_RECIPES = 500


@dataclass(frozen=True)
class OpenProject(Project):
    """A project of which some files are read from the editor."""

    buffers: Mapping[Path, str] = field(default_factory=dict)

    def existing(self, written: str, folder: Path, *, is_folder: bool = False) -> Path:
        """Return the path of something that is there or open. Raises Refused as a project does."""
        path = self.locate(written, folder)
        return (
            path if path in self.buffers and not is_folder else super().existing(written, folder, is_folder=is_folder)
        )

    def read(self, path: Path, written: str, limit: int) -> bytes:
        """Return a file's bytes, those in the editor first. Raises Refused as a project does."""
        if path in self.buffers:
            return self.buffers[path].encode("utf-8", "replace")
        return super().read(path, written, limit)


@dataclass
class Workspace:
    """Every open file's text, by its resolved path."""

    buffers: dict[Path, str] = field(default_factory=dict)

    def project(self, path: Path) -> OpenProject:
        """Return the project around a file."""
        return OpenProject(Path(os.path.realpath(find_root(path))), self.buffers)

    def source(self, path: Path) -> SourceFile | None:
        """Return a file's text; None when it cannot be read."""
        project = self.project(path)
        if path in self.buffers:
            return SourceFile(project.relative(path), self.buffers[path], path)
        try:
            return read_source(project, path, path.name)
        except Refused:
            return None

    def named_files(self, file: SourceFile) -> Iterator[Path]:
        """Yield what a text's EXTENDS and INCLUDE name, as far as it is there."""
        if file.path is None:
            return
        project = self.project(file.path)
        statements = parsed(file).statements
        for statement in statements:
            if statement.head.text in ("EXTENDS", "INCLUDE"):
                path = _target(project, file.path.parent, statements, statement)
                if path:
                    yield path

    def file_set(self, path: Path) -> dict[Path, SourceFile]:
        """Return a recipe with everything it extends or includes, directly or through others."""
        found: dict[Path, SourceFile] = {}
        waiting = [path]
        while waiting and len(found) < MAX_RECIPES:
            file = self.source(waiting.pop())
            if file is None or file.path is None or file.path in found:
                continue
            found[file.path] = file
            waiting += self.named_files(file)
        return found

    def recipes(self, path: Path) -> tuple[Path, ...]:
        """Return the recipes of the project around a file, open ones first; at most MAX_RECIPES."""
        root = self.project(path).root
        opened = (p for p in self.buffers if p.is_relative_to(root))
        return tuple(dict.fromkeys(islice((*opened, *_walk(root)), MAX_RECIPES)))

    def sets_with(self, path: Path) -> dict[Path, dict[Path, SourceFile]]:
        """Return, by recipe, the file sets that a file belongs to; its own is the first."""
        own = {path: self.file_set(path)}
        others = ((recipe, self.file_set(recipe)) for recipe in self.recipes(path) if recipe != path)
        return own | {recipe: files for recipe, files in others if path in files}

    def entries(self, path: Path) -> tuple[Path, ...]:
        """Return the recipes through which a file is judged: itself, or those that include it when it is a part."""
        file = self.source(path)
        if file is None or _is_whole(file):
            return (path,)
        owners = tuple(p for p, files in self.sets_with(path).items() if p != path and _is_whole(files[p]))
        return owners or (path,)

    def diagnostics(self) -> dict[Path, tuple[Diagnostic, ...]]:
        """Return what is to say about each open file and what it names; an empty tuple for a file without mistakes."""
        found: dict[Path, list[Diagnostic]] = {path: [] for path in self.buffers}
        for entry in dict.fromkeys(entry for path in self.buffers for entry in self.entries(path)):
            file = self.source(entry)
            if file is None:
                continue
            project = self.project(entry)
            for diagnostic in load_source(file, project).diagnostics:
                place = project.root / diagnostic.file if diagnostic.file else entry
                found.setdefault(place, []).append(diagnostic)
        return {path: in_order(items) for path, items in found.items()}


def _is_whole(file: SourceFile) -> bool:
    statements = parsed(file).statements
    return bool(statements) and statements[0].head.text == "JESSY"


def _target(project: Project, folder: Path, statements: tuple[Statement, ...], statement: Statement) -> Path | None:
    if len(statement.args) != 1:
        return None
    try:
        return project.existing(Scope(statements, {}, lambda _: None).read(statement.args[0]).text, folder)
    except (Unreadable, Refused):
        return None


def _walk(root: Path) -> Iterator[Path]:
    for folder, names, files in os.walk(root):
        names[:] = sorted(name for name in names if not name.startswith(".") and name != "node_modules")
        yield from (Path(folder, name) for name in sorted(files) if name.endswith(".jessy"))
