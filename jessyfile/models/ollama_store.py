"""Find a model's weights in the local Ollama store, without asking Ollama.

The store keeps a JSON manifest a name (`manifests/registry.ollama.ai/library/gemma3/270m`) whose layer of the media
type `…image.model` names the GGUF by its digest (`blobs/sha256-…`).
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

_MODEL_LAYER = "application/vnd.ollama.image.model"
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_MAX_MANIFEST = 1 << 20


def store_folder() -> Path:
    """Return where Ollama keeps its models: OLLAMA_MODELS, else ~/.ollama/models."""
    chosen = os.environ.get("OLLAMA_MODELS")
    return Path(chosen) if chosen else Path.home() / ".ollama" / "models"


def stored_blob(name: str, store: Path | None = None) -> Path | None:
    """Return the GGUF of a model that Ollama has here, None when it has none.

    `name` is `[host/][namespace/]model[:tag]`.
    """
    store = store or store_folder()
    manifest = store / "manifests" / Path(*_manifest_parts(name))
    try:
        if manifest.stat().st_size > _MAX_MANIFEST:
            return None
        layers = json.loads(manifest.read_bytes()).get("layers") or []
    except (OSError, ValueError, AttributeError, RecursionError):
        return None
    digests = [
        layer.get("digest") for layer in layers if isinstance(layer, dict) and layer.get("mediaType") == _MODEL_LAYER
    ]
    if len(digests) != 1 or not isinstance(digests[0], str) or _DIGEST.fullmatch(digests[0]) is None:
        return None
    blob = store / "blobs" / digests[0].replace(":", "-")
    return blob if blob.is_file() else None


def _manifest_parts(name: str) -> list[str]:
    path, _, tag = name.rpartition(":") if ":" in name.rsplit("/", 1)[-1] else (name, "", "latest")
    parts = path.split("/")
    defaults = ["registry.ollama.ai", "library"]
    full = [*defaults[: max(0, 3 - len(parts))], *parts, tag]
    return [part for part in full if part not in ("", ".", "..")]
