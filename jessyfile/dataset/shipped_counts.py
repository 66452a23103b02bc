"""How many rows come with jessy, and how many its templates give, counted beforehand: a recipe is checked without reading a thousand of them.

`python -m jessyfile.dataset.shipped_counts` writes data/counts.json. A count holds for a file's content alone, told by its digest: what has
been changed since is counted again, by whoever asks.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jessyfile.resources import resource

if TYPE_CHECKING:
    from jessyfile.dataset.select import Wanted

PLACE = ("data", "counts.json")
MOST = 1200  # rows of a topic's templates that are dealt to be counted
Kind = tuple[str | None, str | None, str | None]  # topic, language, level


@cache
def _root() -> Path:
    return resource("data").resolve().parent


@cache
def _kept() -> Mapping[str, Any]:
    try:
        kept: Mapping[str, Any] = json.loads(resource(*PLACE).read_text("utf-8"))
    except (FileNotFoundError, ValueError):  # cut short by whatever: all is counted anew
        return {"rows": {}, "templates": {}}
    return kept


def kind_of(row: Mapping[str, Any]) -> Kind:
    """Return all that a row is counted by."""
    topic, language, level = (
        str(row[key]) if row.get(key) is not None else None for key in ("topic", "language", "complexity")
    )
    return topic, language, level


def shipped_rows(path: Path) -> Mapping[Kind, int] | None:
    """Return how many rows of each kind a shipped file of seeds holds, None where its content has not been counted."""
    kept = _kept()["rows"].get(path.relative_to(_root()).as_posix())
    if kept is None or kept["digest"] != digest(path):
        return None
    return {(topic, language, level): times for topic, language, level, times in kept["kinds"]}


def surely_composable(root: Path, wanted: Wanted) -> int:
    """Return how many rows that are wanted the topic's templates give at least: none where the project has a template or a table of its own,
    or one that has not been counted.
    """
    kept = _kept()["templates"].get(f"{wanted.category}.{wanted.topic}")
    if kept is None or not all(_is_counted(root, name, found) for name, found in kept["digests"].items()):
        return 0
    return sum(times for language, level, times in kept["kinds"] if wanted.accepts(wanted.topic, language, level))


def _is_counted(root: Path, name: str, counted: str) -> bool:
    own, path = root / name, _root() / name
    if own.is_file() and own.resolve() != path:
        return False
    return digest(path) == counted


def digest(path: Path) -> str:
    """Return what tells a file's content from any other; nothing where it cannot be read, which whoever reads its rows reports."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()[:16]
    except OSError:
        return ""


def counts() -> dict[str, dict[str, Any]]:
    """Count all that is shipped, as it is kept."""
    from jessyfile.text.json_lines import read_shipped

    root = _root()
    rows = {
        path.relative_to(root).as_posix(): {
            "digest": digest(path),
            "kinds": _listed(Counter(kind_of(row) for row in read_shipped(path))),
        }
        for path in sorted((root / "data" / "seeds").glob("*/*.jsonl"))
    }
    templates = {
        path.stem: _template(*path.stem.split(".")) for path in sorted((root / "templates" / "examples").glob("*.j2"))
    }
    return {"rows": rows, "templates": templates}


def _template(category: str, topic: str) -> dict[str, Any]:
    from jessyfile.dataset.from_templates import kinds_dealt
    from jessyfile.dataset.templates import load_intents, template_files

    root = _root()
    files = {
        path.resolve().relative_to(root).as_posix(): digest(path) for path in template_files(root, category, topic)
    }
    return {"digests": files, "kinds": _listed(kinds_dealt(load_intents(root, category, topic), category, topic, MOST))}


def _listed(kinds: Mapping[Any, int]) -> list[list[Any]]:
    return sorted(([*kind, times] for kind, times in kinds.items()), key=str)


def counts_text() -> str:
    """Return the file, a line each for what is counted."""
    parts = (
        f"{json.dumps(part)}: {{\n"
        + ",\n".join(f"{json.dumps(name)}: {json.dumps(one)}" for name, one in kept.items())
        + "\n}"
        for part, kept in counts().items()
    )
    return "{" + ",\n".join(parts) + "}\n"


if __name__ == "__main__":
    from jessyfile import fsops

    fsops.write_text(resource("data") / PLACE[1], counts_text())
