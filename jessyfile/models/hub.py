"""Fetch a repository of the Hugging Face hub, or say in one line why not."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jessyfile.errors import Interrupted, JessyError, ModelError
from jessyfile.fsops import storage_error

if TYPE_CHECKING:
    from jessyfile.planning.steps import Stop

_WANTED = ["*.json", "*.jinja", "tokenizer.model", "model*.safetensors"]
_ETAG_SECONDS = 10.0
_NETWORK = (ConnectionError, TimeoutError, socket.gaierror)


def fetch(repo: str, revision: str | None = None, stop: Stop | None = None) -> Path:
    """Return the local snapshot folder, named by its commit; what the cache holds is not fetched again.

    Raises ModelError, StorageError when the disk cannot take it, Interrupted when asked to stop: the part that came is
    kept, and the same command goes on from there.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, RepositoryNotFoundError

    # the hub's client is httpx or its successor; both of its errors derive from one that stands behind the hub's own
    wire_error: type[Exception] = HfHubHTTPError.__mro__[1]
    try:
        found = snapshot_download(
            repo, revision=revision, allow_patterns=_WANTED, etag_timeout=_ETAG_SECONDS, tqdm_class=_bar(stop)
        )
    except GatedRepoError as error:
        raise ModelError(
            f"`hf:{repo}` asks you to accept its terms", hint="accept them on the hub and log in with `hf auth login`"
        ) from error
    except RepositoryNotFoundError as error:
        raise ModelError(
            f"the hub has no repository `{repo}`", hint="check the spelling; private ones need `hf auth login`"
        ) from error
    except (wire_error, OSError, RuntimeError, ValueError) as error:
        raise _failed(repo, error) from error
    return Path(found)


def _failed(repo: str, error: BaseException) -> JessyError:
    """Say whether the disk, the network or the download itself failed."""
    if isinstance(error, OSError) and error.errno is not None and not isinstance(error, _NETWORK):
        return storage_error(error, error.filename or _cache(), f"download `hf:{repo}` to")
    if isinstance(error, RuntimeError):
        return ModelError(f"`hf:{repo}` could not be downloaded: {' '.join(str(error).split())[:200]}")
    hint = "check the network, or name a local folder or GGUF in FROM"
    return ModelError(f"`hf:{repo}` is not in the local cache and the hub cannot be reached", hint=hint)


def _cache() -> str:
    from huggingface_hub.constants import HF_HUB_CACHE

    return str(HF_HUB_CACHE)


def _bar(stop: Stop | None) -> Any:  # noqa: ANN401 (a class of the bar's own kind)
    """Return the hub's bar, which also asks whether to stop whenever some bytes have come."""
    from huggingface_hub.utils import tqdm  # type: ignore[attr-defined]

    class Bar(tqdm):
        def update(self, n: float | None = 1) -> bool | None:
            if stop is not None and stop.requested():
                raise Interrupted("stopped while downloading; the part that came is kept")
            return bool(super().update(n))

    return Bar
