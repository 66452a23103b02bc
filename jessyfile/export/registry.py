"""What is registered under NAME:candidate, NAME:latest and NAME:previous: one small JSON file a tag.

The files lie in `.jessy/models/<name>/<tag>.json`. For the embedded engine they *are* the registration: the GGUF's
place in the store and how to serve it. For Ollama, which keeps its own, they remember what was given to it, so that a
plan needs no network.

This module is read by `jessy plan`: it imports nothing heavy.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jessyfile.errors import EngineError
from jessyfile.export.dotenv import dotenv_holds
from jessyfile.fsops import read_bytes, write_text
from jessyfile.project import jessy_folder
from jessyfile.results.facts import ImportFacts, PromoteFacts
from jessyfile.results.typed_json import Record, read_as

if TYPE_CHECKING:
    from jessyfile.language.recipe import Recipe

CANDIDATE, LATEST, PREVIOUS = "candidate", "latest", "previous"
_TAGS = (CANDIDATE, LATEST, PREVIOUS)
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*(?:/[A-Za-z0-9_][A-Za-z0-9_.-]*){0,2}")
Entry = Mapping[str, Any]


def entry_file(root: Path, name: str, tag: str) -> Path:
    """Return where a registration lies. Raises EngineError for a name that is no model name."""
    if _NAME.fullmatch(name) is None or tag not in _TAGS:
        raise EngineError(f"`{name}:{tag}` is no name that a model can be registered under")
    return jessy_folder(root) / "models" / Path(*name.split("/")) / f"{tag}.json"


def register(root: Path, name: str, tag: str, entry: Entry) -> None:
    """Write a registration in one step.

    `entry` holds engine, digest, served, and the GGUF's place relative to the root.
    """
    since = entry.get("since") or datetime.now(UTC).isoformat(timespec="seconds")
    full = {**entry, "version": 1, "name": name, "tag": tag, "since": since}
    write_text(entry_file(root, name, tag), json.dumps(full, ensure_ascii=False, indent=2, sort_keys=True) + "\n")


def lookup(root: Path, name: str, tag: str = LATEST) -> dict[str, Any] | None:
    """Return a registration with `gguf` as an absolute path where it has one, None when there is none or it cannot be
    read.
    """
    entry = _stored(root, name, tag)
    if entry is not None and isinstance(entry.get("gguf"), str):
        entry["gguf"] = str(root / entry["gguf"])
    return entry


def _stored(root: Path, name: str, tag: str) -> dict[str, Any] | None:
    """Return a registration as written, its GGUF relative to the root."""
    try:
        found = json.loads(read_bytes(entry_file(root, name, tag)))
    except (FileNotFoundError, ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) and isinstance(found.get("engine"), str) else None


def registered_names(root: Path) -> list[str]:
    """Return every name that has a `latest`, sorted."""
    folder = jessy_folder(root) / "models"
    return sorted(path.parent.relative_to(folder).as_posix() for path in folder.glob(f"**/{LATEST}.json"))


def holds_candidate(recipe: Recipe, root: Path, facts: Record) -> bool:
    """Return whether what the step `import` registered is still NAME:candidate, its file included."""
    return _holds(root, recipe.name, CANDIDATE, read_as(ImportFacts, facts, "the record of `import`"))


def holds_latest(recipe: Recipe, root: Path, facts: Record) -> bool:
    """Return whether what the step `promote` did still stands; a model that was refused has nothing to hold."""
    promoted = read_as(PromoteFacts, facts, "the record of `promote`")
    if not promoted.promoted:
        return True
    if recipe.deploy.dotenv is not None and not dotenv_holds(root, recipe.deploy.dotenv, f"{recipe.name}:{LATEST}"):
        return False
    return _holds(root, recipe.name, LATEST, promoted)


def _holds(root: Path, name: str, tag: str, facts: ImportFacts | PromoteFacts) -> bool:
    entry = lookup(root, name, tag)
    if entry is None or entry.get("digest") != facts.digest or entry["engine"] != facts.engine:
        return False
    return entry["engine"] != "embedded" or Path(str(entry.get("gguf"))).is_file()


def keep_latest(root: Path, name: str) -> None:
    """Write what is latest down as previous, unless it is the candidate itself or is kept already."""
    candidate, latest, previous = (_stored(root, name, tag) or {} for tag in (CANDIDATE, LATEST, PREVIOUS))
    if latest and latest.get("digest") not in (candidate.get("digest"), previous.get("digest")):
        register(root, name, PREVIOUS, latest)


def take_candidate(root: Path, name: str) -> None:
    """Write the candidate down as latest; doing it twice changes nothing.

    Raises EngineError when there is no candidate.
    """
    candidate, latest = _stored(root, name, CANDIDATE), _stored(root, name, LATEST)
    if candidate is None:
        raise EngineError(f"`{name}:candidate` is not registered", hint="run `jessy apply` again")
    if latest is None or latest.get("digest") != candidate.get("digest") or latest["engine"] != candidate["engine"]:
        register(root, name, LATEST, {key: value for key, value in candidate.items() if key != "since"})


def swap_back(root: Path, name: str) -> tuple[Entry, Entry]:
    """Exchange latest and previous; return the new latest and the new previous.

    Raises EngineError when one is missing.
    """
    latest, previous = _stored(root, name, LATEST), _stored(root, name, PREVIOUS)
    if latest is None or previous is None:
        raise EngineError(f"`{name}` has no previous model to go back to", hint="`jessy status` shows what is promoted")
    register(root, name, LATEST, previous)
    register(root, name, PREVIOUS, latest)
    return previous, latest


def rollback(name: str, root: Path) -> str:
    """Move NAME:latest back to NAME:previous, in Ollama too when it serves the model; return a line that says so.

    Raises EngineError when there is nothing to go back to, or Ollama does not answer; nothing is changed then.
    """
    latest, previous = lookup(root, name, LATEST), lookup(root, name, PREVIOUS)
    if previous is not None and previous["engine"] == "ollama":
        from jessyfile.export.ollama_api import OllamaClient

        client = OllamaClient(str(previous.get("ollama")))
        if latest is not None and latest["engine"] == "ollama":
            client.swap(f"{name}:{LATEST}", f"{name}:{PREVIOUS}")
        else:
            client.copy(f"{name}:{PREVIOUS}", f"{name}:{LATEST}")
    now, _ = swap_back(root, name)
    return f"{name}:latest is again the model of {now.get('since', 'before')}"
