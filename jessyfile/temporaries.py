"""The names of what is half written, and whether its writer lives."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
from pathlib import Path


def temporary_name(path: Path) -> Path:
    """Return a name beside `path` that nobody has."""
    return path.parent / f".{path.name[:40]}.{os.urandom(6).hex()}.tmp"


def left_beside(path: Path) -> list[Path]:
    """Return what killed writers of `path` have left: files with a name that only `temporary_name` gives."""
    name = re.compile(rf"\.{re.escape(path.name[:40])}\.[0-9a-f]{{12}}\.tmp")
    found = (path.parent / one for one in os.listdir(path.parent) if name.fullmatch(one))
    return [temporary for temporary in found if not held(temporary)]


def hold(descriptor: int) -> None:
    """Mark an open temporary as a living writer's; the kernel takes the mark away with the process."""
    with contextlib.suppress(OSError):  # a file system without flock
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def held(temporary: Path) -> bool:
    """Return whether a temporary's writer lives, or it is no file or folder that a writer of jessy's left."""
    try:
        descriptor = os.open(temporary, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
    except OSError:
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False
