"""Find a model's weights where the local Ollama keeps them.

A store keeps a JSON manifest a name (`manifests/registry.ollama.ai/library/gemma3/270m`) whose layer of the media type
`…image.model` names the GGUF by its digest (`blobs/sha256-…`). Where the store lies depends on how Ollama was installed;
a server that runs on this machine can be asked.

Not covered: models that Ollama keeps as safetensors.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from jessyfile.addresses import OLLAMA, is_loopback, ollama_host
from jessyfile.errors import ModelError
from jessyfile.models.model_json import read_json

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_MODEL_LAYER = "application/vnd.ollama.image.model"
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_FROM = re.compile(r"^FROM (.+[/\\]blobs[/\\]sha256-[0-9a-f]{64})$", re.MULTILINE)
_ASK_SECONDS = 2.0
# the installer's service user, packages of distributions, NixOS, snap, and the volume of the documented `docker run`
_SERVICES = (
    "/usr/share/ollama/.ollama/models",
    "/var/lib/ollama/.ollama/models",
    "/var/lib/ollama/models",
    "/var/lib/ollama",
    "/var/lib/private/ollama/models",
    "/var/snap/ollama/common/models",
    "/var/lib/docker/volumes/ollama/_data/models",
)


def store_folders() -> Sequence[Path]:
    """Return where Ollama may keep its models, in the order in which they are tried: OLLAMA_MODELS alone where it is set."""
    chosen = os.environ.get("OLLAMA_MODELS")
    if chosen:
        return (Path(chosen).expanduser(),)
    own = Path.home() / ".ollama" / "models"
    if sys.platform == "darwin":
        return tuple(dict.fromkeys((*_chosen_in_app(), own)))
    return (own, *map(Path, _SERVICES))


def _chosen_in_app() -> Iterator[Path]:
    """Yield the model location that is set in the app for macOS."""
    import sqlite3

    settings = Path.home() / "Library" / "Application Support" / "Ollama" / "db.sqlite"
    if not settings.is_file():
        return
    with contextlib.suppress(sqlite3.Error):
        opened = sqlite3.connect(f"{settings.as_uri()}?mode=ro", uri=True, timeout=1)
        with contextlib.closing(opened) as database:
            rows = database.execute("SELECT models FROM settings").fetchall()
        yield from (Path(folder) for (folder,) in rows if isinstance(folder, str) and folder)


def where_looked() -> str:
    """Return in words which stores there are, those that may not be read named as such; all places when there is none."""
    return stores_found() or ", ".join(f"`{folder}`" for folder in store_folders())


def stores_found() -> str:
    """Return in words which stores there are, those that may not be read named as such; nothing when there is none."""
    states = {folder: _state(folder) for folder in store_folders()}
    there = {folder: state for folder, state in states.items() if state != "absent"}
    return ", ".join(
        f"`{folder}`{' (may not be read)' if state == 'closed' else ''}" for folder, state in there.items()
    )


def store_folder() -> Path | None:
    """Return the store that a server on this machine most likely writes to; None where no store is found."""
    return next((folder for folder in store_folders() if _state(folder) != "absent"), None)


def _state(folder: Path) -> str:
    """Return whether a store is open, absent, or closed to this user, as that of a service's user often is."""
    try:
        if not (folder / "manifests").exists():
            return "absent"
        return "open" if os.access(folder / "manifests", os.R_OK | os.X_OK) else "closed"
    except OSError:
        return "closed"


def stored_blob(name: str, store: Path | None = None) -> Path | None:
    """Return the GGUF of a model that Ollama has here, None when it has none.

    `name` is `[host/][namespace/]model[:tag]`; its case does not count.
    """
    folders = (store,) if store is not None else store_folders()
    return next((blob for folder in folders if (blob := _blob_in(folder, name)) is not None), None)


def _blob_in(store: Path, name: str) -> Path | None:
    try:
        manifest = _in_any_case(store / "manifests", _manifest_parts(name))
        if manifest is None:
            return None
        layers = read_json(manifest).get("layers") or []
        digests = [
            layer.get("digest")
            for layer in layers
            if isinstance(layer, dict) and layer.get("mediaType") == _MODEL_LAYER
        ]
        if len(digests) != 1 or not isinstance(digests[0], str) or _DIGEST.fullmatch(digests[0]) is None:
            return None
        blob = store / "blobs" / digests[0].replace(":", "-")
        return blob if blob.is_file() else None
    except (OSError, ValueError, TypeError, ModelError):
        return None


def _in_any_case(folder: Path, parts: Sequence[str]) -> Path | None:
    for part in parts:
        exact = folder / part
        found = [exact] if exact.exists() else [one for one in folder.iterdir() if one.name.lower() == part.lower()]
        if not found:
            return None
        folder = min(found)
    return folder


def _manifest_parts(name: str) -> list[str]:
    path, _, tag = name.rpartition(":") if ":" in name.rsplit("/", 1)[-1] else (name, "", "latest")
    parts = path.split("/")
    defaults = ["registry.ollama.ai", "library"]
    full = [*defaults[: max(0, 3 - len(parts))], *parts, tag]
    return [part for part in full if part not in ("", ".", "..")]


def served_blob(name: str) -> Path | None:
    """Ask the Ollama that runs on this machine where a model's GGUF lies; None when none runs, it has no such model, or its
    file may not be read.
    """
    from jessyfile.http import HttpError, posted

    url = local_server()
    if url is None:
        return None
    try:
        with posted(f"{url}/api/show", {"model": name}, seconds=_ASK_SECONDS) as response:
            told = json.loads(response.read()) if response.status == 200 else {}
    except (HttpError, ValueError, RecursionError):
        return None
    modelfile = told.get("modelfile") if isinstance(told, dict) else None
    found = _FROM.search(modelfile) if isinstance(modelfile, str) else None
    with contextlib.suppress(OSError, ValueError):
        if found is not None and Path(found[1]).is_file() and os.access(found[1], os.R_OK):
            return Path(found[1])
    return None


def local_server() -> str | None:
    """Return the address of this machine's Ollama, from OLLAMA_HOST as Ollama reads it; None when it names another machine."""
    url = ollama_host() or OLLAMA
    try:
        return url if is_loopback(url) else None
    except ValueError:
        return None
