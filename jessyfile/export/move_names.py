"""Register a candidate with the engine that will serve it, and move the promoted name."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from jessyfile.errors import EngineError
from jessyfile.export import ollama_api as ollama
from jessyfile.export.registry import (
    CANDIDATE,
    CREATING,
    LATEST,
    PREVIOUS,
    Registration,
    finish_rollback,
    keep_latest,
    lookup,
    model_id,
    register,
    take_candidate,
)
from jessyfile.planning.canonical import normal

if TYPE_CHECKING:
    from pathlib import Path

    from jessyfile.language.recipe import Deploy, Route
    from jessyfile.planning.steps import Stop
    from jessyfile.results.facts import EngineName
    from jessyfile.results.served import Retrieval, Served

Report = Callable[[int, int, str], None]
Note = Callable[[str], None]
_UNBOUNDED: Mapping[str, float] = {}


def choose_engine(deploy: Deploy) -> tuple[EngineName, str | None]:
    """Return the engine: the one the recipe names, else Ollama if it answers, else the embedded one; and Ollama's version, or why
    none serves where one might.

    Raises EngineError when the recipe insists on an Ollama that does not answer.
    """
    if deploy.engine == "embedded":
        return "embedded", None
    try:
        return "ollama", ollama.probed(deploy.ollama)
    except EngineError as error:
        if deploy.engine == "ollama":
            raise
        return "embedded", error.message


def register_embedded(
    root: Path,
    name: str,
    gguf: Path,
    digest: str,
    served: Served,
    retrieval: Retrieval | None = None,
    routes: tuple[Route, ...] = (),
    within: Mapping[str, float] = _UNBOUNDED,
) -> None:
    """Register a GGUF of the store as NAME:candidate of the embedded engine.

    Args:
        root: the project's root folder.
        name: the model's name.
        gguf: the file, inside the project.
        digest: the SHA-256 of the file.
        served: chat format, system prompt, example messages and sampling parameters.
        retrieval: what is shown before a question.
        routes: which questions go to other models.
        within: the seconds that thinking at a level may take.

    Raises:
        EngineError: the file lies outside the project.
    """
    try:
        place = gguf.resolve().relative_to(root.resolve()).as_posix()
    except ValueError as error:
        raise EngineError(f"`{gguf}` lies outside the project and cannot be registered") from error
    entry = Registration(
        "embedded", digest, normal(served), gguf=place, retrieval=retrieval, routes=routes, within=within
    )
    register(root, name, CANDIDATE, entry)


def register_ollama(
    root: Path,
    url: str,
    gguf: Path,
    body: Mapping[str, Any],
    served: Served,
    report: Report,
    stop: Stop | None = None,
    retrieval: Retrieval | None = None,
    note: Note = lambda _: None,
    routes: tuple[Route, ...] = (),
    within: Mapping[str, float] = _UNBOUNDED,
) -> None:
    """Create NAME:candidate in Ollama and register it; a model of this name that jessy did not make is given another one first.

    Args:
        root: the project's root folder.
        url: the address of Ollama.
        gguf: the file to upload.
        body: the rest of Ollama's create request.
        served: chat format, system prompt, example messages and sampling parameters, with the model's name.
        report: told bytes sent, bytes in all, and what Ollama does.
        stop: asked while Ollama is waited for.
        retrieval: what jessy shows before a question; Ollama itself is not told.
        note: told the name that somebody else's model has got.
        routes: which questions go to other models.
        within: the seconds that thinking at a level may take.

    Raises:
        EngineError: Ollama does not answer or refuses.
        Interrupted: a stop was requested.
    """
    name, model = served.name, f"{served.name}:{CANDIDATE}"
    client = ollama.OllamaClient(url, stop)
    digest = client.push_blob(gguf, report)
    before = lookup(root, name, CANDIDATE)
    if before is None or before.manifest != CREATING:
        _spare(client, name, CANDIDATE, _ours(root, name), note)
    entry = Registration(
        "ollama",
        digest.removeprefix("sha256:"),
        normal(served),
        ollama=url,
        retrieval=retrieval,
        routes=routes,
        within=within,
        manifest=CREATING,
    )
    register(root, name, CANDIDATE, entry)  # killed before the next one, what stands there is known for jessy's own
    client.create({**body, "model": model, "files": {"model.gguf": digest}}, report)
    kept = client.file_digest(model) or entry.digest
    manifest = client.manifest(model) or ""
    register(root, name, CANDIDATE, replace(entry, manifest=manifest, kept=kept if kept != entry.digest else ""))


def promote(root: Path, name: str, note: Note = lambda _: None) -> Registration:
    """Make NAME:candidate NAME:latest and keep what was latest as NAME:previous, also what jessy did not make; return the
    candidate's registration.

    In Ollama the names are moved first: when it fails, the registry still says what was. `note` is told of models that jessy did
    not make. Raises EngineError.
    """
    finish_rollback(root, name)
    candidate, latest, previous = (lookup(root, name, tag) for tag in (CANDIDATE, LATEST, PREVIOUS))
    if candidate is None:
        raise EngineError(f"`{name}:candidate` is not registered", hint="run `jessy apply` again")
    before = None
    if candidate.engine == "ollama":
        before = _make_room(root, candidate, latest, previous, note)
        ollama.OllamaClient(str(candidate.ollama)).copy(f"{name}:{CANDIDATE}", f"{name}:{LATEST}")
    take_candidate(root, name, before)
    return candidate


def _make_room(
    root: Path, candidate: Registration, latest: Registration | None, previous: Registration | None, note: Note
) -> Registration | None:
    """Keep what Ollama serves as NAME:latest as NAME:previous, and write it down; what jessy did not make is lost under no name.

    Args:
        root: the project's root folder.
        candidate: what is about to be NAME:latest.
        latest: what is registered as NAME:latest.
        previous: what is registered as NAME:previous.
        note: told of models that jessy did not make.

    Returns:
        What will be NAME:previous, where that is not what is registered as NAME:latest.
    """
    name, client = candidate.name, ollama.OllamaClient(str(candidate.ollama))
    ours = _ours(root, name)
    standing, older = (client.manifest(f"{name}:{tag}") for tag in (LATEST, PREVIOUS))
    if standing is None:
        return previous  # nothing answers there, so nothing can be kept
    if standing and standing == candidate.manifest:  # killed after its last move, or the same model again
        killed = latest is None or not _same_model(latest, candidate)
        return _not_made_here(client, candidate) if killed and older and older not in ours else None
    own = latest is not None and latest.engine == "ollama" and (standing in ours or not standing or not latest.manifest)
    if own and latest is not None:
        if model_id(latest) in {model_id(one) for one in (candidate, previous) if one is not None}:
            return None  # kept already, or the same model
        _spare(client, name, PREVIOUS, ours, note)
        client.copy(f"{name}:{LATEST}", f"{name}:{PREVIOUS}")
        keep_latest(root, name)
        return None
    if latest is not None and _same_model(latest, candidate):  # somebody moved the name, and it is given back
        _spare(client, name, LATEST, ours, note)
        return None
    if older != standing:
        _spare(client, name, PREVIOUS, ours, note)
        client.copy(f"{name}:{LATEST}", f"{name}:{PREVIOUS}")
        note(
            f"{name}:{LATEST} was not made by jessy: it is kept as {name}:{PREVIOUS}, "
            f"and `jessy rollback {name}` brings it back"
        )
    return _not_made_here(client, candidate)


def _ours(root: Path, name: str) -> frozenset[str]:
    """Return the manifests of the models that jessy made and has registered under a name."""
    found = [one for tag in (CANDIDATE, LATEST, PREVIOUS) if (one := lookup(root, name, tag)) is not None]
    return frozenset(one.manifest for one in found if one.served and one.manifest)


def _not_made_here(client: ollama.OllamaClient, candidate: Registration) -> Registration:
    """Return what is written down of the model that stands under NAME:previous and jessy did not make: which it is, and not how it
    is asked."""
    model = f"{candidate.name}:{PREVIOUS}"
    digest, manifest = client.file_digest(model) or "", client.manifest(model) or ""
    return Registration("ollama", digest, ollama=candidate.ollama, name=candidate.name, tag=PREVIOUS, manifest=manifest)


def _spare(client: ollama.OllamaClient, name: str, tag: str, ours: Collection[str], note: Note) -> None:
    """Give what stands under a name that is about to be taken another one, unless jessy made it."""
    standing = client.manifest(f"{name}:{tag}")
    if not standing or standing in ours:
        return
    kept = f"{name}:kept-{standing[:12]}"  # the digits of the whole model: another one has others
    client.copy(f"{name}:{tag}", kept)
    note(f"{name}:{tag} was not made by jessy: it is kept as {kept}")


def _same_model(one: Registration, two: Registration) -> bool:
    return model_id(one) == model_id(two)
