"""`jessy init`, `import` and `lsp`: how a recipe comes to be, and what an editor needs while it is written."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from jessyfile.errors import ProjectError
from jessyfile.text.printable import printable

if TYPE_CHECKING:
    from jessyfile.commands.scaffold import Language
    from jessyfile.importing.recipe_text import Imported

_LANGUAGES: tuple[Language, ...] = ("tr", "en", "mixed")
_DEFAULT_BASE = "gemma3:270m"


@dataclass(frozen=True, slots=True)
class Base:
    """A base model that can be named in FROM: whether it is here already, and where it comes from."""

    name: str
    here: bool
    note: str


def bases() -> Iterator[Base]:
    """Yield the base models that jessy knows by name, those that are on this machine first."""
    from jessyfile.models.resolve import aliases

    found = [_base(name) for name in aliases()]
    yield from sorted(found, key=lambda base: not base.here)


def _base(name: str) -> Base:
    from importlib.util import find_spec

    from jessyfile.models.ollama_store import stored_blob
    from jessyfile.models.resolve import aliases

    for place in aliases()[name]:
        if "ollama" in place and stored_blob(place["ollama"]):
            return Base(name, True, "in the local Ollama store")
        if "package" in place and find_spec(place["module"]):
            return Base(name, True, f"from the installed package {place['package']}")
    extra = next((place["extra"] for place in aliases()[name] if "extra" in place), None)
    note = f"pip install jessy[{extra}]" if extra else "downloaded from the hub on the first apply"
    return Base(name, False, note)


@click.command()
@click.argument("folder", default=".", metavar="[DIR]", type=click.Path(path_type=Path, file_okay=False))
@click.option("--name", help="The model's name.")
@click.option("--base", help="The base model, as FROM takes it.")
@click.option("--language", type=click.Choice(_LANGUAGES), help="The language of the rows to begin with.")
@click.option("--yes", is_flag=True, help="Ask nothing: take the defaults for what is not given.")
def init(folder: Path, name: str | None, base: str | None, language: Language | None, yes: bool) -> None:
    """Write a commented recipe and seeds that apply at once. Never writes over a file."""
    from jessyfile.commands.scaffold import project_files
    from jessyfile.importing.quote import model_name

    default = model_name(folder.resolve().name)
    name = name or (default if yes else click.prompt("Name of the model", default=default))
    base = base or (_first_base() if yes else _ask_base())
    language = language or ("tr" if yes else _ask_language())
    files = project_files(_checked_name(name), _checked_base(base, folder), language, base_note=_note(base))
    _write(folder, files)
    recipe = printable(str(folder / next(iter(files))))
    click.echo(f"\nNext: jessy plan {recipe}, then jessy apply {recipe}")


def _first_base() -> str:
    return next((base.name for base in bases() if base.here), _DEFAULT_BASE)


def _ask_base() -> str:
    for base in bases():
        click.echo(f"  {base.name:<14} {base.note}")
    return str(click.prompt("Base model", default=_first_base()))


def _ask_language() -> Language:
    chosen: Language = click.prompt("Language of the rows", default="tr", type=click.Choice(_LANGUAGES))
    return chosen


def _note(base: str) -> str:
    known = {found.name: found for found in bases()}
    return known[base].note if base in known else ""


def _checked_name(name: str) -> str:
    """Return a name that NAME takes, by the table's own rule."""
    import re

    from jessyfile.importing.quote import model_name
    from jessyfile.language.table import root

    rule = root().nodes["name"].schema
    if re.search(rule["pattern"], name) and "\n" not in name and len(name) <= rule["maxLength"]:
        return name
    better = model_name(name)
    raise ProjectError(f"`{name}` is no name for a model", hint=f"use letters, digits and `-`, as in `{better}`")


def _checked_base(base: str, folder: Path) -> str:
    """Return the base as FROM takes it in a recipe of that folder; a path on the command line counts from here.

    Raises ModelError for what names no model, ProjectError for a file that a recipe there may not read.
    """
    from jessyfile.importing.from_modelfile import counted_from
    from jessyfile.language.write_value import spell
    from jessyfile.models.reference import parse_reference

    reference = parse_reference(base, Path.cwd())
    if reference.path is None:
        return spell(reference.text, "model", {})
    if not reference.path.is_relative_to(folder.resolve()):
        raise ProjectError(f"`{base}` lies outside the new project", hint=f"copy or move it into `{folder}` first")
    return spell(counted_from(reference.path, folder.resolve()), "model", {})


def _write(folder: Path, files: dict[str, str]) -> None:
    """Write new files, none when one of them is there already."""
    from jessyfile import fsops
    from jessyfile.project import jessy_folder

    there = [name for name in files if (folder / name).exists() or (folder / name).is_symlink()]
    if there:
        raise ProjectError(
            f"`{folder / there[0]}` is there already; nothing was written",
            hint="choose another folder or another --name: init never writes over a file",
        )
    for name, text in files.items():
        fsops.write_text(folder / name, text)
        if name.endswith(".jessy"):
            click.echo(f"wrote {printable(str(folder / name))}")
    seeds = sum(not name.endswith(".jessy") for name in files)
    click.echo(f"wrote {seeds} files of seeds under {printable(str(folder / 'data/seeds'))}")
    fsops.make_folder(jessy_folder(folder))  # the project's root is here, also inside a larger repository
    _ignore_state(folder)


def _ignore_state(folder: Path) -> None:
    """Make git leave the state and the results alone; a .gitignore that is there gets one more line."""
    from jessyfile import fsops
    from jessyfile.project import JESSY_FOLDER

    path = folder / ".gitignore"
    entry = f"{JESSY_FOLDER}/"
    try:
        before = fsops.read_bytes(path)
    except FileNotFoundError:
        before = b""
    if any(line.strip() in (entry.encode(), JESSY_FOLDER.encode()) for line in before.splitlines()):
        return
    gap = b"" if not before or before.endswith(b"\n") else b"\n"
    fsops.write_bytes(path, before + gap + entry.encode() + b"\n")
    click.echo(f"wrote {entry} into {printable(str(path))}")


@click.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Write the recipe here instead of printing it.")
@click.option("--name", help="The model's name; made from the file's unless given.")
def import_(file: Path, output: Path | None, name: str | None) -> None:
    """Write the Jessyfile that equals a Modelfile or an mlx_lm.lora configuration (.yaml).

    What would not survive is named on standard error, with its line.
    """
    from jessyfile.importing import import_file

    if output is not None and output.exists():
        raise ProjectError(f"`{output}` is there already", hint="choose another name: import never writes over a file")
    found = import_file(file, target=output, name=_checked_name(name) if name else None)
    _report(found)
    if output is None:
        click.echo(found.text, nl=False)
        return
    from jessyfile import fsops

    fsops.write_text(output, found.text)
    click.echo(f"wrote {printable(str(output))}", err=True)


def _report(found: Imported) -> None:
    for note in found.notes:
        place = f"{note.file}:{note.line}" if note.line else note.file
        click.echo(printable(f"{place}: {note.message}"), err=True)
        if note.help:
            click.echo(printable(f"  = help: {note.help}"), err=True)


@click.command()
def lsp() -> None:
    """Serve editors over the language server protocol, on standard input and output."""
    try:
        from jessyfile.editors.lsp.server import serve
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] not in ("pygls", "lsprotocol"):
            raise
        raise ProjectError("the language server needs pygls", hint="pip install 'jessy[editor]'") from error
    if sys.stdin.isatty():
        click.echo("jessy lsp speaks with an editor; see docs/editors.md", err=True)
    serve()
