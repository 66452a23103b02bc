"""What the export's steps know before anything runs: quantizer, engine, name and TEMPLATE."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from jessyfile.export.ollama_api import answers, unreachable

if TYPE_CHECKING:
    from jessyfile.planning.preflight import Finding, Outlook


def import_preflight(outlook: Outlook) -> Iterator[Finding]:
    """Yield what would stop the candidate's registration: an Ollama that the recipe insists on and nobody runs."""
    deploy = outlook.recipe.deploy
    if outlook.network and deploy.engine == "ollama" and answers(deploy.ollama) is None:
        yield outlook.error(unreachable(deploy.ollama), "deploy.engine")
