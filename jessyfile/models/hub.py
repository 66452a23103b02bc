"""Find a repository of the Hugging Face hub in the local cache, ask about it, download it, or say in one line why
that fails."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jessyfile.errors import Interrupted, JessyError, ModelError
from jessyfile.fsops import storage_error

if TYPE_CHECKING:
    from jessyfile.planning.steps import Stop

_WANTED = ["*.json", "*.jinja", "tokenizer.model", "model*.safetensors"]
_ETAG_SECONDS = 10.0
_NETWORK = (ConnectionError, TimeoutError, socket.gaierror)


def cache_folder() -> Path:
    """Return where the hub's library keeps what it fetched: HF_HUB_CACHE, else below HF_HOME, else ~/.cache."""
    chosen = os.environ.get("HF_HUB_CACHE") or os.environ.get("HUGGINGFACE_HUB_CACHE")
    if chosen:
        return Path(chosen).expanduser()
    cache = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
    return Path(os.environ.get("HF_HOME") or cache / "huggingface").expanduser() / "hub"


def cached(repo: str, revision: str | None = None) -> Path | None:
    """Return the local snapshot folder of a repository, None when the cache has none with a config.json and weights."""
    home = cache_folder() / f"models--{repo.replace('/', '--')}"
    reference, commit = home / "refs" / (revision or "main"), revision or ""
    if reference.is_file():
        commit = reference.read_text(encoding="utf-8", errors="replace").strip()
    folder = home / "snapshots" / commit
    whole = commit and (folder / "config.json").is_file() and any(folder.glob("model*.safetensors"))
    return folder if whole else None


@dataclass(frozen=True, slots=True)
class Offered:
    """What the hub says of a repository: the bytes that would be fetched, its config.json, the names of its files, whether
    terms have to be accepted first.
    """

    bytes: int
    config: Mapping[str, Any]
    files: tuple[str, ...]
    gated: bool


def offered(repo: str, revision: str | None = None) -> Offered:
    """Ask the hub about a repository, within ten seconds. Raises ModelError when it has none, or cannot be reached."""
    from fnmatch import fnmatch

    from huggingface_hub import HfApi

    with _told(repo):
        found = HfApi().model_info(repo, revision=revision, files_metadata=True, timeout=_ETAG_SECONDS)
        names = tuple(file.rfilename for file in found.siblings or ())
        config = _config(repo, revision) if "config.json" in names and not found.gated else found.config or {}
    wanted = [file for file in found.siblings or () if any(fnmatch(file.rfilename, form) for form in _WANTED)]
    return Offered(sum(file.size or 0 for file in wanted), config, names, bool(found.gated))


def _config(repo: str, revision: str | None) -> Mapping[str, Any]:
    """Return a repository's config.json alone, some kilobytes."""
    from huggingface_hub import hf_hub_download

    from jessyfile.models.model_json import read_json

    return read_json(Path(hf_hub_download(repo, "config.json", revision=revision, etag_timeout=_ETAG_SECONDS)))


def fetch(
    repo: str, revision: str | None = None, stop: Stop | None = None, wanted: Sequence[str] = tuple(_WANTED)
) -> Path:
    """Return the local snapshot folder, named by its commit; what the cache holds is not fetched again.

    Args:
        repo: the repository.
        revision: a branch, tag or commit of it.
        stop: asked whether to stop.
        wanted: patterns of the names of the files that are fetched.

    Raises:
        ModelError: the hub cannot give it.
        StorageError: the disk cannot take it.
        Interrupted: it was asked to stop; the part that came is kept, and the same command goes on from there.
    """
    from huggingface_hub import snapshot_download

    with _told(repo):
        found = snapshot_download(
            repo, revision=revision, allow_patterns=list(wanted), etag_timeout=_ETAG_SECONDS, tqdm_class=_bar(stop)
        )
    return Path(found)


@contextlib.contextmanager
def _told(repo: str) -> Iterator[None]:
    """Turn what the hub's library raises into one line."""
    from huggingface_hub import errors
    from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, RepositoryNotFoundError

    # the hub's client is httpx or its successor; both of its errors derive from one that stands behind the hub's own
    wire_error: type[Exception] = HfHubHTTPError.__mro__[1]
    lost: type[Exception] = getattr(errors, "XetDownloadError", HfHubHTTPError)  # not in the first releases of 1.x
    try:
        yield
    except GatedRepoError as error:
        raise ModelError(
            f"`hf:{repo}` asks you to accept its terms", hint="accept them on the hub and log in with `hf auth login`"
        ) from error
    except RepositoryNotFoundError as error:
        raise ModelError(
            f"the hub has no repository `{repo}`", hint="check the spelling; private ones need `hf auth login`"
        ) from error
    except (wire_error, lost, OSError, RuntimeError, ValueError) as error:
        raise _refused(repo, error) or _failed(repo, error) from error


def _refused(repo: str, error: BaseException) -> ModelError | None:
    """Return what an answer of the hub means, None where there was none; the library may wrap it as a missing file."""
    from huggingface_hub.errors import HfHubHTTPError, RevisionNotFoundError

    found = [one for one in (error, error.__cause__) if isinstance(one, HfHubHTTPError)]
    if any(isinstance(one, RevisionNotFoundError) for one in found):
        return ModelError(
            f"the hub's `{repo}` has no such revision",
            hint="name a branch, tag or commit of it, or leave @revision out",
        )
    statuses = (getattr(getattr(one, "response", None), "status_code", None) for one in found)
    status = next((status for status in statuses if isinstance(status, int)), None)
    if status in (401, 403):
        hint = "log in again with `hf auth login`, or unset HF_TOKEN if it is an old one"
        return ModelError(f"the hub refuses your token for `hf:{repo}` (HTTP {status})", hint=hint)
    if status == 429 or (status is not None and status >= 500):
        return ModelError(f"the hub cannot serve `hf:{repo}` now (HTTP {status})", hint="try again later")
    return None


def _failed(repo: str, error: BaseException) -> JessyError:
    """Say whether the disk, the network or the download itself failed."""
    if isinstance(error, OSError) and error.errno is not None and not isinstance(error, _NETWORK):
        return storage_error(error, error.filename or str(cache_folder()), f"download `hf:{repo}` to")
    if isinstance(error, RuntimeError):
        told = " ".join(str(error).split())[:200]
        return ModelError(f"`hf:{repo}` could not be downloaded: {told}", hint="try again; what came is kept")
    hint = "check the network, or name a local folder or GGUF in FROM"
    return ModelError(f"`hf:{repo}` is not in the local cache and the hub cannot be reached", hint=hint)


def _bar(stop: Stop | None) -> Any:  # noqa: ANN401 (a class of the bar's own kind)
    """Return the hub's bar, which also asks whether to stop whenever some bytes have come."""
    from huggingface_hub.utils import tqdm  # type: ignore[attr-defined]

    class Bar(tqdm):
        def update(self, n: float | None = 1) -> bool | None:
            if stop is not None and stop.requested():
                raise Interrupted("stopped while downloading; the part that came is kept")
            return bool(super().update(n))

    return Bar
