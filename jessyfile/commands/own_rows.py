"""Reading a user's own rows for a command: the options that say how, and what became of each row."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from jessyfile.commands.say import say
from jessyfile.errors import DatasetError, ProjectError

if TYPE_CHECKING:
    from jessyfile.dataset.foreign_rows import OwnRows

Command = TypeVar("Command", bound=Callable[..., Any])
_SHOWN = 100
allow_option = click.option(
    "--allow",
    multiple=True,
    type=click.Choice(["personal", "length", "repetition"]),
    help="A filter that rows need not pass, such as `personal`: a shop's own e-mail address in its answers.",
)


def reading_options(command: Command) -> Command:
    """Add what says how a file of rows is read."""
    for option in (
        allow_option,
        click.option("--encoding", metavar="NAME", help="How the file's letters are stored; UTF-8 unless given."),
        click.option(
            "--response", metavar="COLUMN", help="The column or field of the answer, where its name is unusual."
        ),
        click.option(
            "--query", metavar="COLUMN", help="The column or field of the question, where its name is unusual."
        ),
    ):
        command = option(command)
    return command


def read_rows(
    file: Path,
    query: str | None,
    response: str | None,
    language: str | None,
    encoding: str | None,
    allow: Sequence[str] = (),
) -> OwnRows:
    """Return the rows of a file, as a category of its name.

    Args:
        file: the file.
        query: the field of the question, where its name is unusual.
        response: that of the answer.
        language: the rows' language, None to tell it by their text.
        encoding: how letters are stored, None for UTF-8.
        allow: the filters that rows need not pass.

    Raises:
        DatasetError: the file cannot be read, or holds no row.
    """
    from jessyfile.dataset.foreign_rows import Reading, import_rows, slug
    from jessyfile.text.answer_language import is_language

    if language is not None and not is_language(language):
        raise DatasetError(
            f"`{language}` is no language that can be told", hint="write an ISO 639 code, as in `--language de`"
        )
    return import_rows(file, Reading(slug(file.stem), query, response, language, encoding, tuple(allow)))


def tell(found: OwnRows, file: Path) -> None:
    """Say how many rows there are, what was changed, and each row that is left out with its number and the reason."""
    languages = Counter(row.example.language.value for row in found.rows)
    spoken = ", ".join(f"{count} {name}" for name, count in languages.most_common() if name != "any")
    left = f", {len(found.refused)} left out" if found.refused else ""
    say(f"{file}: {len(found.rows)} rows{f' ({spoken})' if spoken else ''}{left}")
    for line in [*found.notes, *map(str, found.refused[:_SHOWN])]:
        say(f"  {line}")
    if len(found.refused) > _SHOWN:
        say(f"  and {len(found.refused) - _SHOWN} more")


def seeds_written(folder: Path, found: Sequence[OwnRows]) -> list[Path]:
    """Write the rows as seeds below a folder, one file a topic; none when one of the files is there already.

    Raises ProjectError for what is there, and for two files that would be one.
    """
    from jessyfile import fsops
    from jessyfile.commands.own_project import seed_files
    from jessyfile.dataset.places import SEEDS
    from jessyfile.user_files import write_new

    files: dict[Path, str] = {}
    for one in found:
        for name, text in seed_files(one.rows).items():
            path = folder / Path(name).relative_to(SEEDS)
            if path in files:
                raise ProjectError(
                    f"two files of rows would both become `{path}`", hint="name a file once, or rename one of them"
                )
            if os.path.lexists(path):
                hint = "rename the file of rows, which names the category, or choose another --into"
                raise ProjectError(f"`{path}` is there already; nothing was written", hint=hint)
            files[path] = text
    for path, text in files.items():
        fsops.make_folder(path.parent)
        write_new(path, text.encode("utf-8"))
    return [*files]


def category_lines(found: OwnRows) -> str:
    """Return the CATEGORY that asks for all of a file's rows, as a recipe has it."""
    if not found.rows:
        return ""
    topics = Counter(row.example.topic for row in found.rows)
    category = found.rows[0].example.category.value
    lines = [f"    TOPIC {topic}  {count}" for topic, count in topics.items()]
    return "\n".join([f"  CATEGORY {category} {len(found.rows)} {{", *lines, "  }", ""])
