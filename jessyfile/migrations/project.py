"""What is to be done in a project, found without writing anything, and doing it.

Every change is one atomic write, or one after which a removal may be repeated; the states come last, so that a killed
upgrade leaves a project that every command sends back here, and the next one goes on.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from jessyfile import fsops
from jessyfile.migrations.known import MIGRATIONS
from jessyfile.migrations.migration import Body, Migration, carried
from jessyfile.migrations.old_project import OldProject, read_object
from jessyfile.migrations.registrations import is_carried
from jessyfile.planning.canonical import normal, readable, sealed, unsealed
from jessyfile.planning.fingerprint import fingerprint
from jessyfile.planning.formats import Kind, refuse_newer
from jessyfile.planning.runs import RESULT
from jessyfile.project import jessy_folder, relative
from jessyfile.text.printable import json_text

_CARD = "card.json"


@dataclass(frozen=True, slots=True)
class Rewrite:
    """One file to write, to move or to remove: `text` goes to `target`, without a text `source` itself does, and
    without a target `source` goes away."""

    says: str
    source: Path
    target: Path | None
    text: str | None = None

    def make(self) -> None:
        """Do it; doing it twice changes nothing."""
        if self.target is not None and self.text is not None:
            fsops.write_text(self.target, self.text)
        elif self.target is not None:
            fsops.move(self.source, self.target)
        if self.source != self.target:
            fsops.remove_tree(self.source)


@dataclass(frozen=True, slots=True)
class Upgrade:
    """What is to be done, in order, and what stays as it is and why."""

    changes: tuple[Rewrite, ...]
    left: tuple[str, ...]


def find_upgrade(root: Path, migrations: Sequence[Migration] = MIGRATIONS) -> Upgrade:
    """Return what brings a project to today's formats. Raises StateError when a newer jessy wrote anything here."""
    scan = _Scan(root, migrations)
    with fsops.disk_errors(root):
        changes = (*scan.records(), *scan.registrations(), *scan.previous(), *scan.runs(), *scan.rows(), *scan.states())
    return Upgrade(changes, tuple(scan.left))


class _Scan:
    """Looks through a project and notes what cannot be carried over."""

    def __init__(self, root: Path, migrations: Sequence[Migration]) -> None:
        self.root, self.folder, self.migrations = root, jessy_folder(root), migrations
        self.project = OldProject(root)
        self.left: list[str] = []

    def records(self) -> Iterator[Rewrite]:
        for path, new, says in self._old("record", "actions", sealed_=True):
            own, found = new["own"], fingerprint(new["own"], new["inputs"])
            yield Rewrite(says, path, path.with_name(f"{own[:20]}-{found[:20]}.json"), sealed(new))

    def registrations(self) -> Iterator[Rewrite]:
        for path, new, says in self._old("registration", "models", sealed_=False):
            if path.stem != "previous":
                yield Rewrite(says, path, path, readable(new))
                self._note_levels(path, new)

    def previous(self) -> Iterator[Rewrite]:
        """Remove a registration of `previous` once that of `latest` holds it."""
        for path in self._files("models"):
            body = read_object(path) if path.name == "previous.json" else None
            if body is None:
                continue
            latest = self._carried("registration", read_object(path.with_name("latest.json")))
            if latest is not None and is_carried(body, latest[0]):
                yield Rewrite("`previous` stands in `latest` now, and its own file goes", path, None)
            else:
                self.left.append(f"`{relative(path, self.root)}`: `latest` has another `previous`, or there is none")

    def runs(self) -> Iterator[Rewrite]:
        for path, new, says in self._old("run", "runs", sealed_=False):
            yield Rewrite(says, path, path, json_text(normal(new), indent=1, sort_keys=True) + "\n")

    def rows(self) -> Iterator[Rewrite]:
        """Put rows aside that an older `jessy data` made: nobody can tell whether they were edited."""
        folder = self.folder / "data"
        for place in sorted(folder.iterdir()) if folder.is_dir() else ():
            card = read_object(place / _CARD) if place.is_dir() else None
            aside = place.with_name(f"{place.name}.old")
            if card is None or "seal" in card or place.suffix == ".old":
                continue
            if aside.exists():
                self.left.append(f"`{relative(place, self.root)}`: `{aside.name}` is there already")
            else:
                yield Rewrite(f"rows that may have been edited are kept as `{aside.name}`", place, aside)

    def states(self) -> Iterator[Rewrite]:
        for path, new, says in self._old("state", "state", sealed_=True):
            yield Rewrite(says, path, path, sealed(new))

    def _old(self, kind: Kind, folder: str, *, sealed_: bool) -> Iterator[tuple[Path, Body, str]]:
        """Yield every file of an older format, its new JSON, and what happens to it."""
        for path in self._files(folder, RESULT if kind == "run" else "[!.]*.json"):
            refuse_newer(kind, read_object(path), relative(path, self.root))
            body = unsealed(fsops.read_bytes(path)) if sealed_ else read_object(path)
            found = self._carried(kind, body)
            if found is None:
                self.left.append(f"`{relative(path, self.root)}` is damaged")
            elif found[1]:
                new, through = found
                says = "; ".join(one.says for one in through)
                yield path, new, f"{kind}s, format {through[0].old} to {through[-1].new}: {says}"

    def _carried(self, kind: Kind, body: Body | None) -> tuple[Body, tuple[Migration, ...]] | None:
        """Return a file's new JSON and its migrations, None when it is not what its format says."""
        try:
            return carried(kind, body, self.project, self.migrations) if body is not None else None
        except (KeyError, TypeError, AttributeError, ValueError):
            return None

    def _files(self, folder: str, pattern: str = "[!.]*.json") -> list[Path]:
        place = self.folder / folder
        found = fsops.files_under(place) if place.is_dir() else []
        return [path for path in found if path.match(pattern) and not path.is_symlink()]

    def _note_levels(self, path: Path, new: Body) -> None:
        if "complexity" not in new.get("served", {}):
            self.left.append(f"`{relative(path, self.root)}`: its levels are gone; `jessy apply` registers it again")
