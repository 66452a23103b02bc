"""Where a project begins, and the names inside its `.jessy` folder."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import quote

from jessyfile.errors import ProjectError
from jessyfile.resources import is_shipped, shipped_root

JESSY_FOLDER = ".jessy"
_SIGNS = (JESSY_FOLDER, ".git", "pyproject.toml")


def find_root(recipe: Path) -> Path:
    """Return the project's root: the nearest folder at or above the recipe's that holds `.jessy`, `.git` or
    `pyproject.toml`.

    Without any, the recipe's own folder is the root. Nothing outside the root is read or written.
    """
    folder = recipe.resolve().parent
    for candidate in (folder, *folder.parents):
        if any((candidate / sign).exists() for sign in _SIGNS):
            return candidate
    return folder


def possible_path(path: str | os.PathLike[str]) -> Path:
    """Return a path that a caller names; raises ProjectError for one that no file can have."""
    found = Path(path)
    try:
        possible = b"\0" not in os.fsencode(found)
    except UnicodeEncodeError:
        possible = False
    if not possible:
        raise ProjectError("the path holds a character that no path can have")
    return found


def file_path(path: str | os.PathLike[str]) -> Path:
    """Return the path of a file that a caller names; raises ProjectError for a folder and what no file can have."""
    found = possible_path(path)
    if os.path.isdir(found):
        raise ProjectError(f"`{found}` is a folder", hint="name a file in it")
    return found


def jessy_folder(root: Path) -> Path:
    """Return the folder of state, store and runs under a project's root.

    Raises ProjectError when a link or a file has its name: what is cleaned up there must never be another folder's.
    """
    folder = root / JESSY_FOLDER
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise ProjectError(
            f"`{folder}` is {'a link' if folder.is_symlink() else 'no folder'}, and jessy keeps its results only in a "
            "folder of its own",
            hint="remove it, or move the whole project to the larger disk",
        )
    return folder


def refuse_links(root: Path) -> None:
    """Raise ProjectError when one of the folders that jessy cleans up is a link that leads elsewhere."""
    folder = jessy_folder(root)
    for name in sorted(os.listdir(folder)) if folder.is_dir() else ():
        if (folder / name).is_symlink():
            raise ProjectError(f"`{folder / name}` is a link, which jessy did not make", hint="remove the link")


def store_folder(root: Path) -> Path:
    """Return the folder of every step's results, by content."""
    return jessy_folder(root) / "store"


def runs_folder(root: Path) -> Path:
    """Return the folder with one folder a run."""
    return jessy_folder(root) / "runs"


def work_folder(root: Path) -> Path:
    """Return the folder of what interrupted steps had done so far."""
    return jessy_folder(root) / "work"


def data_folder(root: Path, name: str) -> Path:
    """Return the folder of the rows that `jessy data` made for the recipe called `name`."""
    return jessy_folder(root) / "data" / quote(name, safe="")


def state_file(root: Path, name: str) -> Path:
    """Return the file that says what was last applied for the recipe called `name`."""
    return jessy_folder(root) / "state" / f"{quote(name, safe='')}.json"


def relative(path: Path, root: Path) -> str:
    """Return a path as seen from the root, with `/`; one that jessy ships as seen from wherever jessy lies, so that a
    checkout, an installation and a copy of the project give it one name; any other keeps its last two parts."""
    real = path.resolve()
    for base in (shipped_root(), root.resolve()):
        if real.is_relative_to(base) and (base != shipped_root() or is_shipped(real)):
            return real.relative_to(base).as_posix()
    return "/".join(path.parts[-2:])
