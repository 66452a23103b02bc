"""Every call that touches the disk under one folder, numbered: count it, fail it, or keep what a kill there would leave.

A process killed by SIGKILL leaves on the disk what its last finished call left there, for the kernel keeps what was
written. So one run yields the remains of a kill at each of its calls: `remains` keeps the whole tree in memory before a
call, `Tree.restore` puts it into another folder. `test_kill_sweep.py` holds that against processes that are really
killed.
"""

from __future__ import annotations

import builtins
import dataclasses
import io
import itertools
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

WRITES = ("open", "write", "fsync", "replace", "mkdir", "link", "unlink", "rmdir", "chmod")
READS = ("open to read", "stat", "lstat", "scandir", "listdir")
_FRESH = 0.1  # seconds in which a file system's clock may give two versions of a file the same time


@dataclass(frozen=True)
class Call:
    """One disk call: its number from 1, its name, and the path or descriptor that it was given."""

    number: int
    name: str
    target: Any


@contextmanager
def watched(root: Path, act: Callable[[Call], None], names: tuple[str, ...] = WRITES) -> Iterator[None]:
    """Call `act` before each disk call under a root, in the order of the run; what it raises is the call's error.

    A call by path counts when the path lies under the root, one by descriptor or relative to one always. `write` is
    every write that reaches the kernel, also those of a buffered file.
    """
    numbers = itertools.count(1)

    def heard(name: str, target: Any) -> None:
        act(Call(next(numbers), name, target))

    with ExitStack() as stack:
        for name in names:
            if not name.startswith("open"):
                stack.enter_context(mock.patch.object(os, name, _heard(getattr(os, name), name, root, heard)))
        for place in (os, builtins):
            stack.enter_context(mock.patch.object(place, "open", _opened(place.open, root, heard, names)))
        if "write" in names:
            stack.enter_context(mock.patch.object(os, "fdopen", _fdopen(os.fdopen, heard)))
        yield


def place() -> tuple[tuple[str, int], ...]:
    """Return where in the product's code the program is: file and line of each of its functions that are under way."""
    found, frame = [], sys._getframe()
    while frame is not None:
        if "jessyfile" in frame.f_code.co_filename:
            found.append((frame.f_code.co_filename, frame.f_lineno))
        frame = frame.f_back
    return tuple(found)


def _heard(
    original: Callable[..., Any], name: str, root: Path, heard: Callable[[str, Any], None]
) -> Callable[..., Any]:
    def call(*arguments: Any, **options: Any) -> Any:
        if _counts(arguments, options, root):
            heard(name, arguments[0])
        return original(*arguments, **options)

    return call


def _opened(
    original: Callable[..., Any], root: Path, heard: Callable[[str, Any], None], names: tuple[str, ...]
) -> Callable[..., Any]:
    def call(*arguments: Any, **options: Any) -> Any:
        how = arguments[1] if len(arguments) > 1 else options.get("mode", "r")
        name = "open" if (how & os.O_CREAT if isinstance(how, int) else how[0] != "r") else "open to read"
        if name in names and _counts(arguments, options, root):
            heard(name, arguments[0])
        return original(*arguments, **options)

    return call


def _fdopen(original: Callable[..., Any], heard: Callable[[str, Any], None]) -> Callable[..., Any]:
    """Return an `os.fdopen` whose binary files say when their buffer goes to the kernel."""

    class Raw(io.FileIO):
        def write(self, data: Any, /) -> int | None:
            heard("write", self.fileno())
            return super().write(data)

    def call(descriptor: int, mode: str = "r", *arguments: Any, **options: Any) -> Any:
        if mode == "wb" and not arguments and not options:
            return io.BufferedWriter(Raw(descriptor, "w"))
        return original(descriptor, mode, *arguments, **options)

    return call


def _counts(arguments: tuple[Any, ...], options: dict[str, Any], root: Path) -> bool:
    if options.get("dir_fd") is not None or options.get("src_dir_fd") is not None:
        return True
    first = arguments[0] if arguments else None
    if isinstance(first, int):
        return first > 2
    return isinstance(first, str | os.PathLike) and str(os.fspath(first)).startswith(str(root))


@dataclass(frozen=True)
class File:
    """A file's bytes, mode, time, and the number that its other names share."""

    data: bytes
    mode: int
    time: int
    inode: int


@dataclass(frozen=True)
class Tree:
    """A folder as it stood: every folder's mode, every file."""

    folders: dict[str, int]
    files: dict[str, File]

    def restore(self, target: Path) -> Path:
        """Make a new folder hold the tree, files with several names included."""
        names: dict[int, Path] = {}
        for name in sorted(self.folders):
            (target / name).mkdir(parents=True)
        for name, file in self.files.items():
            path = target / name
            if file.inode in names:
                os.link(names[file.inode], path)
                continue
            names[file.inode] = path
            path.write_bytes(file.data)
            os.chmod(path, file.mode)
            os.utime(path, ns=(file.time, file.time))
        for name, mode in sorted(self.folders.items(), reverse=True):
            os.chmod(target / name, mode)
        return target

    def torn(self) -> Tree | None:
        """Return the tree with its half-written file cut in two, as a kill within a write leaves it; None without one."""
        name = next((name for name, file in self.files.items() if name.endswith(".tmp") and len(file.data) > 1), None)
        if name is None:
            return None
        half = dataclasses.replace(self.files[name], data=self.files[name].data[: len(self.files[name].data) // 2])
        return Tree(self.folders, {**self.files, name: half})


@dataclass
class Camera:
    """Takes a folder's tree again and again; a file's bytes are read anew only when they may have changed."""

    root: Path
    _seen: dict[tuple[int, int, int], bytes] = field(default_factory=dict)

    def take(self) -> Tree:
        folders, files = {}, {}
        for here, _, names in os.walk(self.root):
            folders[os.path.relpath(here, self.root)] = os.stat(here).st_mode & 0o7777
            for name in names:
                path = os.path.join(here, name)
                with suppress(FileNotFoundError):
                    files[os.path.relpath(path, self.root)] = self._file(path)
        return Tree(folders, files)

    def _file(self, path: str) -> File:
        status = os.lstat(path)
        key = (status.st_ino, status.st_size, status.st_mtime_ns)
        if key not in self._seen or time.time() - status.st_mtime < _FRESH:
            self._seen[key] = Path(path).read_bytes()
        return File(self._seen[key], status.st_mode & 0o7777, status.st_mtime_ns, status.st_ino)


def copy(source: Path, target: Path) -> Path:
    """Return a copy of a folder; files with several names keep them."""
    return Camera(source).take().restore(target)


def remove(folder: Path) -> None:
    shutil.rmtree(folder)
