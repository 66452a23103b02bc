"""`data/feedback`: what people said and a person accepted, as rows and preferences that a recipe reads.

One file a category, `_pairs.jsonl` and `_judged.jsonl`, all of them written by jessy alone, and `feedback.json` with their hashes and, line by
line, the ids of the signals. It belongs into version control: with `.jessy` gone, what was accepted is still trained. Where anything
there was changed by hand, nothing is written.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from jessyfile.dataset.places import FEEDBACK, JUDGED, PAIRS
from jessyfile.dataset.preferences import Preference, preference_json
from jessyfile.dataset.rows import to_json
from jessyfile.errors import FeedbackError, ProjectError
from jessyfile.feedback.store import lock_of, now
from jessyfile.fsops import read_bytes, write_text
from jessyfile.planning.canonical import readable
from jessyfile.results.typed_json import load_as
from jessyfile.text.printable import json_text
from jessyfile.user_files import fill_folder, refuse_foreign_folder

if TYPE_CHECKING:
    from pathlib import Path

    from jessyfile.feedback.learnable import Learnable

LISTING = "feedback.json"
_HINT = "move your own rows into data/seeds, and put back what jessy wrote; it writes that folder whole"


@dataclass(frozen=True, slots=True)
class AcceptedLine:
    """One line of one file, and the id of the signal that it came from."""

    file: str
    id: str
    text: str


@dataclass(frozen=True, slots=True)
class AcceptedListing:
    """What `feedback.json` says besides the files' hashes: the ids of each file's lines."""

    lines: Mapping[str, tuple[str, ...]]


class AcceptedFolder:
    """The folder `data/feedback` of the project under `root`."""

    def __init__(self, root: Path) -> None:
        self.root, self.path = root, root / FEEDBACK

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Keep other processes from changing the folder during the block. Raises LockedError."""
        with lock_of(self.root, "accepting"):
            yield

    def require_own(self) -> None:
        """Raise FeedbackError unless the folder is absent, empty or as jessy wrote it."""
        try:
            refuse_foreign_folder(self.path, LISTING)
        except ProjectError as error:
            raise FeedbackError(error.message, hint=_HINT) from error

    def lines(self) -> list[AcceptedLine]:
        """Return every line that was accepted. Raises FeedbackError where somebody else wrote there."""
        self.require_own()
        found: list[AcceptedLine] = []
        for file, ids in self._ids().items():
            texts = read_bytes(self.path / file).decode("utf-8").split("\n")
            found += [AcceptedLine(file, id_, text) for id_, text in zip(ids, texts, strict=False)]
        return found

    def add(self, learned: Sequence[Learnable]) -> None:
        """Write what was accepted besides what is there; what stands there of the same signal is replaced."""
        new = [line for one in learned for line in _lines(one)]
        ids = {one.id for one in learned}
        self._write([*(line for line in self.lines() if line.id not in ids), *new])

    def drop(self, ids: Iterable[str]) -> int:
        """Remove what came from signals; return of how many there was something."""
        before, gone = self.lines(), set(ids)
        kept = [line for line in before if line.id not in gone]
        if len(kept) < len(before):
            self._write(kept)
        return len({line.id for line in before} & gone)

    def _ids(self) -> Mapping[str, Sequence[str]]:
        with contextlib.suppress(FileNotFoundError):
            return load_as(AcceptedListing, self.path / LISTING).lines
        return {}

    def _write(self, lines: Sequence[AcceptedLine]) -> None:
        by_file: dict[str, list[AcceptedLine]] = {}
        for line in lines:
            by_file.setdefault(line.file, []).append(line)
        ids = {file: [line.id for line in found] for file, found in sorted(by_file.items())}
        try:
            with fill_folder(self.path, LISTING) as staging:
                for file, found in by_file.items():
                    write_text(staging / file, "".join(f"{line.text}\n" for line in found))
                write_text(staging / LISTING, readable({"written": now(), "lines": ids}))
        except ProjectError as error:
            raise FeedbackError(error.message, hint=_HINT) from error


def _lines(one: Learnable) -> Iterator[AcceptedLine]:
    if one.row is not None:
        yield AcceptedLine(f"{one.row.example.category.value}.jsonl", one.id, json_text(to_json(one.row.example)))
    if one.preference is not None:
        file = PAIRS if isinstance(one.preference, Preference) else JUDGED
        yield AcceptedLine(file, one.id, json_text(preference_json(one.preference)))
