"""Which of some folders had an event. Folders are watched, never files: an editor that saves by renaming replaces the
file."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection
from pathlib import Path
from typing import TYPE_CHECKING

from watchdog.events import FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer

from jessyfile.project import JESSY_FOLDER

if TYPE_CHECKING:
    from watchdog.observers.api import ObservedWatch

_QUIET = ("opened", "closed_no_write")


class Folders(FileSystemEventHandler):
    """Watches folders and calls `heard` from another thread at every event that may mean a change."""

    def __init__(self, heard: Callable[[], None]) -> None:
        self._heard = heard
        self._observer = Observer()
        self._watches: dict[Path, tuple[ObservedWatch, int]] = {}
        self._wanted: set[Path] = set()
        self._observer.start()

    def watch(self, folders: Collection[Path]) -> None:
        """Watch exactly these folders from now on; for one that is absent, the nearest one above it."""
        self._wanted = set(folders)
        self.mend()

    def mend(self) -> bool:
        """Watch folders that came, let go of those that went; return whether anything came or went."""
        present = {_nearest(folder) for folder in self._wanted}
        inodes = {folder: os.stat(folder).st_ino for folder in present if folder.is_dir()}
        changed = False
        for folder, (watch, inode) in list(self._watches.items()):
            if inodes.get(folder) != inode:
                self._observer.unschedule(watch)
                del self._watches[folder]
                changed = True
        for folder, inode in inodes.items():
            if folder not in self._watches:
                self._watches[folder] = (self._observer.schedule(self, str(folder)), inode)
                changed = True
        return changed

    def close(self) -> None:
        """Stop watching and wait for the watching thread."""
        self._observer.stop()
        self._observer.join()

    def on_any_event(self, event: FileSystemEvent) -> None:
        """Be told by watchdog."""
        if event.event_type not in _QUIET and f"{os.sep}{JESSY_FOLDER}{os.sep}" not in str(event.src_path):
            self._heard()


def _nearest(folder: Path) -> Path:
    while not folder.is_dir() and folder != folder.parent:
        folder = folder.parent
    return folder
