"""Change one key of a .env file and leave every other byte as it is."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from jessyfile.errors import ProjectError
from jessyfile.fsops import read_bytes, write_bytes

if TYPE_CHECKING:
    from pathlib import Path

_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def update_dotenv(root: Path, dotenv: tuple[str, str], value: str) -> Path:
    """Set a key in the file that `DEPLOY { dotenv }` names, relative to the project's root; the file keeps its mode.

    Raises ProjectError when the file lies outside the project or the key is no variable's name.
    """
    path, key = _place(root, dotenv), dotenv[1]
    try:
        lines, mode = read_bytes(path).splitlines(keepends=True), path.stat().st_mode & 0o777
    except FileNotFoundError:
        lines, mode = [], 0o644
    wanted = [index for index, line in enumerate(lines) if _sets(line, key)]
    end = b"\r\n" if lines and lines[0].endswith(b"\r\n") else b"\n"
    new = f"{key}={value}".encode() + end
    if wanted:
        export = b"export " if lines[wanted[-1]].lstrip().startswith(b"export ") else b""
        lines[wanted[-1]] = export + new
    else:
        if lines and not lines[-1].endswith(b"\n"):
            lines[-1] += end
        lines.append(new)
    write_bytes(path, b"".join(lines), mode)
    return path


def dotenv_holds(root: Path, dotenv: tuple[str, str], value: str) -> bool:
    """Return whether the last line that sets the key gives it this value."""
    try:
        lines = read_bytes(_place(root, dotenv)).splitlines()
    except FileNotFoundError:
        return False
    found = [line for line in lines if _sets(line, dotenv[1])]
    return bool(found) and found[-1].partition(b"=")[2].strip() == value.encode()


def _place(root: Path, dotenv: tuple[str, str]) -> Path:
    path = (root / dotenv[0]).resolve()
    if not path.is_relative_to(root.resolve()):
        raise ProjectError(
            f"the file `{dotenv[0]}` lies outside the project", hint="name a file inside the project in `dotenv`"
        )
    if _KEY.fullmatch(dotenv[1]) is None:
        raise ProjectError(f"`{dotenv[1]}` is no name of an environment variable", hint="letters, digits and _ only")
    return path


def _sets(line: bytes, key: str) -> bool:
    text = line.strip()
    text = text.removeprefix(b"export ").lstrip()
    return text.partition(b"=")[0].rstrip() == key.encode() and b"=" in text
