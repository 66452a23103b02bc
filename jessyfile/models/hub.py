"""Fetch a repository of the Hugging Face hub, or say in one line why not."""

from __future__ import annotations

from pathlib import Path

from jessyfile.errors import ModelError

_WANTED = ["*.json", "*.jinja", "tokenizer.model", "model*.safetensors"]
_ETAG_SECONDS = 10.0


def fetch(repo: str, revision: str | None = None) -> Path:
    """Return the local snapshot folder, named by its commit; what the cache holds is not fetched again.

    Raises ModelError.
    """
    import httpx
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, LocalEntryNotFoundError, RepositoryNotFoundError

    try:
        return Path(snapshot_download(repo, revision=revision, allow_patterns=_WANTED, etag_timeout=_ETAG_SECONDS))
    except GatedRepoError as error:
        raise ModelError(
            f"`hf:{repo}` asks you to accept its terms", hint="accept them on the hub and log in with `hf auth login`"
        ) from error
    except RepositoryNotFoundError as error:
        raise ModelError(
            f"the hub has no repository `{repo}`", hint="check the spelling; private ones need `hf auth login`"
        ) from error
    except (LocalEntryNotFoundError, HfHubHTTPError, httpx.HTTPError, OSError, ValueError) as error:
        hint = "check the network, or name a local folder or GGUF in FROM"
        raise ModelError(f"`hf:{repo}` is not in the local cache and the hub cannot be reached", hint=hint) from error
