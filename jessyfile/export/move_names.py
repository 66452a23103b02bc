"""Register a candidate with the engine that will serve it, and move the promoted name."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any

from jessyfile.errors import EngineError
from jessyfile.export import ollama_api as ollama
from jessyfile.export.registry import (
    CANDIDATE,
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

    from jessyfile.language.recipe import Deploy
    from jessyfile.planning.steps import Stop
    from jessyfile.results.facts import EngineName
    from jessyfile.results.served import Retrieval, Served

Report = Callable[[int, int, str], None]
Note = Callable[[str], None]


def choose_engine(deploy: Deploy) -> tuple[EngineName, str | None]:
    """Return the engine and, for Ollama, its version: the one the recipe names, else Ollama if it answers, else the
    embedded one.

    Raises EngineError when the recipe insists on an Ollama that does not answer.
    """
    if deploy.engine == "embedded":
        return "embedded", None
    try:
        return "ollama", ollama.probed(deploy.ollama)
    except EngineError:
        if deploy.engine == "ollama":
            raise
        return "embedded", None


def register_embedded(
    root: Path, name: str, gguf: Path, digest: str, served: Served, retrieval: Retrieval | None = None
) -> None:
    """Register a GGUF of the store as NAME:candidate of the embedded engine.

    Args:
        root: the project's root folder.
        name: the model's name.
        gguf: the file, inside the project.
        digest: the SHA-256 of the file.
        served: chat format, system prompt, example messages and sampling parameters.
        retrieval: what is shown before a question.

    Raises:
        EngineError: the file lies outside the project.
    """
    try:
        place = gguf.resolve().relative_to(root.resolve()).as_posix()
    except ValueError as error:
        raise EngineError(f"`{gguf}` lies outside the project and cannot be registered") from error
    register(root, name, CANDIDATE, Registration("embedded", digest, normal(served), gguf=place, retrieval=retrieval))


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

    Raises:
        EngineError: Ollama does not answer or refuses.
        Interrupted: a stop was requested.
    """
    name = served.name
    client = ollama.OllamaClient(url, stop)
    digest = client.push_blob(gguf, report)
    _spare(client, name, CANDIDATE, _ours(root, name) | {digest.removeprefix("sha256:")}, note)
    request = {**body, "model": f"{name}:{CANDIDATE}", "files": {"model.gguf": digest}}
    client.create(request, report)
    sent = digest.removeprefix("sha256:")
    kept = client.file_digest(f"{name}:{CANDIDATE}") or sent
    entry = Registration(
        "ollama",
        sent,
        normal(served),
        ollama=url,
        retrieval=retrieval,
        kept=kept if kept != sent else "",
    )
    register(root, name, CANDIDATE, entry)


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
    foreign = None
    if candidate.engine == "ollama":
        client = ollama.OllamaClient(str(candidate.ollama))
        ours = _ours(root, name)
        standing = client.digest_of(f"{name}:{LATEST}")
        if standing is not None and standing not in ours:
            foreign = _not_made_here(candidate, standing)
            note(
                f"{name}:{LATEST} was not made by jessy: it is kept as {name}:{PREVIOUS}, "
                f"and `jessy rollback {name}` brings it back"
            )
            _spare(client, name, PREVIOUS, ours | {standing}, note)
            client.copy(f"{name}:{LATEST}", f"{name}:{PREVIOUS}")
        elif _must_keep(latest, previous, candidate):
            _spare(client, name, PREVIOUS, ours, note)
            client.copy(f"{name}:{LATEST}", f"{name}:{PREVIOUS}")
        elif latest is None:  # the first promotion, killed after it had moved both names
            kept = client.digest_of(f"{name}:{PREVIOUS}")
            foreign = _not_made_here(candidate, kept) if kept is not None and kept not in ours else None
        if foreign is None:
            keep_latest(root, name)
        client.copy(f"{name}:{CANDIDATE}", f"{name}:{LATEST}")
    take_candidate(root, name, foreign)
    return candidate


def _ours(root: Path, name: str) -> frozenset[str]:
    """Return the digests of what jessy has registered under a name."""
    found = [one for tag in (CANDIDATE, LATEST, PREVIOUS) if (one := lookup(root, name, tag)) is not None]
    return frozenset(digest for one in found for digest in (one.digest, one.kept) if digest)


def _not_made_here(candidate: Registration, digest: str) -> Registration:
    """Return what is written down of a model that Ollama serves and jessy did not make: which file, and not how it is asked."""
    return Registration("ollama", digest, ollama=candidate.ollama, name=candidate.name, tag=PREVIOUS)


def _spare(client: ollama.OllamaClient, name: str, tag: str, ours: Collection[str], note: Note) -> None:
    """Give what stands under a name that is about to be taken another one, unless jessy made it."""
    standing = client.digest_of(f"{name}:{tag}")
    if standing is not None and standing not in ours:
        kept = f"{name}:kept-{standing[:12] or tag}"
        client.copy(f"{name}:{tag}", kept)
        note(f"{name}:{tag} was not made by jessy: it is kept as {kept}")


def _must_keep(latest: Registration | None, previous: Registration | None, candidate: Registration) -> bool:
    """Only a latest that Ollama serves can be kept there; one that is kept already must not be lost to an interrupted
    move.
    """
    if latest is None or latest.engine != "ollama":
        return False
    return model_id(latest) not in {model_id(entry) for entry in (candidate, previous) if entry is not None}
