"""What the export's steps know before anything runs: engine and .env file."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from jessyfile.errors import ProjectError, StorageError
from jessyfile.export.dotenv import check_dotenv
from jessyfile.export.ollama_api import answers, unreachable

if TYPE_CHECKING:
    from jessyfile.planning.preflight import Finding, Outlook


def import_preflight(outlook: Outlook) -> Iterator[Finding]:
    """Yield what would stop the candidate's registration: an Ollama that the recipe insists on and nobody runs."""
    deploy = outlook.recipe.deploy
    if outlook.network and deploy.engine == "ollama" and answers(deploy.ollama) is None:
        yield outlook.error(unreachable(deploy.ollama), "deploy.engine")


def promote_preflight(outlook: Outlook) -> Iterator[Finding]:
    """Yield why the promoted model's name could not be written into the .env file."""
    dotenv = outlook.recipe.deploy.dotenv
    if dotenv is None:
        return
    try:
        check_dotenv(outlook.root, dotenv)
    except (ProjectError, StorageError) as error:
        yield outlook.error(error, "deploy.dotenv")
