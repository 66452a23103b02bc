"""`jessy lsp`: what an editor needs while a recipe is written."""

from __future__ import annotations

import sys

import click

from jessyfile.errors import ProjectError


@click.command()
def lsp() -> None:
    """Serve editors over the language server protocol, on standard input and output."""
    try:
        from jessyfile.editors.lsp.server import serve
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] not in ("pygls", "lsprotocol"):
            raise
        raise ProjectError("the language server needs pygls", hint="pip install 'jessy[editor]'") from error
    if sys.stdin.isatty():
        click.echo("jessy lsp speaks with an editor; see docs/editors.md", err=True)
    serve()
