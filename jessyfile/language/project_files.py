"""Reading files for a recipe: only inside the project's root, only regular ones, only so large.

A path is resolved with all its symbolic links before it is compared with the root, and what is opened is the
resolved path.
Not covered: another process that swaps a folder for a link between the check and the opening.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path


class Refused(Exception):
    """A path that may not or cannot be read."""

    def __init__(self, code: str, message: str, help_: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.help = help_


@dataclass(frozen=True, slots=True)
class Project:
    """A project's root, resolved; the border that no path of a recipe crosses."""

    root: Path

    def locate(self, written: str, folder: Path) -> Path:
        """Return the resolved path of what a file in `folder` calls `written`. Raises Refused when it is outside."""
        if "\0" in written or not written.strip():
            raise Refused("J040", "a path may not be empty or hold NUL", "write the path of a file inside the project")
        if written.startswith("~"):
            raise Refused(
                "J041",
                f"`{written}` is outside the project",
                "paths count from the file that names them; `~` is not read",
            )
        try:
            path = Path(os.path.realpath(folder / written))
        except (OSError, ValueError) as error:
            raise Refused("J040", f"cannot follow `{written}`: {_reason(error)}", "check the path") from error
        if not path.is_relative_to(self.root):
            through = (
                " (it leads there through a symbolic link)"
                if not _lexically_outside(written, folder, self.root)
                else ""
            )
            raise Refused(
                "J041",
                f"`{written}` is outside the project's root{through}",
                "copy it into the project; nothing outside its root is read",
            )
        return path

    def existing(self, written: str, folder: Path, *, is_folder: bool = False) -> Path:
        """Return the resolved path of something that is there. Raises Refused otherwise."""
        path = self.locate(written, folder)
        try:
            mode = path.stat().st_mode
        except (OSError, ValueError) as error:
            raise Refused(
                "J040",
                f"cannot find `{written}`: {_reason(error)}",
                f"it was looked for at {self._told(written, path)}",
            ) from error
        if is_folder and not stat.S_ISDIR(mode):
            raise Refused("J040", f"`{written}` is not a folder", "name the folder that holds the files")
        return path

    def read(self, path: Path, written: str, limit: int) -> bytes:
        """Return a regular file's bytes. Raises Refused when it is no file, too large or unreadable."""
        try:
            with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | getattr(os, "O_NOFOLLOW", 0)), "rb") as handle:
                if not stat.S_ISREG(os.fstat(handle.fileno()).st_mode):
                    raise Refused("J040", f"`{written}` is not a regular file", "name a text file")
                data = handle.read(limit + 1)
        except (OSError, ValueError) as error:
            raise Refused(
                "J040", f"cannot read `{written}`: {_reason(error)}", f"it was looked for at `{self.relative(path)}`"
            ) from error
        if len(data) > limit:
            raise Refused(
                "J007",
                f"`{written}` has more than {limit:,} bytes",
                "move long texts out with FILE, and rows into seeds",
            )
        return data

    def _told(self, written: str, path: Path) -> str:
        """Return where a path leads, with the root where the one who wrote it counted from another folder."""
        told = f"`{self.relative(path)}`"
        if not os.path.exists(written):
            return told
        return f"{told} of the project `{self.root}`: a root is a folder with `.jessy`, `.git` or `pyproject.toml`"

    def relative(self, path: Path) -> str:
        """Return a path as counted from the root, with forward slashes; outside the root, as it is."""
        return path.relative_to(self.root).as_posix() if path.is_relative_to(self.root) else str(path)


def _lexically_outside(written: str, folder: Path, root: Path) -> bool:
    return not Path(os.path.normpath(folder / written)).is_relative_to(root)


def _reason(error: Exception) -> str:
    code = getattr(error, "errno", None)
    return os.strerror(code).lower() if code else "not a usable path"


def count_cases(file: str, root: Path, trained: str | None) -> int | None:
    """Return how many cases a suite's file has, one of the project or else one that comes with jessy, less those whose
    reference answers of the split `trained` are trained; None when there is no file."""
    from jessyfile.fsops import open_finite
    from jessyfile.resources import resource

    for base in (root, resource("grammar").parent):
        try:
            with open(base / file, "rb", opener=open_finite) as handle:
                return sum(bool(line.strip()) for line in handle) - len(cases_of_split(base / file, trained))
        except OSError:
            continue
    return None


def cases_of_split(suite: Path, split: str | None) -> frozenset[str]:
    """Return the ids of a suite's cases that have reference answers of this split, in the folder `references` beside it."""
    from jessyfile.text.json_lines import Line, read_jsonl

    beside = suite.parent / "references" / suite.name
    if split is None or not beside.is_file():
        return frozenset()
    lines = (item.value for item in read_jsonl(beside) if isinstance(item, Line))
    return frozenset(str(line.get("case")) for line in lines if line.get("split") == split)
