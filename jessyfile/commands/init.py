"""`jessy init`: a recipe and seeds to begin with, for a few answers or none."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from jessyfile.commands.bases import bases
from jessyfile.commands.own_rows import read_rows, reading_options, tell
from jessyfile.commands.say import say
from jessyfile.errors import JessyError, ProjectError
from jessyfile.importing.quote import one_line
from jessyfile.text.fit import cells, terminal_width
from jessyfile.text.printable import printable

if TYPE_CHECKING:
    from jessyfile.commands.scaffold import Language
    from jessyfile.dataset.foreign_rows import OwnRows

TEMPLATES = ("persona", "support", "classify", "extract", "empty")
_STARTS = ("tr", "en")  # the languages in which every template has seeds
_DEFAULT_BASE = "gemma3:270m"
T = TypeVar("T")


@click.command()
@click.argument("folder", default=".", metavar="[DIR]", type=click.Path(path_type=Path, file_okay=False))
@click.option("--name", help="The model's name.")
@click.option("--base", help="The base model, as FROM takes it.")
@click.option(
    "--language",
    help="The language of the rows, an ISO 639 code; that of $LANG, or of the rows themselves, unless given.",
)
@click.option(
    "--from",
    "rows",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Begin with your own rows: JSON lines, JSON, CSV, TSV, Parquet.",
)
@click.option(
    "--template",
    type=click.Choice(TEMPLATES),
    help="What to begin with instead of your own rows; persona unless said.",
)
@click.option(
    "--refine", is_flag=True, help="Train a better answer behind a weaker draft, too: for thinking more than once."
)
@reading_options
@click.option("--yes", is_flag=True, help="Ask nothing: take the defaults for what is not given.")
def init(
    folder: Path,
    name: str | None,
    base: str | None,
    language: str | None,
    rows: Path | None,
    template: str | None,
    refine: bool,
    query: str | None,
    response: str | None,
    encoding: str | None,
    allow: tuple[str, ...],
    yes: bool,
) -> None:
    """Write a commented recipe and seeds that apply at once. Never writes over a file.

    With --from the seeds are your own rows: messages, ShareGPT, Alpaca, or two fields such as `query` and `response`. Some of them are
    held out as a suite.
    """
    from jessyfile.importing.quote import model_name

    if folder.suffix == ".jessy":
        raise ProjectError(f"`{folder}` would be a folder", hint=f"write `jessy init --name {model_name(folder.stem)}`")
    if rows is not None and template is not None:
        raise click.UsageError("--from and --template both say what to begin with: leave one out")
    questions = Questions(quiet=yes or sys.stdin is None)
    found = read_rows(rows, query, response, language, encoding, allow) if rows is not None else None
    name = questions.ask("Name of the model", name, model_name(folder.resolve().name), lambda n: _free_name(n, folder))
    if base is None and not questions.quiet:
        _list_bases()
    base = questions.ask("Base model", base, _first_base(), lambda text: _checked_base(text, folder))
    if rows is not None and found is not None:
        files = _own_files(name, base, found, rows, refine=refine)
    else:
        wanted = questions.ask("Language of the rows", language, spoken_here(), _checked_language)
        files = _template_files(name, base, template or TEMPLATES[0], wanted, refine=refine)
    _write(folder, files)
    recipe = shlex.quote(printable(str(folder / next(iter(files)))))
    following = f"Next: jessy plan {recipe}, then jessy apply {recipe}"
    width = terminal_width()
    say("\n" + (following if width is None or cells(following) <= width else following.replace(", then ", "\nthen: ")))


def _own_files(name: str, base: str, found: OwnRows, rows: Path, *, refine: bool) -> dict[str, str]:
    """Return the files of a project of the user's rows, and say what became of them."""
    from jessyfile.commands.own_project import ENOUGH_ROWS, LEAST_ROWS, own_project
    from jessyfile.errors import DatasetError

    tell(found, rows)
    if len(found.rows) < LEAST_ROWS:
        hint = f"write at least {LEAST_ROWS}, better {ENOUGH_ROWS}: a model learns little from fewer"
        raise DatasetError(f"`{rows}` has {len(found.rows)} rows that can be used", hint=hint)
    project = own_project(name, base, _note(base), found, one_line(rows.name), refine=refine)
    served = ", but served with the rest" if project.serves else ""
    few = f"; so few say little, {ENOUGH_ROWS} rows or more are better" if len(found.rows) < ENOUGH_ROWS else ""
    say(f"{project.held} of {len(found.rows)} rows are held out as cases and not trained{served}{few}")
    if project.worded:
        asked = f"{project.worded} questions of the others are asked in a few of their words"
        say(f"{asked}: more of them than by the base must be answered as yours are")
    return project.files


def _template_files(name: str, base: str, template: str, language: str, *, refine: bool) -> dict[str, str]:
    """Return the files of a project of the seeds that come with jessy, in the nearest language that has some."""
    from jessyfile.commands.own_project import own_project
    from jessyfile.commands.scaffold import LANGUAGES, project_files
    from jessyfile.dataset.foreign_rows import Reading, import_rows
    from jessyfile.resources import resource

    persona = template == TEMPLATES[0]
    seeds: Language = next((one for one in LANGUAGES if one == language and (persona or one in _STARTS)), "en")
    if seeds != language:
        say(f"there are no seeds in `{language}`: those in English show the form, write yours over them")
    if persona:
        return project_files(name, base, seeds, base_note=_note(base), refine=refine)
    found = import_rows(resource("templates", "init", "starts") / f"{template}.{seeds}.jsonl", Reading(template))
    return own_project(name, base, _note(base), found, f"template {template}", refine=refine).files


def spoken_here() -> str:
    """Return the language of the environment, English where it names none that can be told."""
    from jessyfile.text.answer_language import language_codes

    named = next((value for name in ("LC_ALL", "LC_MESSAGES", "LANG") if (value := os.environ.get(name))), "")
    code = named.partition(".")[0].partition("_")[0].lower()
    return code if code in language_codes() else "en"


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
        say(f"  {base.name:<16} {base.takes}; {base.note}", hang=19)


def _checked_language(text: str) -> str:
    from jessyfile.text.answer_language import ANY, is_language

    if is_language(text) and text != ANY:
        return text
    raise ProjectError(
        f"`{text}` is no language that can be told", hint="write an ISO 639 code, as `tr`, `en` or `de`, or mixed"
    )


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
    return next((known.note for known in bases() if known.name == base), "the base model")


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
    from jessyfile.dataset.places import SEEDS
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
        if not name.startswith(SEEDS):
            say(f"wrote {folder / name}")
    seeds = sum(name.startswith(SEEDS) for name in files)
    say(f"wrote {seeds} file{'' if seeds == 1 else 's'} of seeds under {folder / SEEDS}")
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
    say(f"wrote {entry} into {path}")
