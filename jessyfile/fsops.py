"""The one place that writes to the disk.

A file is written beside its target, flushed to the device, then renamed over it, and the folder is flushed too: a
reader sees the old content or the new, never a part. A folder is filled under a temporary name and renamed when it is
complete. Every function turns an `OSError` into `StorageError` with the path and the reason.

Not covered: a disk that lies about flushing, and network file systems without atomic rename.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from jessyfile.errors import StorageError

_CHUNK = 1 << 20
_NO_LINKS = (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP, errno.ENOSYS, errno.EACCES)
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
def _reported(path: Path | str, doing: str) -> Iterator[None]:
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


def sweep_temporaries(folder: Path) -> None:
    """Remove what killed writers left beside their targets; the caller makes sure that nobody is writing there."""
    for path in folder.rglob(".*.tmp"):
        remove_tree(path)


def flush(handle: IO[bytes]) -> None:
    """Bring a file's bytes to the device (`F_FULLFSYNC` on macOS, whose fsync stops at the drive's cache)."""
    handle.flush()
    flush_descriptor(handle.fileno())


def flush_descriptor(descriptor: int) -> None:
    """Bring an open file's bytes to the device; the descriptor may be open for reading only."""
    if sys.platform == "darwin":
        import fcntl

        fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)
    else:
        os.fsync(descriptor)


def flush_folder(path: Path) -> None:
    """Bring a folder's entries to the device, so that a rename survives a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_folder(path: Path) -> Path:
    """Create a folder and its parents; return it."""
    with _reported(path, "create"):
        path.mkdir(parents=True, exist_ok=True)
    return path


@contextlib.contextmanager
def atomic_file(path: Path, mode: int = 0o644) -> Iterator[IO[bytes]]:
    """Yield a binary file that takes `path`'s place when the block ends well, and vanishes when it does not."""
    make_folder(path.parent)
    with _reported(path, "write"):
        descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
        try:
            with os.fdopen(descriptor, "wb") as handle:
                yield handle
                flush(handle)
            os.chmod(temporary, mode)
            os.replace(temporary, path)
            flush_folder(path.parent)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise


def write_bytes(path: Path, data: bytes, mode: int = 0o644) -> None:
    """Replace a file's content in one step; give a file that holds secrets its own mode."""
    with atomic_file(path, mode) as handle:
        handle.write(data)


def write_text(path: Path, text: str) -> None:
    """Replace a file's content with UTF-8 text and LF line ends, in one step."""
    write_bytes(path, text.encode("utf-8"))


def append_line(path: Path, line: str) -> None:
    """Add one line to a log with a single write; a torn last line is the reader's to skip."""
    make_folder(path.parent)
    with _reported(path, "write"):
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            data = line.encode("utf-8") + b"\n"
            if os.write(descriptor, data) != len(data):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        finally:
            os.close(descriptor)


@contextlib.contextmanager
def staged_folder(path: Path) -> Iterator[Path]:
    """Yield an empty folder that takes `path`'s place, flushed, when the block ends well; it is removed otherwise."""
    make_folder(path.parent)
    with _reported(path, "write"):
        staging = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent))
        try:
            yield staging
            flush_tree(staging)
            remove_tree(path)
            os.replace(staging, path)
            flush_folder(path.parent)
        except BaseException:
            shutil.rmtree(staging, ignore_errors=True)
            raise


def flush_tree(folder: Path) -> None:
    """Bring every file and folder under `folder` to the device."""
    for root, _, names in os.walk(folder, topdown=False):
        for name in names:
            with open(os.path.join(root, name), "rb") as handle:
                flush_descriptor(handle.fileno())
        flush_folder(Path(root))


def remove_tree(path: Path) -> None:
    """Remove a folder or a file; it may be absent."""
    with _reported(path, "remove"), contextlib.suppress(FileNotFoundError):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def link_or_copy(source: Path, target: Path) -> None:
    """Give a file a second name where the file system allows it, else copy it; the target must not exist.

    Both names then share their bytes: never change either in place.
    """
    make_folder(target.parent)
    with _reported(target, "write"):
        try:
            os.link(source, target)
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            with atomic_file(target) as handle, open(source, "rb") as original:
                shutil.copyfileobj(original, handle, _CHUNK)


def commit_folder(staging: Path, target: Path) -> None:
    """Flush a filled folder and give it its final name, in place of what stood there."""
    with _reported(target, "write"):
        flush_tree(staging)
        remove_tree(target)
        os.replace(staging, target)
        flush_folder(target.parent)


def protect_file(path: Path) -> None:
    """Make a file read-only, so that a slip does not change stored bytes through one of its names."""
    with _reported(path, "write"):
        os.chmod(path, 0o444)


def read_bytes(path: Path) -> bytes:
    """Return a file's bytes. Raises FileNotFoundError when it is absent, StorageError for everything else."""
    try:
        with open(path, "rb") as handle:
            return handle.read()
    except (FileNotFoundError, NotADirectoryError):
        raise FileNotFoundError(path) from None
    except OSError as error:
        raise storage_error(error, path, "read") from error


def lock_file(path: Path) -> int | None:
    """Take the lock on a file and return its descriptor; None when another process holds it. Closing it frees the lock.

    The kernel frees it too when the process dies, so that a lock is never left behind.
    """
    import fcntl

    make_folder(path.parent)
    with _reported(path, "lock"):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(descriptor)
            if error.errno in (errno.EWOULDBLOCK, errno.EAGAIN):
                return None
            raise
    return descriptor


def files_under(folder: Path) -> list[Path]:
    """Return every path under a folder that is no folder, sorted; links are listed and not followed.

    A folder that cannot be read raises StorageError: what pathlib's own walks pass over in silence would be lost here.
    """

    def refuse(error: OSError) -> None:
        raise storage_error(error, error.filename or folder, "read") from error

    found = []
    for root, folders, names in os.walk(folder, onerror=refuse):
        links = [name for name in folders if os.path.islink(os.path.join(root, name))]
        found += [Path(root, name) for name in (*names, *links)]
    return sorted(found)


def hash_file(path: Path) -> str:
    """Return the SHA-256 of a file's bytes in lower-case hexadecimal."""
    with _reported(path, "read"), open(path, "rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()
