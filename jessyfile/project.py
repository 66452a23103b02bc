"""Where a project begins, and the names inside its `.jessy` folder."""

from __future__ import annotations

from pathlib import Path

JESSY_FOLDER = ".jessy"
_SIGNS = (JESSY_FOLDER, ".git", "pyproject.toml")


def find_root(recipe: Path) -> Path:
    """Return the project's root: the nearest folder at or above the recipe's that holds `.jessy`, `.git` or `pyproject.toml`.

    Without any, the recipe's own folder is the root. Nothing outside the root is read or written.
    """
    folder = recipe.resolve().parent
    for candidate in (folder, *folder.parents):
        if any((candidate / sign).exists() for sign in _SIGNS):
            return candidate
    return folder


def jessy_folder(root: Path) -> Path:
    """Return the folder of state, store and runs under a project's root."""
    return root / JESSY_FOLDER
