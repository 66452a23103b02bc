"""The cache key of a step: its own values and files, and the content of what it reads from other steps.

Not part of it: the recipe's text, comments, order, absolute paths, modification times.

A step's *own hash* covers its name, version, parameters and files. Its *fingerprint* (the cache key) adds the content
hash of every input. So when an input is made again and its content is unchanged, the step does not run again.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from jessyfile import fsops
from jessyfile.planning.canonical import digest, normal, sealed, unsealed
from jessyfile.project import jessy_folder, relative

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from jessyfile.language.recipe import Recipe
    from jessyfile.planning.steps import Json, Step

BIG = 64 << 20
_SETTLED = 2 * 10**9
ABSENT = "absent"


@dataclass(frozen=True, slots=True)
class Own:
    """A step's own part of its fingerprint: values by address, SHA-256 by file, version, and the hash over them."""

    parameters: Mapping[str, Json]
    files: Mapping[str, str]
    version: int
    hash: str


@dataclass(slots=True)
class FileHashes:
    """Content hashes of the files that steps read. Each file is read once while it stays as it is.

    A file is not read again while its size, inode and both times are unchanged, provided that it was hashed two
    seconds or more after it was written, so that an edit within one clock tick is never missed. For files of 64 MiB
    or more this is remembered for the next process too; `thorough` ignores what another process remembered.
    """

    root: Path
    thorough: bool = False
    _seen: dict[Path, tuple[list[int], str]] = field(default_factory=dict)
    _known: dict[str, Any] | None = None
    _changed: bool = False

    def of(self, path: Path) -> str:
        """Return the SHA-256 of a file's bytes, or `absent`; a pipe, on which a reader would wait, has none."""
        try:
            status = path.stat()
        except (FileNotFoundError, NotADirectoryError):
            return ABSENT
        except OSError as error:
            raise fsops.storage_error(error, path, "read") from error
        if fsops.is_endless(status.st_mode):
            return ABSENT
        signature = [status.st_size, status.st_ino, status.st_mtime_ns, status.st_ctime_ns]
        seen = self._seen.get(path)
        if seen is not None and seen[0] == signature:
            return seen[1]
        big = status.st_size >= BIG
        entry = self._load().get(str(path)) if big and not self.thorough else None
        if entry and entry["signature"] == signature:
            return str(entry["sha256"])
        found = fsops.hash_file(path)
        if time.time_ns() - max(status.st_mtime_ns, status.st_ctime_ns) > _SETTLED:
            self._seen[path] = (signature, found)
            if big:
                self._load()[str(path)] = {"signature": signature, "sha256": found}
                self._changed = True
        return found

    def save(self) -> None:
        """Keep what is known of big files for the next process."""
        if self._changed:
            fsops.write_text(self._cache_file(), sealed({"files": self._known}))
            self._changed = False

    def _cache_file(self) -> Path:
        return jessy_folder(self.root) / "files.json"

    def _load(self) -> dict[str, Any]:
        if self._known is None:
            try:
                body = unsealed(fsops.read_bytes(self._cache_file())) or {}
            except FileNotFoundError:
                body = {}
            self._known = dict(body.get("files", {}))
        return self._known


def own_part(step: Step, recipe: Recipe, root: Path, hashes: FileHashes) -> Own:
    """Return the part of a step's fingerprint (cache key) that does not depend on its inputs, its *own hash*.

    Args:
        step: the step.
        recipe: the recipe whose values the step reads.
        root: the project's root folder; file names are counted from it.
        hashes: remembers content hashes of files.

    Returns:
        The step's values, the content hashes of its files, its version, and the hash over them.
    """
    read = recipe.values(step.reads) if step.reads else {}
    parameters = normal({**read, **(step.resolved(recipe) if step.resolved else {})})
    files: dict[str, str] = {}
    for path in _flat(step.files(recipe, root)):
        name, found = relative(path, root), hashes.of(path)
        while files.get(name, found) != found:  # a suite of the project beside the shipped one of its name
            name += " (another)"
        files[name] = found
    body = {"step": step.name, "version": step.version, "parameters": parameters, "files": files}
    return Own(parameters, files, step.version, digest(body))


def fingerprint(own: str, inputs: Mapping[str, str]) -> str:
    """Return the fingerprint of a step with the given own hash whose inputs have the given objects."""
    return digest({"own": own, "inputs": dict(inputs)})


def _flat(paths: Sequence[Path]) -> Iterator[Path]:
    for path in paths:
        if path.is_dir():
            yield from fsops.files_under(path)
        else:
            yield path
