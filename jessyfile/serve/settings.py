"""What `jessy serve` was told: where it listens, who may ask, and its limits."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from jessyfile.errors import ConsentError, ProjectError
from jessyfile.fsops import read_bytes

if TYPE_CHECKING:
    from collections.abc import Sequence

KEY_VARIABLE = "JESSY_SERVE_KEY"
_SHORTEST_KEY = 16
_LONGEST_KEY = 4096
_READABLE_BY_OTHERS = 0o077


@dataclass(frozen=True, slots=True)
class Limits:
    """How much one client may take. Sizes are in bytes, times in seconds.

    `queue` questions wait for a model beyond those it answers; `answer` is the longest time of one answer, `grace` how long answers under
    way may take once the server was told to stop, `stalled` how long a client may read nothing. A `recording` that is to be heard is a larger
    body, and has more time.
    """

    queue: int = 32
    tokens: int = 1024
    body: int = 1 << 20
    head: int = 1 << 14
    head_seconds: float = 10.0
    body_seconds: float = 20.0
    answer: float = 300.0
    grace: float = 30.0
    stalled: float = 30.0
    connections: int = 512
    recording: int = 25 << 20
    recording_seconds: float = 120.0


@dataclass(frozen=True, slots=True)
class Access:
    """Who may ask: `key` is the API key (None: nobody needs one), `hosts` further names that the server is called by, `origins` the
    web pages that may ask from a browser.
    """

    key: str | None = None
    hosts: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()


def api_key(file: str | None) -> str | None:
    """Return the API key: of a file, else of the environment variable JESSY_SERVE_KEY; None where neither is given.

    Raises ProjectError for a file that others may read and for what is no key.
    """
    if file is None:
        written, where = os.environ.get(KEY_VARIABLE), KEY_VARIABLE
    else:
        written, where = _file(Path(file)), f"`{file}`"
    if written is None:
        return None
    key = written.strip()
    if not _SHORTEST_KEY <= len(key) <= _LONGEST_KEY or not key.isascii() or not key.isprintable() or " " in key:
        raise ProjectError(
            f"{where} holds no API key: one line of {_SHORTEST_KEY} or more visible ASCII characters",
            hint="make one with: openssl rand -hex 32",
        )
    return key


def _file(path: Path) -> str:
    if not path.is_file():
        raise ProjectError(f"there is no file `{path}` with a key", hint=f"openssl rand -hex 32 > {path}")
    if path.stat().st_mode & _READABLE_BY_OTHERS:
        raise ProjectError(f"others may read the key in `{path}`", hint=f"chmod 600 {path}")
    return read_bytes(path, _LONGEST_KEY + 2).decode("utf-8", "replace")


def require_consent(host: str, is_local: bool, access: Access, anyone: bool) -> Sequence[str]:
    """Return what is to be said about where the server listens.

    Args:
        host: the address that it listens on.
        is_local: whether only this machine reaches that address.
        access: who may ask.
        anyone: whether the user allowed everybody who reaches it to ask.

    Raises:
        ConsentError: others reach it, it asks for no key, and the user did not allow that.
    """
    if is_local:
        return ()
    if access.key is None and not anyone:
        raise ConsentError(
            f"everybody who reaches {host} could ask the model and read its answers",
            hint=f"give a key with --key-file or {KEY_VARIABLE}, or allow everybody with --anyone",
        )
    who = "with the key" if access.key is not None else "who reaches it"
    return (
        f"warning: everybody {who} can ask; questions and answers travel unencrypted (put a proxy with TLS before it)",
    )
