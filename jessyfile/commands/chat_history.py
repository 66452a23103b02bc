"""What was typed into `jessy chat`, kept for the arrow keys: one JSON text a line, in the project, for its owner alone."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path

from jessyfile import fsops
from jessyfile.errors import StorageError
from jessyfile.project import jessy_folder, refuse_links
from jessyfile.text.printable import json_text

MOST = 2000  # lines that are kept; the file is cut down to them when it holds twice as many
_LONGEST = 20_000  # letters of one that is kept: what is longer is a document, and not to be had back by an arrow


class TypedHistory:
    """The lines typed in a project, the newest last. A line that cannot be kept is lost, and the conversation goes on."""

    def __init__(self, root: Path) -> None:
        refuse_links(root)
        self.file = jessy_folder(root) / "chat" / "history.jsonl"

    def lines(self) -> list[str]:
        """Return what was typed, the oldest first; lines that are torn are passed over."""
        try:
            raw = fsops.read_bytes(self.file).splitlines()
        except (FileNotFoundError, StorageError):
            return []
        read = [text for text in map(_text, raw) if text is not None]
        if len(raw) > 2 * MOST:
            self._cut(read[-MOST:])
        return read[-MOST:]

    def add(self, text: str) -> None:
        """Keep a line."""
        if len(text) > _LONGEST or not self.file.parent.parent.is_dir():
            return
        with contextlib.suppress(StorageError), self._held():
            fsops.append_durably(self.file, _line(text))

    def _cut(self, kept: list[str]) -> None:
        with (
            contextlib.suppress(StorageError, OSError),
            self._held(),
            fsops.atomic_file(self.file, like=self.file.stat()) as handle,
        ):
            handle.write(b"".join(map(_line, kept)))

    @contextlib.contextmanager
    def _held(self) -> Iterator[None]:
        """Hold the file against another conversation; one that is busy is waited for by nobody, its line is lost."""
        descriptor = fsops.lock_file(self.file.parent / "lock")
        if descriptor is None:
            raise StorageError(f"`{self.file}` is being written")
        try:
            yield
        finally:
            os.close(descriptor)


def _line(text: str) -> bytes:
    return json_text(text).encode("utf-8") + b"\n"


def _text(raw: bytes) -> str | None:
    try:
        found = json.loads(raw)
    except ValueError:
        return None
    return found if isinstance(found, str) else None
