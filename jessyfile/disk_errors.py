"""An `OSError` as one sentence: which disk operation failed on which path, and what helps."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path

from jessyfile.errors import StorageError

_HINTS = {
    errno.ENOSPC: "free some space and run the same command again; nothing was lost",
    errno.EDQUOT: "your disk quota is used up; free some space and run the same command again",
    errno.EROFS: "the file system is read-only",
    errno.EACCES: "check the permissions of the folder",
    errno.EMFILE: "too many open files; raise the limit with `ulimit -n`",
}


def storage_error(error: OSError, path: Path | str, doing: str) -> StorageError:
    """Say in one sentence which disk operation failed on which path."""
    reason = os.strerror(error.errno) if error.errno else str(error)
    hint = _HINTS.get(error.errno or 0)
    return StorageError(f"cannot {doing} `{path}`: {reason.lower()}", hint=hint)


@contextlib.contextmanager
def reported(path: Path | str, doing: str) -> Iterator[None]:
    """Turn an `OSError` of the block into `StorageError` that names this path."""
    try:
        yield
    except OSError as error:
        raise storage_error(error, path, doing) from error


@contextlib.contextmanager
def disk_errors(root: Path) -> Iterator[None]:
    """Turn any `OSError` of the block into `StorageError`: for code that looks at many paths and writes through this
    module. A broken pipe is no disk's."""
    try:
        yield
    except ConnectionError:
        raise
    except OSError as error:
        raise storage_error(error, error.filename or root, "use") from error
