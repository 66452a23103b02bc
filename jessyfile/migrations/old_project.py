"""What a migration may look up in the project beside the file that it rewrites."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jessyfile import fsops
from jessyfile.planning.canonical import unsealed
from jessyfile.planning.store import Store
from jessyfile.project import jessy_folder, state_file
from jessyfile.resources import SHIPPED, shipped_root


def read_object(path: Path) -> dict[str, Any] | None:
    """Return the JSON object that a file holds, None when it is absent or holds none."""
    try:
        body = json.loads(fsops.read_bytes(path))
    except (FileNotFoundError, ValueError, RecursionError):
        return None
    return body if isinstance(body, dict) else None


class OldProject:
    """A project under its root, in whatever formats it is."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @cached_property
    def labels(self) -> Mapping[str, str]:
        """Today's names of the files that come with jessy, by their last two parts, which were their names before.

        A name that a file of the project has too is left out: nobody can tell which was meant.
        """
        shipped = [path for name in SHIPPED for path in fsops.files_under(shipped_root() / name)]
        short = {path: "/".join(path.parts[-2:]) for path in shipped}
        count = Counter(short.values())
        return {
            label: path.relative_to(shipped_root()).as_posix()
            for path, label in short.items()
            if count[label] == 1 and not (self.root / label).exists()
        }

    def verdict(self, object_id: str) -> Mapping[str, Any]:
        """Return what `judge` wrote down beside its facts; empty when it is gone or damaged."""
        store = Store(self.root)
        whole = store.has(object_id) and store.damage(object_id) is None
        return (read_object(store.place(object_id) / "verdict.json") if whole else None) or {}

    def records(self, step: str) -> Iterator[Mapping[str, Any]]:
        """Yield every record of a step, the oldest first."""
        folder = jessy_folder(self.root) / "actions" / f"s-{quote(step, safe='')}"
        found = (unsealed(fsops.read_bytes(path)) for path in (fsops.files_under(folder) if folder.is_dir() else ()))
        return iter(sorted((body for body in found if body), key=lambda body: str(body.get("made"))))

    def evaluated(self, name: str, digest: str) -> Mapping[str, Any]:
        """Return the values with which a model was evaluated; the recipe's last ones when its own record is gone, and
        nothing when those are too."""
        imports = {
            record["object"]
            for record in self.records("import")
            if (record["facts"].get("name"), record["facts"].get("digest")) == (name, digest)
        }
        own = [record for record in self.records("evaluate") if record["inputs"].get("import") in imports]
        last = (read_object(state_file(self.root, name)) or {}).get("steps", {}).get("evaluate", {})
        found: Mapping[str, Any] = (own[-1] if own else last).get("parameters", {})
        return found

    def registration(self, name: str, tag: str) -> dict[str, Any] | None:
        """Return a registration as it is written."""
        return read_object(jessy_folder(self.root) / "models" / Path(*name.split("/")) / f"{tag}.json")
