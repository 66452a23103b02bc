"""Files and folders whose place the user names: nothing that jessy did not write is replaced there.

write_new    a file where nothing stands
write_own    the same, or in place of a file that an earlier run of jessy wrote
edit         new content for a file of the user's; links are followed, mode and owner stay
fill_folder  files into a folder that is new, empty, or holds exactly what jessy put there
put_file     a large file into any folder, in place of nothing but what it put there before

Not covered: another program that writes there in the instant between the last look and the rename; hard links and
extended attributes of an edited file, which the new one does not have.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from jessyfile import fsops
from jessyfile.errors import ProjectError, StorageError
from jessyfile.temporaries import held, left_beside

_ELSEWHERE = "name another place, or move away what stands there: jessy replaces only what it wrote itself"

_PLAIN = "name a plain file"


def write_new(path: Path, data: bytes) -> None:
    """Write a file where nothing stands, not even a dangling link. Raises ProjectError when something does."""
    _refuse_home_sign(path)
    try:
        with fsops.atomic_file(path, new=True) as handle:
            handle.write(data)
        _tidy(path)
    except StorageError as error:
        if isinstance(error.__cause__, FileExistsError):
            raise _taken(path, "is there already") from error
        raise


def _refuse_home_sign(path: Path) -> None:
    """A shell that leaves `~` as it is would get a folder of that name."""
    if path.parts and path.parts[0].startswith("~"):
        raise ProjectError(f"`{path}` begins with `~`, which only a shell reads", hint="write the whole path")


def write_own(path: Path, data: bytes, ours: Callable[[bytes], bool]) -> None:
    """Write a file that only jessy writes; `ours` tells an earlier one by its bytes.

    Raises ProjectError when something else stands there.
    """
    before = refuse_foreign(path, ours)
    if before is None:
        write_new(path, data)
    else:
        edit(path, before, data)


def require_own(path: Path, ours: Callable[[bytes], bool]) -> None:
    """Raise what `write_own` would raise if it wrote there now: asked before long work whose result goes there."""
    _refuse_home_sign(path)
    if refuse_foreign(path, ours) is not None:
        require_editable(path)
    folder = next(place for place in path.resolve().parents if os.path.exists(place))
    code = errno.ENOTDIR if not folder.is_dir() else 0 if os.access(folder, os.W_OK | os.X_OK) else errno.EACCES
    if code:
        raise fsops.storage_error(OSError(code, os.strerror(code)), path, "write")


def refuse_foreign(path: Path, ours: Callable[[bytes], bool]) -> bytes | None:
    """Return what stands at the path, None when nothing does. Raises ProjectError unless it is `ours`."""
    if not os.path.lexists(path):
        return None
    data = read_plain(path)
    if not ours(data):
        raise _taken(path, "is there already, and jessy did not write it")
    return data


def read_plain(path: Path, limit: int = -1) -> bytes:
    """Return the bytes of a plain file, or of the one a link leads to; `limit` of them at most.

    Raises ProjectError for everything else that stands there (a pipe would be waited on for ever), FileNotFoundError
    when nothing does.
    """
    try:
        mode = path.stat().st_mode
    except OSError as error:
        if path.is_symlink():
            raise ProjectError(f"`{path}` is a link that leads nowhere", hint=_PLAIN) from error
        if isinstance(error, FileNotFoundError):
            raise
        raise fsops.storage_error(error, path, "read") from error
    if not stat.S_ISREG(mode):
        what = "a folder" if stat.S_ISDIR(mode) else "neither a file nor a folder"
        raise ProjectError(f"`{path}` is {what}", hint=_PLAIN)
    return fsops.read_bytes(path, limit)


def edit(path: Path, before: bytes, after: bytes) -> None:
    """Give a file of the user's new content; its links, mode and owner stay.

    `before` is what the new content was made from. Raises StorageError when the file has other content by now, or is
    write-protected.
    """
    require_editable(path)
    target = path.resolve()
    with fsops.atomic_file(target, like=target.stat()) as handle:
        handle.write(after)
        if read_plain(target) != before:
            raise StorageError(f"`{path}` was changed meanwhile, and left as it is", hint="run the same command again")
    _tidy(target)


def _tidy(path: Path) -> None:
    """Remove what killed runs left beside a file of the user's: it may hold the same secrets."""
    with contextlib.suppress(OSError):  # the file itself is written
        for temporary in left_beside(path):
            temporary.unlink()


def require_editable(path: Path) -> None:
    """Raise StorageError when a file is write-protected; a rename would not ask."""
    if not os.access(path, os.W_OK):
        raise StorageError(f"`{path}` is write-protected", hint=f"allow it first: chmod u+w {path}")


@contextlib.contextmanager
def fill_folder(path: Path, listing: str) -> Iterator[Path]:
    """Yield an empty folder whose files stand in `path` when the block ends well.

    Args:
        path: the folder as the user named it; a link to a folder is followed.
        listing: the JSON file among those written that gets the hashes of the others, by which jessy knows its own.

    Raises:
        ProjectError: the place holds anything that jessy did not write, or that was changed since.
    """
    refuse_foreign_folder(path, listing)
    fresh = not path.exists()
    folder = fsops.make_folder(path).resolve()
    try:
        with fsops.temporary_folder(folder / listing) as staging:
            yield staging
            _list_files(staging, listing)
            fsops.flush_tree(staging)
            refuse_foreign_folder(folder, listing, staging)
            # of an earlier filling nothing may stay that the new listing does not name
            for name in sorted({*_known(folder, listing)} - {*os.listdir(staging)}):
                fsops.remove_tree(folder / name)
            fsops.move_files(staging, folder, sorted(os.listdir(staging), key=lambda name: (name == listing, name)))
        fsops.sweep_temporaries(folder, f".{listing}.*.tmp")
    except BaseException:
        if fresh:
            with contextlib.suppress(OSError):
                folder.rmdir()
        raise


def refuse_foreign_folder(path: Path, listing: str, staging: Path | None = None) -> None:
    """Raise ProjectError unless a folder is absent, empty, or holds exactly what `fill_folder` put there."""
    _refuse_home_sign(path)
    if not os.path.lexists(path):
        return
    if not path.is_dir():
        raise _taken(path, "is no folder")
    with fsops.disk_errors(path):
        # what a killed run had not moved yet tells which of the files here are its own
        left = [entry for entry in path.glob(f".{listing}.*.tmp") if not held(entry)]
        known = [_known(place, listing) for place in (path, *left)]
        for entry in sorted(path.iterdir()):
            if entry != staging and entry not in left and entry.match(f".{listing}.*.tmp"):
                raise ProjectError(f"another jessy is filling `{path}`", hint="wait for it to end")
            if entry != staging and entry not in left and not _is_known(entry, known):
                raise _taken(path, f"holds `{entry.name}`, which jessy did not write, or which was changed since")


@contextlib.contextmanager
def put_file(path: Path, listing: str) -> Iterator[Path]:
    """Yield a place to write a file at, which stands at `path` when the block ends well.

    Args:
        path: the file as the user named it.
        listing: the JSON file beside it that keeps the hashes of what was put there, by which jessy knows its own.

    Raises:
        ProjectError: something stands there that was not put there so, or was changed since.
    """
    _refuse_home_sign(path)
    folder = fsops.make_folder(path.parent)
    _refuse_unknown(path, listing)
    with fsops.temporary_folder(path) as staging:
        for left in left_beside(path):
            fsops.remove_tree(left)
        yield staging / path.name
        fsops.flush_tree(staging)
        _refuse_unknown(path, listing)
        known = {name: digest for name, digest in _known(folder, listing).items() if name != listing}
        fresh = {path.name: fsops.hash_file(staging / path.name)}
        fsops.move_files(staging, folder, [path.name])
        fsops.write_bytes(folder / listing, _sealed({**_body(folder / listing), "files": {**known, **fresh}}))


def _refuse_unknown(path: Path, listing: str) -> None:
    if os.path.lexists(path.parent / listing) and not _known(path.parent, listing):
        raise _taken(path.parent / listing, "is there already, and jessy did not write it, or it was changed since")
    if os.path.lexists(path) and not _is_known(path, [_known(path.parent, listing)]):
        raise _taken(path, "is there already, and jessy did not write it, or it was changed since")


def _body(path: Path) -> dict[str, object]:
    try:
        body = json.loads(read_plain(path))
    except FileNotFoundError:
        return {}
    return {name: value for name, value in body.items() if name != "seal"}


def _is_known(entry: Path, known: Sequence[Mapping[str, str]]) -> bool:
    hashes = [hashes[entry.name] for hashes in known if entry.name in hashes]
    return bool(hashes) and not entry.is_symlink() and entry.is_file() and fsops.hash_file(entry) in hashes


def _list_files(folder: Path, listing: str) -> None:
    body = json.loads((folder / listing).read_bytes())
    body["files"] = {name: fsops.hash_file(folder / name) for name in sorted(os.listdir(folder)) if name != listing}
    fsops.write_bytes(folder / listing, _sealed(body))


def _known(folder: Path, listing: str) -> Mapping[str, str]:
    """Return the hashes that jessy gave the files of a folder, by name."""
    try:
        data = read_plain(folder / listing)
        body = json.loads(data)
        del body["seal"]
        if _sealed(body) != data:
            return {}
        found = {str(name): str(value) for name, value in body["files"].items()}
    except (FileNotFoundError, ProjectError, ValueError, KeyError, AttributeError, TypeError, RecursionError):
        return {}
    return {**found, listing: hashlib.sha256(data).hexdigest()}


def _sealed(body: Mapping[str, object]) -> bytes:
    seal = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
    return (json.dumps({**body, "seal": seal}, ensure_ascii=False, indent=2, sort_keys=True) + "\n").encode()


def _taken(path: Path, why: str) -> ProjectError:
    return ProjectError(f"`{path}` {why}", hint=_ELSEWHERE)
