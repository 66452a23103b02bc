"""Where grammar/, templates/ and data/ lie: beside the package in a checkout, inside it in an installed wheel."""

from __future__ import annotations

from functools import cache
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent
SHIPPED = ("grammar", "templates", "data")


@cache
def resource(*parts: str) -> Path:
    """Return the path of a shipped file or folder, for example `resource("grammar", "jessyfile.lark")`.

    Raises FileNotFoundError when the installation lacks it.
    """
    for root in (_PACKAGE / "_shipped", _PACKAGE.parent):
        path = root.joinpath(*parts)
        if path.exists():
            return path
    raise FileNotFoundError("/".join(parts))


@cache
def shipped_root() -> Path:
    """Return the folder that grammar/, templates/ and data/ lie in."""
    return resource("grammar").parent.resolve()


def is_shipped(path: Path) -> bool:
    """Return whether a resolved path is one of the files that come with jessy."""
    return any(path.is_relative_to(shipped_root() / name) for name in SHIPPED)
