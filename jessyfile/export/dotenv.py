"""Change the value of one variable in a .env file and leave every other byte as it is.

The file is read as the loaders of such files do: `export`, quotes (also over several lines), comments, the last of
several lines wins. A name that stands inside another variable's quotes is part of that value.
"""

from __future__ import annotations

import contextlib
import re
from typing import TYPE_CHECKING

from jessyfile.errors import ProjectError
from jessyfile.user_files import edit, read_plain, require_editable, write_new

if TYPE_CHECKING:
    from pathlib import Path

_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_LINE = re.compile(
    rb"""
    [^\S\r\n]* (?:export[^\S\r\n]+)? (?P<name>[^\s=\#'"]+|'[^'\r\n]+') [^\S\r\n]* = [^\S\r\n]*
    (?: (?P<quote>["'`]) (?P<quoted>(?:\\.|(?!(?P=quote))[^\\])*) (?P=quote) (?= [^\S\r\n]* (?:\#|[\r\n]|\Z) )
      | (?P<plain>(?:(?!\s\#)[^\r\n])*)
    )
    [^\r\n]*
    | [^\r\n]*
    """,
    re.VERBOSE | re.DOTALL,
)
_END = re.compile(rb"\r\n|\n|\r")
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
_BOM = b"\xef\xbb\xbf"
_NOT_OURS = {".git", ".jessy"}


def update_dotenv(root: Path, dotenv: tuple[str, str], value: str) -> Path:
    """Set a variable in the file that `DEPLOY { dotenv }` names, relative to the project's root, and return the file.

    A new file gets the umask's mode. Raises ProjectError when the file cannot be one of the project's .env files.
    """
    path, name, new = dotenv_place(root, dotenv), dotenv[1], value.encode()
    try:
        data = read_plain(path)
    except FileNotFoundError:
        write_new(path, name.encode() + b"=" + new + b"\n")
        return path
    span = _value(data, name.encode())
    after = _appended(data, name.encode(), new) if span is None else data[: span[0]] + new + data[span[1] :]
    edit(path, data, after)
    return path


def check_dotenv(root: Path, dotenv: tuple[str, str]) -> None:
    """Raise ProjectError or StorageError when the variable could not be written."""
    path = dotenv_place(root, dotenv)
    with contextlib.suppress(FileNotFoundError):
        _value(read_plain(path), dotenv[1].encode())
        require_editable(path)


def dotenv_holds(root: Path, dotenv: tuple[str, str], value: str) -> bool:
    """Return whether the file gives the variable this value."""
    try:
        data = read_plain(dotenv_place(root, dotenv))
    except FileNotFoundError:
        return False
    span = _value(data, dotenv[1].encode())
    return span is not None and data[span[0] : span[1]] == value.encode()


def dotenv_place(root: Path, dotenv: tuple[str, str]) -> Path:
    """Return the file that holds the variable. Raises ProjectError when jessy may not write there."""
    path, name = root / dotenv[0], dotenv[1]
    inside = path.resolve()
    if not inside.is_relative_to(root.resolve()) or _NOT_OURS & set(inside.relative_to(root.resolve()).parts):
        raise ProjectError(
            f"jessy may not write to `{dotenv[0]}`", hint="name a .env file inside the project in `dotenv`"
        )
    if _KEY.fullmatch(name) is None:
        raise ProjectError(f"`{name}` is no name of an environment variable", hint="letters, digits and _ only")
    return path


def _value(data: bytes, name: bytes) -> tuple[int, int] | None:
    """Return where the last value of a variable begins and ends, without its quotes; None when nothing sets it."""
    if data.startswith(_UTF16):
        raise ProjectError("the .env file is UTF-16, which no loader reads", hint="save it as UTF-8")
    found, place = None, len(_BOM) if data.startswith(_BOM) else 0
    while place < len(data):
        line = _LINE.match(data, place)
        if line is None:  # pragma: no cover (the last alternative takes every line)
            break
        if line["name"] is not None and line["name"].strip(b"'") == name:
            found = _span(line)
        end = _END.match(data, line.end())
        place = end.end() if end else len(data)
    return found


def _span(line: re.Match[bytes]) -> tuple[int, int]:
    if line["quote"] is not None:
        return line.span("quoted")
    start, plain = line.start("plain"), line["plain"].rstrip()
    # what looks like a comment right behind the sign is one: `NAME= # which model`
    return (
        (line.string.index(b"=", line.end("name")) + 1,) * 2
        if plain[:1] in (b"", b"#")
        else (start, start + len(plain))
    )


def _appended(data: bytes, name: bytes, value: bytes) -> bytes:
    found = _END.search(data)
    end = found[0] if found else b"\n"
    gap = b"" if not data.removeprefix(_BOM) or data.endswith((b"\n", b"\r")) else end
    return data + gap + name + b"=" + value + end
