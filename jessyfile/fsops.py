"""The one place that writes to the disk.

A file is written beside its target, flushed to the device, then renamed over the target, and the folder is flushed
too. A reader sees the old content or the new one, never a part. A folder is filled under a temporary name and renamed
when it is complete. Every function turns an `OSError` into a `StorageError` with the path and the reason.

Not covered: a disk that reports a flush without doing it, and network file systems without atomic rename.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import shutil
import stat
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

from jessyfile.disk_errors import disk_errors as disk_errors
from jessyfile.disk_errors import reported
from jessyfile.disk_errors import storage_error as storage_error
from jessyfile.errors import StorageError
from jessyfile.temporaries import held, hold, temporary_name

_CHUNK = 1 << 20
_FICLONE = 0x40049409  # the ioctl of linux/fs.h
_NO_LINKS = (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP, errno.ENOSYS, errno.EACCES)


def sweep_temporaries(folder: Path, pattern: str = "**/.*.tmp") -> None:
    """Remove what killed writers left beside their targets; what a living one holds stays."""
    for path in folder.glob(pattern):
        if not held(path):
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
    with reported(path, "create"):
        path.mkdir(parents=True, exist_ok=True)
    return path


@contextlib.contextmanager
def atomic_file(path: Path, *, new: bool = False, like: os.stat_result | None = None) -> Iterator[IO[bytes]]:
    """Yield a binary file that takes `path`'s place when the block ends well, and vanishes when it does not.

    Args:
        path: the file to write; its folder is created.
        new: whether nothing may stand there, not even a dangling link.
        like: the file whose mode and owner it takes; without it the umask decides.

    Raises:
        FileExistsError: `new` was asked and something stands there.
        StorageError: the disk refused.
    """
    make_folder(path.parent)
    temporary = temporary_name(path)
    with reported(path, "write"):
        # a file that holds secrets is never readable for others, not even for a moment
        descriptor = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600 if like else 0o666)
        try:
            with os.fdopen(descriptor, "wb") as handle:
                hold(descriptor)
                yield handle
                if like is not None:
                    _take_after(descriptor, like)
                flush(handle)
                (_put_new if new else os.replace)(temporary, path)
            flush_folder(path.parent)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise


def _take_after(descriptor: int, like: os.stat_result) -> None:
    with contextlib.suppress(PermissionError):  # only root may give a file away
        os.fchown(descriptor, like.st_uid, like.st_gid)
    os.fchmod(descriptor, stat.S_IMODE(like.st_mode))


def _put_new(temporary: Path, path: Path) -> None:
    """Give a file its final name unless something has it already."""
    try:
        os.link(temporary, path)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
        os.replace(temporary, path)
    else:
        os.unlink(temporary)


def write_bytes(path: Path, data: bytes) -> None:
    """Replace a file's content in one step."""
    with atomic_file(path) as handle:
        handle.write(data)


def write_text(path: Path, text: str) -> None:
    """Replace a file's content with UTF-8 text and LF line ends, in one step."""
    write_bytes(path, text.encode("utf-8"))


def append_line(path: Path, line: str) -> None:
    """Add one line to a log with a single write; a torn last line is the reader's to skip."""
    make_folder(path.parent)
    with reported(path, "write"):
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
        try:
            _write_whole(descriptor, line.encode("utf-8") + b"\n")
        finally:
            os.close(descriptor)


def _write_whole(descriptor: int, data: bytes) -> None:
    if os.write(descriptor, data) != len(data):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def append_durably(path: Path, data: bytes) -> None:
    """Add whole lines to a log that only its owner may read, and bring them to the device; all of them are there afterwards, or none.

    A line that a crash has torn is ended first, so that it stays alone. Only one writer at a time may call it. Raises StorageError.
    """
    make_folder(path.parent)
    with reported(path, "write"):
        descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        try:
            before = os.fstat(descriptor).st_size
            torn = before > 0 and os.pread(descriptor, 1, before - 1) != b"\n"
            whole = b"\n" + data if torn else data
            try:
                _write_whole(descriptor, whole)
                flush_descriptor(descriptor)
            except OSError:
                os.ftruncate(descriptor, before)
                raise
        finally:
            os.close(descriptor)
        if not before:
            flush_folder(path.parent)


@contextlib.contextmanager
def temporary_folder(path: Path) -> Iterator[Path]:
    """Yield an empty folder beside `path`, with the umask's mode; what is left of it vanishes with the block."""
    make_folder(path.parent)
    temporary = temporary_name(path)
    with reported(path, "write"):
        os.mkdir(temporary)
        descriptor = os.open(temporary, os.O_RDONLY)
    try:
        hold(descriptor)
        yield temporary
    finally:
        os.close(descriptor)
        shutil.rmtree(temporary, ignore_errors=True)


@contextlib.contextmanager
def staged_folder(path: Path) -> Iterator[Path]:
    """Yield an empty folder that takes the place of jessy's own folder `path` when the block ends well."""
    with temporary_folder(path) as staging:
        yield staging
        commit_folder(staging, path)


def flush_tree(folder: Path) -> None:
    """Bring every file and folder under `folder` to the device."""
    for root, _, names in os.walk(folder, topdown=False):
        for name in names:
            with open(os.path.join(root, name), "rb") as handle:
                flush_descriptor(handle.fileno())
        flush_folder(Path(root))


def remove_tree(path: Path) -> None:
    """Remove a folder or a file; it may be absent."""
    with reported(path, "remove"), contextlib.suppress(FileNotFoundError):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def require_room(place: Path, count: int) -> None:
    """Raise StorageError when the disk of a place, which need not be there yet, has no room for so many bytes."""
    standing = next(path for path in (place.absolute(), *place.absolute().parents) if path.exists())
    with reported(standing, "look at"):
        free = shutil.disk_usage(standing).free
    if count > free:
        raise StorageError(
            f"`{place}` would take {count / 1e9:.1f} GB, and its disk has {free / 1e9:.1f} GB left",
            hint="free some, or name a place on another disk",
        )


def link_or_copy(source: Path, target: Path) -> None:
    """Give a file of jessy's own a second name where the file system allows it, else copy it; the target must not
    exist.

    Both names then share their bytes: never change either in place, and never link what is not jessy's.
    """
    make_folder(target.parent)
    with reported(target, "write"):
        try:
            os.link(source, target)
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            copy_file(source, target)


def commit_folder(staging: Path, target: Path) -> None:
    """Flush a filled folder and give it its final name; jessy's own folder of that name is put aside, then removed."""
    aside = temporary_name(target)
    with reported(target, "write"):
        flush_tree(staging)
        with contextlib.suppress(FileNotFoundError):
            os.replace(target, aside)
        os.replace(staging, target)
        flush_folder(target.parent)
        remove_tree(aside)


def copy_file(source: Path, target: Path) -> None:
    """Give a file a copy that shares nothing with it; a file system with copy on write shares the blocks until then."""
    with atomic_file(target) as handle, open(source, "rb") as original:
        if not _cloned(original, handle):
            shutil.copyfileobj(original, handle, _CHUNK)


def _cloned(source: IO[bytes], target: IO[bytes]) -> bool:
    """Whether Linux let the target share the source's blocks (Btrfs, XFS, bcachefs)."""
    if not sys.platform.startswith("linux"):
        return False
    import fcntl

    try:
        fcntl.ioctl(target.fileno(), _FICLONE, source.fileno())
    except OSError:
        return False
    return True


def move_files(source: Path, target: Path, names: Sequence[str]) -> None:
    """Rename files from one folder into another, in this order, over those of the same name."""
    with reported(target, "write"):
        for name in names:
            os.replace(source / name, target / name)
        flush_folder(target)


def move(source: Path, target: Path) -> None:
    """Rename a file or a folder within one file system."""
    with reported(target, "write"):
        os.replace(source, target)
        flush_folder(target.parent)


def protect_file(path: Path) -> None:
    """Make a file read-only, so that a slip does not change stored bytes through one of its names."""
    with reported(path, "write"):
        os.chmod(path, stat.S_IMODE(os.lstat(path).st_mode) & ~0o222)


def is_endless(mode: int) -> bool:
    """Whether a file of this mode is a pipe or a device, on which reading may wait for ever."""
    return stat.S_ISFIFO(mode) or stat.S_ISCHR(mode)


def open_finite(path: str, flags: int) -> int:
    """Open a file without waiting, as `open` and FileIO take an opener. Raises OSError for one that is endless."""
    descriptor = os.open(path, flags | os.O_NONBLOCK)
    if is_endless(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError("it is a pipe or a device, not a file")
    return descriptor


@contextlib.contextmanager
def opened(path: Path) -> Iterator[IO[bytes]]:
    """Yield a file open for reading. Raises FileNotFoundError when it is absent, StorageError for everything else."""
    try:
        with open(path, "rb") as handle:
            yield handle
    except (FileNotFoundError, NotADirectoryError):
        raise FileNotFoundError(path) from None
    except OSError as error:
        raise storage_error(error, path, "read") from error


def read_bytes(path: Path, limit: int = -1) -> bytes:
    """Return a file's bytes, `limit` at most. Raises as `opened` does."""
    with opened(path) as handle:
        return handle.read(limit)


def lock_file(path: Path) -> int | None:
    """Take the lock on a file and return its descriptor; None when another process holds it. Closing it frees the lock.

    The kernel frees it too when the process dies, so that a lock is never left behind.
    """
    import fcntl

    make_folder(path.parent)
    with reported(path, "lock"):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(descriptor)
            if error.errno in (errno.EWOULDBLOCK, errno.EAGAIN):
                return None
            raise
    return descriptor


def files_under(folder: Path, *, hidden: bool = True) -> list[Path]:
    """Return every path under a folder that is no folder, sorted; links are listed and not followed. Without `hidden`, what begins with a
    dot is left out.

    A folder that cannot be read raises StorageError: what pathlib's own walks pass over in silence would be lost here.
    """

    def refuse(error: OSError) -> None:
        raise storage_error(error, error.filename or folder, "read") from error

    found = []
    for root, folders, names in os.walk(folder, onerror=refuse):
        folders[:] = [name for name in folders if hidden or not name.startswith(".")]
        links = [name for name in folders if os.path.islink(os.path.join(root, name))]
        found += [Path(root, name) for name in (*names, *links) if hidden or not name.startswith(".")]
    return sorted(found)


def hash_file(path: Path) -> str:
    """Return the SHA-256 of a file's bytes in lower-case hexadecimal."""
    with reported(path, "read"), open(path, "rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()
