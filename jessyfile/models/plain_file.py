"""Read from the files of a model, whoever made them and whatever happens to them meanwhile.

Only a plain file is opened: a pipe would be waited on for ever, a device never ends. Nothing is mapped into memory: a process dies
of a signal when a mapped file becomes shorter.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from jessyfile.errors import ModelError

if TYPE_CHECKING:
    import numpy as np

_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


@contextlib.contextmanager
def plain_file(path: Path) -> Iterator[IO[bytes]]:
    """Yield a model's file, open for reading. Raises ModelError for anything but a plain file that may be read."""
    try:
        refuse_other_kinds(path)
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as handle:
            yield handle
    except OSError as error:
        raise unreadable(path, error) from error


def refuse_other_kinds(path: Path) -> None:
    """Raise ModelError when what stands at a path is no file, OSError when nothing does."""
    mode = stat.S_IFMT(path.stat().st_mode)
    if mode != stat.S_IFREG:
        raise ModelError(f"`{path}` is {_KINDS.get(mode, 'no file')}", hint="name the model's file itself")


def unreadable(path: Path, error: OSError) -> ModelError:
    """Return in one sentence why the system does not let a file of a model be read."""
    why = (error.strerror or str(error)).lower()
    return ModelError(f"cannot read `{path}`: {why}", hint="see that the file is there and that you may read it")


def stored_numbers(path: Path, dtype: str, offset: int, count: int) -> np.ndarray[Any, Any]:
    """Return numbers that a file holds one behind the other.

    Args:
        path: the file.
        dtype: their type, as NumPy calls it.
        offset: the first one's first byte.
        count: how many.

    Returns:
        An array of one dimension.

    Raises:
        ModelError: the file has become too short, or may not be read.
    """
    import numpy as np

    with plain_file(path) as handle:
        found = np.fromfile(handle, dtype, count, offset=offset)
    if len(found) != count:
        raise ModelError(
            f"`{path.name}` became shorter while it was read", hint="let it be written first, then try again"
        )
    return found
