"""What is registered under NAME:candidate, NAME:latest and NAME:previous.

`.jessy/models/<name>/candidate.json` and `latest.json` hold one registration each. The one of `previous` is stored
inside that of `latest`, so that every move is one write. For the embedded engine these files *are* the registration:
where the GGUF lies in the store and how to serve it. Ollama keeps its own; for it they remember what it was given, so
that a plan needs no network.

`jessy plan` reads this module, so it imports nothing heavy.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from jessyfile.errors import DamagedError, EngineError, ProjectError, StateError, StorageError
from jessyfile.export.dotenv import dotenv_holds
from jessyfile.fsops import read_bytes, write_text
from jessyfile.language.recipe import Route
from jessyfile.planning.canonical import digest, readable
from jessyfile.planning.fingerprint import FileHashes
from jessyfile.planning.formats import require_format
from jessyfile.project import jessy_folder, relative
from jessyfile.results.served import Retrieval
from jessyfile.results.typed_json import Record, read_as

if TYPE_CHECKING:
    from jessyfile.errors import Stop
    from jessyfile.language.recipe import Recipe
    from jessyfile.results.facts import ImportFacts, PromoteFacts

CANDIDATE, LATEST, PREVIOUS = "candidate", "latest", "previous"
CREATING = "creating"  # in place of a manifest: Ollama was asked to create the model, and has not said that it did
_TAGS = (CANDIDATE, LATEST, PREVIOUS)
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*(?:/[A-Za-z0-9_][A-Za-z0-9_.-]*){0,2}")


@dataclass(frozen=True, slots=True)
class TakenBack:
    """The model that a rollback took back: its file, and everything that was served."""

    digest: str
    model: str


@dataclass(frozen=True, slots=True)
class Registration:
    """Which engine serves a model, from which file, and how.

    `gguf` is the file's place, as written relative to the root, `ollama` the server's address. `served` is the record of
    `results.served.Served`, read when the model is asked: a plan must not fail on one of another version. Only the
    registration of `latest` has these three: the one of `previous`, what a rollback took back, and how many of Ollama's
    moves a rollback has made. `retrieval` is what jessy shows the model before a question, whoever serves it, `routes` which questions it
    sends to other models, `within` the seconds that thinking at a level may take. `kept` is the SHA-256 of
    the file as an Ollama keeps it that wrote the one it was given anew; empty where it is the same. `manifest` is what that Ollama
    calls the whole model, with its prompt and parameters; empty where it does not say.
    """

    engine: str
    digest: str = ""
    served: Record = field(default_factory=dict)
    gguf: str | None = None
    ollama: str | None = None
    name: str = ""
    tag: str = ""
    since: str = ""
    version: Literal[2] = 2
    previous: Registration | None = None
    rolled_back: TakenBack | None = None
    swapped: int = 0
    retrieval: Retrieval | None = None
    routes: tuple[Route, ...] = ()
    within: Mapping[str, float] = field(default_factory=dict)
    kept: str = ""
    manifest: str = ""

    @property
    def answering(self) -> str:
        """The SHA-256 of the file that whoever serves the model has."""
        return self.kept or self.digest


def entry_file(root: Path, name: str, tag: str) -> Path:
    """Return where a registration lies. Raises EngineError for a name that is no model name."""
    if _NAME.fullmatch(name) is None or tag not in _TAGS:
        raise EngineError(f"`{name}:{tag}` is no name that a model can be registered under")
    return jessy_folder(root) / "models" / Path(*name.split("/")) / f"{tag}.json"


def register(root: Path, name: str, tag: str, entry: Registration) -> None:
    """Write a registration atomically, under this name and tag.

    Args:
        root: the project's root folder.
        name: the model's name.
        tag: `candidate` or `latest`.
        entry: the registration; its own name and tag are replaced.

    Raises:
        EngineError: the disk takes another model's name for this one, or the file is a link out of `.jessy`.
    """
    standing = _read(root, name, tag)
    if standing is not None and standing.name not in ("", name):
        raise EngineError(
            f"`{name}` and `{standing.name}` are the same name on this disk", hint="give one of them another NAME"
        )
    if not entry_file(root, name, tag).resolve().is_relative_to(jessy_folder(root).resolve()):
        raise EngineError(f"the registration of `{name}` is a link that leads out of `.jessy`", hint="remove the link")
    since = entry.since or datetime.now(UTC).isoformat(timespec="seconds")
    write_text(entry_file(root, name, tag), readable(replace(entry, name=name, tag=tag, since=since)))


def lookup(root: Path, name: str, tag: str = LATEST) -> Registration | None:
    """Return a registration with its paths absolute, None when there is none or it cannot be
    read. Raises StateError for one of a newer or an older jessy.
    """
    entry = _stored(root, name, tag)
    if entry is None:
        return None
    place = None if entry.gguf is None else str(root / entry.gguf)
    return replace(_model(entry), tag=tag, gguf=place, retrieval=entry.retrieval and entry.retrieval.under(root))


def registered(root: Path, name: str, tag: str = LATEST) -> Registration:
    """Return a registration. Raises EngineError that names what there is when nothing is registered so."""
    entry = lookup(root, name, tag)
    if entry is None:
        names = registered_names(root)
        hint = f"registered are {', '.join(names)}" if names else "run `jessy apply RECIPE` first"
        if tag == LATEST and lookup(root, name, CANDIDATE) is not None:
            hint = f"it was not promoted; what the last apply made is `{name}:{CANDIDATE}`"
        raise EngineError(f"there is no model `{name}:{tag}` in this project", hint=hint)
    return entry


def model_id(entry: Registration) -> str:
    """Return one name for everything that a registration serves: the file, how it is asked, and the engine."""
    shown: dict[str, object] = {"retrieval": entry.retrieval.anywhere} if entry.retrieval is not None else {}
    if entry.routes:
        shown["routes"] = entry.routes
    return digest({"engine": entry.engine, "digest": entry.digest, "served": entry.served, **shown})


def _model(entry: Registration) -> Registration:
    """Return the registration of the model alone, without what only `latest` has."""
    return replace(entry, previous=None, rolled_back=None, swapped=0)


def _stored(root: Path, name: str, tag: str) -> Registration | None:
    """Return a registration as written, its GGUF relative to the root."""
    found = _read(root, name, LATEST if tag == PREVIOUS else tag)
    if tag == PREVIOUS and found is not None:
        found = found.previous
    return found if found is not None and found.name == name else None


def _read(root: Path, name: str, tag: str) -> Registration | None:
    path = entry_file(root, name, tag)
    try:
        body = json.loads(read_bytes(path))
    except (FileNotFoundError, ValueError, RecursionError):
        return None
    require_format("registration", body, relative(path, root))
    try:
        return read_as(Registration, body, f"`{path}`")
    except StateError:
        return None


def check_served(root: Path, entry: Registration, *, thorough: bool = False) -> None:
    """Make sure that the file which a registration is served from is the one that was registered.

    The hash of a big file is remembered with its size, inode and times; `thorough` reads every byte again. Not covered:
    bytes that rot on the disk without a write, until the next thorough reading, and what Ollama keeps itself. Raises
    DamagedError.
    """
    if entry.engine != "embedded":
        return
    path, hashes = Path(entry.gguf or ""), FileHashes(root, thorough)
    damage = None if path.is_file() else "is gone"
    if damage is None and hashes.of(path) != entry.digest:
        damage = "has other bytes than were written"
    with contextlib.suppress(StorageError):  # only the next reading's speed hangs on this
        hashes.save()
    if damage is not None:
        raise DamagedError(
            f"the file of {entry.name}:{entry.tag} {damage} ({path})",
            hint="run `jessy apply` again with the recipe that made it; it is made again",
        )


def check_answering(root: Path, entry: Registration, stop: Stop | None = None) -> None:
    """Make sure that whoever is asked under a registration's name is the model that was registered: the file for the embedded
    engine, read again, and for Ollama the one that it serves, where it says which. Raises DamagedError, EngineError."""
    if entry.engine != "ollama":
        return check_served(root, entry, thorough=True)
    from jessyfile.export.ollama_api import OllamaClient

    client, name = OllamaClient(str(entry.ollama), stop), f"{entry.name}:{entry.tag}"
    found, whole = client.file_digest(name), client.manifest(name) or ""
    other_file = found not in (None, entry.answering)
    if other_file or (entry.manifest and whole not in ("", entry.manifest)):
        what = "another file" if other_file else "another model of the same file"
        seen, known = (found, entry.answering) if other_file else (whole, entry.manifest)
        raise DamagedError(
            f"Ollama serves {what} as {name} ({str(seen)[:12]}) than was registered ({known[:12]})",
            hint="somebody gave it the name; run `jessy apply` again with the recipe that made it",
        )
    return None


def registered_names(root: Path) -> list[str]:
    """Return every name that has a `latest`, sorted."""
    folder = jessy_folder(root) / "models"
    return sorted(path.parent.relative_to(folder).as_posix() for path in folder.glob(f"**/{LATEST}.json"))


def holds_candidate(recipe: Recipe, root: Path, facts: Record, asks: bool = False) -> bool:
    """Return whether what the step `import` registered is still NAME:candidate, its file whole.

    Args:
        recipe: the recipe, for its name.
        root: the project's root folder.
        facts: what the step returned.
        asks: ask an Ollama which file it serves.
    """
    from jessyfile.results.facts import ImportFacts

    return _holds(root, recipe.name, CANDIDATE, read_as(ImportFacts, facts, "the record of `import`"), asks)


def holds_latest(recipe: Recipe, root: Path, facts: Record, asks: bool = False) -> bool:
    """Return whether what the step `promote` did still stands, or was taken back by a rollback; a model that was
    refused has nothing to hold.

    Args:
        recipe: the recipe, for its name and its .env file.
        root: the project's root folder.
        facts: what the step returned.
        asks: ask an Ollama which file it serves.
    """
    from jessyfile.results.facts import PromoteFacts

    promoted = read_as(PromoteFacts, facts, "the record of `promote`")
    if not promoted.promoted:
        return True
    try:
        if recipe.deploy.dotenv and not dotenv_holds(root, recipe.deploy.dotenv, f"{recipe.name}:{LATEST}"):
            return False
    except ProjectError:  # the step's preflight says so
        return False
    return kept_back(root, recipe.name, promoted) is not None or _holds(root, recipe.name, LATEST, promoted, asks)


def _holds(root: Path, name: str, tag: str, facts: ImportFacts | PromoteFacts, asks: bool) -> bool:
    entry = lookup(root, name, tag)
    if entry is None or entry.engine != facts.engine or not _names(facts, entry.digest, model_id(entry)):
        return False
    try:
        check_served(root, entry)
    except DamagedError:
        return False
    return not asks or _stands_in_ollama(entry)


def _stands_in_ollama(entry: Registration) -> bool:
    """Return whether an Ollama still serves the file that a registration names. One that does not answer, or does not say, is not
    doubted."""
    if entry.engine != "ollama":
        return True
    from jessyfile.export.ollama_api import OllamaClient, answers

    url = str(entry.ollama)
    if answers(url) is None:
        return True
    try:
        found = OllamaClient(url).manifest(f"{entry.name}:{entry.tag}")
    except EngineError:
        return True
    if not entry.manifest:  # registered by an earlier jessy
        return found is not None
    return found in ("", entry.manifest)


def _names(facts: ImportFacts | PromoteFacts, file: object, model: object) -> bool:
    """Whether a step's facts are those of this model."""
    return facts.digest == file and facts.model in ("", model)


def kept_back(root: Path, name: str, facts: ImportFacts | PromoteFacts) -> str | None:
    """Return a sentence when the model of these facts was put back by a rollback and stays back; else None."""
    latest = _stored(root, name, LATEST)
    if latest is None or latest.rolled_back is None:
        return None
    if not _names(facts, latest.rolled_back.digest, latest.rolled_back.model):
        return None
    return (
        f"{name}:{LATEST} is kept back by rollback at the model of {latest.since}; "
        f"`jessy rollback {name}` promotes the newer one again"
    )


def keep_latest(root: Path, name: str) -> None:
    """Write what is latest down as previous too, unless it is the candidate itself or is kept already."""
    candidate, latest, previous = (_stored(root, name, tag) for tag in (CANDIDATE, LATEST, PREVIOUS))
    if latest is not None and not _same(latest, candidate) and not _same(latest, previous):
        register(root, name, LATEST, replace(latest, previous=_model(latest)))


def take_candidate(root: Path, name: str, before: Registration | None = None) -> None:
    """Write the candidate down as latest and what was latest as previous; doing it twice changes nothing.

    `before` is what is previous where that is not what is registered as latest. Raises EngineError when there is no candidate.
    """
    candidate, latest, previous = (_stored(root, name, tag) for tag in (CANDIDATE, LATEST, PREVIOUS))
    if candidate is None:
        raise EngineError(f"`{name}:candidate` is not registered", hint="run `jessy apply` again")
    if latest is None or not _same(latest, candidate):
        before = before or latest or previous
        kept = _model(before) if before is not None else None
        register(root, name, LATEST, replace(candidate, since="", previous=kept))


def _same(one: Registration | None, two: Registration | None) -> bool:
    return one is not None and two is not None and model_id(one) == model_id(two)


def before_candidate(root: Path, name: str) -> Registration | None:
    """Return what is promoted under a name, or where that is the candidate itself, what was before it; None for nothing."""
    latest = lookup(root, name, LATEST)
    return latest if not _same(latest, lookup(root, name, CANDIDATE)) else lookup(root, name, PREVIOUS)


def rollback(name: str, root: Path) -> str:
    """Move NAME:latest back to NAME:previous, in Ollama too when it serves the model; return a line that says so.

    The model that was latest stays back until the user asks for it or a recipe gives another one. Raises EngineError
    when there is nothing to go back to, or Ollama does not answer, DamagedError when the previous model's file is not
    whole; nothing is changed then.
    """
    latest, previous = _stored(root, name, LATEST), lookup(root, name, PREVIOUS)
    if latest is None or previous is None:
        raise EngineError(f"`{name}` has no previous model to go back to", hint="`jessy status` shows what is promoted")
    check_served(root, previous, thorough=True)
    if previous.engine == "ollama":
        move_back(root, name, latest, previous)
    back = TakenBack(latest.digest, model_id(latest))
    now = replace(latest.previous or previous, previous=_model(latest), rolled_back=back)
    register(root, name, LATEST, now)
    return f"{name}:latest is again the model of {previous.since or 'before'}"


def move_back(root: Path, name: str, latest: Registration, previous: Registration) -> None:
    """Give Ollama's NAME:latest the model of NAME:previous, and the other way round when Ollama serves both.

    Each move is recorded, so that a rollback that was killed continues where it stopped.

    Args:
        root: the project's root folder.
        name: the model's name.
        latest: the registration of NAME:latest.
        previous: the registration of NAME:previous.

    Raises:
        EngineError: Ollama does not answer or refuses.
    """
    from jessyfile.export.ollama_api import OllamaClient

    def moved(count: int) -> None:
        register(root, name, LATEST, replace(latest, swapped=count))

    client, (newer, older) = OllamaClient(str(previous.ollama)), (f"{name}:{tag}" for tag in (LATEST, PREVIOUS))
    if latest.engine != "ollama" and previous.manifest and client.manifest(newer) == previous.manifest:
        return  # the embedded engine took over, and Ollama's own name never moved
    if not latest.swapped and not _is(client.manifest(older), previous):
        hint = "`ollama list` shows what it has"
        raise EngineError(f"Ollama no longer has the model that is registered as {older}", hint=hint)
    if latest.engine == "ollama":
        client.swap(newer, older, latest.swapped, moved)
    else:
        client.copy(older, newer)


def _is(manifest: str | None, entry: Registration) -> bool:
    """Return whether what stands under a name in Ollama may be the model of a registration; it may when either says nothing."""
    return manifest is not None and (not manifest or not entry.manifest or manifest == entry.manifest)


def finish_rollback(root: Path, name: str) -> None:
    """Finish a rollback that was killed between two of Ollama's moves, if there is one. Raises EngineError."""
    latest = _stored(root, name, LATEST)
    if latest is not None and latest.swapped:
        rollback(name, root)
