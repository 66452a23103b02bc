"""Every result of every step, by content: `.jessy/store/<sha256>/` with `manifest.json` and the files under `files/`.

An object's id is the SHA-256 of its manifest, which holds name, size and SHA-256 of each file; so an object proves
itself and an equal result has an equal id. `has` is for planning: the manifest and small files by hash, big files by
size. `verified` reads every byte, once a process, and is what stands before any use.
"""

from __future__ import annotations

import contextlib
import os
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jessyfile import fsops
from jessyfile.errors import DamagedError, StorageError
from jessyfile.planning.canonical import canonical, digest
from jessyfile.project import store_folder

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

MANIFEST = "manifest.json"
FILES = "files"
SMALL = 1 << 20
_HEX = frozenset("0123456789abcdef")


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of an object: its name relative to the output folder, with `/`, its size in bytes and its SHA-256."""

    name: str
    size: int
    sha256: str


@dataclass(slots=True)
class Store:
    """The objects under one project's root. Only the holder of the project's lock may stage, commit or remove."""

    root: Path
    _verified: set[str] = field(default_factory=set)
    _known: dict[tuple[int, int, int, int], str] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        """The folder of all objects."""
        return store_folder(self.root)

    def place(self, object_id: str) -> Path:
        """Return the folder that holds an object's files, whether or not it is there."""
        return self.folder / object_id / FILES

    def has(self, object_id: str) -> bool:
        """Say whether an object seems whole: a true manifest, every file of the right size, small ones of the right
        hash."""
        if object_id in self._verified:
            return True
        return self._damage(object_id, SMALL) is None

    def verified(self, object_id: str) -> Path:
        """Return the folder with an object's files after every byte was checked.

        Raises DamagedError when one is missing, changed, or not in the manifest.
        """
        if object_id not in self._verified:
            damage = self._damage(object_id, None)
            if damage is not None:
                raise DamagedError(
                    f"stored result {object_id[:12]} is damaged: {damage}",
                    hint="run `jessy apply` again; it is made again",
                )
            self._verified.add(object_id)
        return self.place(object_id)

    def damage(self, object_id: str) -> str | None:
        """Say what is wrong with an object, reading every byte again; None when it is whole."""
        return self._damage(object_id, None)

    def entries(self, object_id: str) -> tuple[Entry, ...]:
        """Return what an object holds, from its manifest. Raises DamagedError when that is missing or not true."""
        entries = self._manifest(object_id)
        if entries is None:
            raise DamagedError(
                f"stored result {object_id[:12]} has no valid manifest", hint="run `jessy fsck --repair`"
            )
        return entries

    def objects(self) -> Iterator[str]:
        """Yield the ids of all objects."""
        for entry in sorted(os.listdir(self.folder)) if self.folder.is_dir() else ():
            if len(entry) == 64 and _HEX.issuperset(entry):
                yield entry

    def remove(self, object_id: str) -> None:
        """Remove an object; it may be absent."""
        self._verified.discard(object_id)
        fsops.remove_tree(self.folder / object_id)

    @contextlib.contextmanager
    def staged(self) -> Iterator[Path]:
        """Yield an empty folder to fill with an output; what was not committed vanishes with the block."""
        with fsops.temporary_folder(self.folder / "result") as staging:
            yield fsops.make_folder(staging / FILES)

    def commit(self, output: Path) -> str:
        """Turn a filled staging folder into an object and return its id. An equal object that is whole stays as it
        is; a file that has a second name outside the store is copied first, for that name is somebody else's."""
        for path in _files(output):
            self._own(path)
        entries = [self._entry(path, output) for path in _files(output)]
        body = {"version": 1, "files": [{"name": e.name, "size": e.size, "sha256": e.sha256} for e in entries]}
        object_id = digest(body)
        if (self.folder / object_id).exists() and self._damage(object_id, None) is None:
            self._verified.add(object_id)
            return object_id
        for entry in entries:
            fsops.protect_file(output / entry.name)
        fsops.write_text(output.parent / MANIFEST, canonical(body))
        fsops.commit_folder(output.parent, self.folder / object_id)
        self._verified.add(object_id)
        return object_id

    def sweep(self) -> None:
        """Remove what earlier, killed processes left half made."""
        fsops.sweep_temporaries(self.folder, ".*.tmp")

    def size(self, object_id: str) -> int:
        """Return the bytes that an object's files take, or 0 when its manifest is not readable."""
        return sum(entry.size for entry in self._manifest(object_id) or ())

    def _entry(self, path: Path, output: Path) -> Entry:
        return Entry(path.relative_to(output).as_posix(), path.stat().st_size, self._hash(path))

    def _own(self, path: Path) -> None:
        status = path.stat()
        key = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)
        if status.st_nlink > 1 and key not in self._known:
            fsops.copy_file(path, path)

    def _hash(self, path: Path) -> str:
        # a linked file has the inode of the verified object it came from: a gigabyte is not read twice for a second
        # name
        status = path.stat()
        key = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)
        found = self._known.get(key) if status.st_nlink > 1 else None
        if found is None:
            found = self._known[key] = fsops.hash_file(path)
        return found

    def _manifest(self, object_id: str) -> tuple[Entry, ...] | None:
        import json

        try:
            data = fsops.read_bytes(self.folder / object_id / MANIFEST)
        except FileNotFoundError:
            return None
        try:
            body = json.loads(data)
            return _entries(body) if digest(body) == object_id else None
        except (ValueError, TypeError, KeyError, RecursionError):
            return None

    def _damage(self, object_id: str, read_up_to: int | None) -> str | None:
        entries = self._manifest(object_id)
        if entries is None:
            return "it has no valid manifest"
        folder = self.place(object_id)
        for entry in entries:
            problem = self._problem(folder / entry.name, entry, read_up_to)
            if problem:
                return f"{entry.name} {problem}"
        if not folder.is_dir():
            return "its files are gone"
        strays = set(os.listdir(self.folder / object_id)) - {MANIFEST, FILES}
        extra = strays | {path.relative_to(folder).as_posix() for path in _files(folder)} - {
            entry.name for entry in entries
        }
        return f"{min(extra)} does not belong to it" if extra else None

    def _problem(self, path: Path, entry: Entry, read_up_to: int | None) -> str | None:
        try:
            status = path.lstat()
        except (FileNotFoundError, NotADirectoryError):
            return "is missing"
        except OSError as error:
            raise fsops.storage_error(error, path, "read") from error
        if not stat.S_ISREG(status.st_mode):
            return "is no plain file"
        if status.st_size != entry.size:
            return f"has {status.st_size} bytes, not {entry.size}"
        if read_up_to is not None and entry.size > read_up_to:
            return None
        found = fsops.hash_file(path)
        self._known[(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)] = found
        return None if found == entry.sha256 else "has other bytes than were written"


def _entries(body: Mapping[str, Any]) -> tuple[Entry, ...]:
    return tuple(Entry(str(file["name"]), int(file["size"]), str(file["sha256"])) for file in body["files"])


def _files(folder: Path) -> list[Path]:
    """Return every file under a folder, sorted by name. Raises StorageError for a link or another odd thing."""
    found = fsops.files_under(folder)
    for path in found:
        if path.is_symlink() or not path.is_file():
            raise StorageError(
                f"`{path.name}` in a step's output is neither a file nor a folder", hint="this is a bug in the step"
            )
    return sorted(found, key=lambda path: path.relative_to(folder).as_posix())
