"""One writer a project: a kernel lock on `.jessy/lock`, and who holds it beside it."""

from __future__ import annotations

import contextlib
import datetime as dt
import getpass
import json
import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from jessyfile import fsops
from jessyfile.errors import LockedError, StorageError
from jessyfile.project import jessy_folder, refuse_links

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_PATIENCE = 20


@contextlib.contextmanager
def project_lock(root: Path, what: str) -> Iterator[None]:
    """Hold the project's lock for the block. Raises LockedError, saying who holds it, when another process does.

    The kernel frees it when the process ends in whatever way, so there is no stale lock and no way to force one.
    """
    refuse_links(root)
    descriptor = fsops.lock_file(jessy_folder(root) / "lock")
    if descriptor is None:
        raise LockedError(
            f"another jessy is writing here: {_holder(root)}",
            hint="wait for it to end, or stop it; the lock frees itself",
        )
    try:
        fsops.write_text(
            _beside(root),
            json.dumps({"who": _who(), "pid": os.getpid(), "what": what, "since": _now()}, ensure_ascii=False) + "\n",
        )
        yield
    finally:
        with contextlib.suppress(StorageError):
            fsops.remove_tree(_beside(root))
        os.close(descriptor)


@dataclass(frozen=True, slots=True)
class Holder:
    """Who writes in a project now: a user, the command with its process, and since when (ISO 8601)."""

    who: str
    pid: int
    what: str
    since: str

    def __str__(self) -> str:
        return f"{self.who}, `{self.what}` (process {self.pid}), since {self.since}"


def holder(root: Path) -> Holder | None:
    """Return who writes in a project now, None for nobody. It only looks: the lock is not taken, not even for a moment.

    A process that was killed leaves its name behind, and is not alive.
    """
    with contextlib.suppress(FileNotFoundError, NotADirectoryError, ValueError, KeyError, TypeError, StorageError):
        body = json.loads(fsops.read_bytes(_beside(root)))
        found = Holder(str(body["who"]), int(body["pid"]), str(body["what"]), str(body["since"]))
        return found if _alive(found.pid) else None
    return None


def _beside(root: Path) -> Path:
    return jessy_folder(root) / "lock.json"


def _holder(root: Path) -> str:
    for _ in range(_PATIENCE):
        if found := holder(root):
            return str(found)
        time.sleep(0.01)
    return "it has not said who it is yet"


def _alive(pid: int) -> bool:
    # a killed holder leaves its name behind, but its lock is gone: the present holder is another process
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _who() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"user {os.getuid()}"


def _now() -> str:
    return dt.datetime.now(dt.UTC).astimezone().isoformat(timespec="seconds")
