"""A recipe's file -> a `Recipe`, or every reason why not: the stages in order."""

from __future__ import annotations

import os
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from jessyfile.addresses import ollama_host
from jessyfile.disk_errors import disk_errors
from jessyfile.language import consistency, practice
from jessyfile.language.build import build_recipe
from jessyfile.language.diagnostics import Diagnostic, has_errors, in_order, mistake
from jessyfile.language.document import Document, build_document
from jessyfile.language.draft import Draft, Unknown
from jessyfile.language.inherit import Composer, read_source
from jessyfile.language.project_files import Project, Refused
from jessyfile.language.schema_messages import missing_parts
from jessyfile.language.source import SourceFile, Span
from jessyfile.language.syntax import MAX_MISTAKES
from jessyfile.language.table import document_schema, node_at
from jessyfile.project import find_root, possible_path

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from jessyfile.language.layer import Layer
    from jessyfile.language.recipe import Recipe, Source
    from jessyfile.language.table import Address


@dataclass(frozen=True, slots=True)
class Loaded:
    """What became of a recipe: the tree, or None beside the errors that stopped it; and the names of its VARIANTs, as they are written."""

    recipe: Recipe | None
    diagnostics: tuple[Diagnostic, ...]
    variants: tuple[str, ...] = ()


def load_recipe(
    path: str | os.PathLike[str],
    *,
    root: str | os.PathLike[str] | None = None,
    args: Mapping[str, str] | None = None,
    variant: str | None = None,
    sets: Mapping[str, str] | None = None,
) -> Loaded:
    """Read a recipe with everything it names; mistakes become diagnostics, also that the file is not there.

    Args:
        path: the recipe's file.
        root: the project's root folder; found from the path unless given.
        args: values of ARG instructions by name.
        variant: the VARIANT to apply.
        sets: values that replace the recipe's, by address.

    Returns:
        The recipe, None when it has errors, and the diagnostics.

    Raises:
        ProjectError: no file can have such a path.
        StorageError: the disk fails, or a folder on the way may not be looked into.
    """
    path = possible_path(path)
    with disk_errors(path):
        project = Project(Path(os.path.realpath(root or find_root(path))))
        shown = project.relative(Path(os.path.realpath(path)))
        try:
            entry = read_source(project, project.existing(os.path.relpath(path, project.root), project.root), shown)
        except Refused as refused:
            return Loaded(None, (mistake(refused.code, refused.message, helps=refused.help),))
        return load_source(entry, project, args=args, variant=variant, sets=sets)


def load_text(text: str, path: Path, *, root: Path | None = None) -> Loaded:
    """Read a recipe from text that stands at `path` (an editor's unsaved buffer)."""
    with disk_errors(path):
        project = Project(Path(os.path.realpath(root or find_root(path))))
        file = SourceFile(project.relative(Path(os.path.realpath(path))), text, Path(os.path.realpath(path)))
        return load_source(file, project)


def load_source(
    entry: SourceFile,
    project: Project,
    *,
    args: Mapping[str, str] | None = None,
    variant: str | None = None,
    sets: Mapping[str, str] | None = None,
) -> Loaded:
    """Read a recipe from its text.

    Args:
        entry: the recipe's file with its text.
        project: the project that every path must stay inside.
        args: values of ARG instructions by name.
        variant: the VARIANT to apply.
        sets: values that replace the recipe's, by address.

    Returns:
        The recipe, None when it has errors, and the diagnostics.
    """
    composer = Composer(project, args or {})
    merged = composer.compose(entry, variant, sets or {})
    draft = Draft(build_document(merged), merged, project.root)
    found = composer.diagnostics
    if not composer.unbalanced:
        found += _missing(draft, entry, {d.fix for d in found if d.fix})
        found += _contradictions(draft)
    diagnostics = in_order(d for d in found if (d.file, d.line, d.code) not in composer.accepted)
    if has_errors(diagnostics) or entry.path is None:
        return Loaded(None, diagnostics, composer.variants)
    _found_by_environment(draft.document, merged)
    recipe = build_recipe(draft.document, entry.path, _sources(merged), tuple(dict.fromkeys(composer.read_files)))
    return Loaded(recipe, diagnostics, composer.variants)


def _found_by_environment(document: Document, merged: Layer) -> None:
    """Let a recipe that may deploy to Ollama and names no address mean the one that OLLAMA_HOST gives, as Ollama's own client does."""
    deploy, found = document["deploy"], ollama_host()
    if found is not None and deploy["engine"] != "embedded" and ("deploy", "ollama") not in merged.settings:
        deploy["ollama"] = found


def _contradictions(draft: Draft) -> Iterator[Diagnostic]:
    """Yield what no single value shows; a check ends quietly at a value that could not be read."""
    for check in (*consistency.CHECKS, *practice.CHECKS):
        try:
            yield from islice(check(draft), MAX_MISTAKES)
        except Unknown:
            continue


def _missing(draft: Draft, entry: SourceFile, misspelt: set[str]) -> Iterator[Diagnostic]:
    """Report what a recipe cannot do without, unless it was tried: written with a mistake, or misspelt as another word."""
    for address, name in missing_parts(document_schema(), draft.document):
        target = (*address, name)
        if name == "jessy" or not draft.known(*target):
            continue
        node = node_at(target)
        example = node.schema.get("x-example") if node else None
        keyword = node.form.keywords[0] if node else name
        if keyword in misspelt:
            continue
        at = draft.at(*address)
        helps = _to_add(str(example), target, at is not None) if example else ()
        yield mistake("J017", f"`{keyword}` is missing", at or Span(entry, 0, 0), "in here" if at else "", helps=helps)


def _to_add(example: str, target: Address, there: bool) -> str:
    """Say what to add for what is missing: the line itself, and the block that it stands in where that is missing, too."""
    block = node_at(target[:-1]) if len(target) > 1 else None
    word = block.form.keywords[0] if block is not None and block.form.keywords else ""
    if not word:
        return f"add a line like `{example}`"
    return f"add a line like `{example}` to {word}" if there else f"add a block like `{word} {{ {example} }}`"


def _sources(merged: Layer) -> dict[str, Source]:
    places = {
        **dict(merged.entries),
        **{address: s.span for address, s in merged.settings.items()},
    }
    return {".".join(address): span.source() for address, span in places.items()}
