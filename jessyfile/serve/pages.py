"""The root, which clients of Ollama look at to see whether it runs, and the files of the chat page, for browsers.

The page's files lie in templates/chat_page and are read once; only they can be asked for, and the browser is told to load nothing else.
"""

from __future__ import annotations

import mimetypes
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from jessyfile.fsops import files_under, read_bytes
from jessyfile.resources import resource
from jessyfile.serve.faults import RefusedError

if TYPE_CHECKING:
    from starlette.requests import Request

FOLDER = ("templates", "chat_page")
INDEX = "index.html"
RUNNING = "Ollama is running"
_LARGEST = 1 << 20
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}


@dataclass(frozen=True, slots=True)
class _PageFile:
    data: bytes
    media_type: str


@cache
def page_files() -> dict[str, _PageFile]:
    """Return the page's files by their paths below `/ui/`; none where this jessy comes without a page."""
    try:
        folder = resource(*FOLDER)
    except FileNotFoundError:
        return {}
    return {
        path.relative_to(folder).as_posix(): _PageFile(
            read_bytes(path, _LARGEST), mimetypes.guess_type(path.name)[0] or "application/octet-stream"
        )
        for path in files_under(folder, hidden=False)
    }


async def root(request: Request) -> Response:
    """Say that the server runs, in Ollama's words; to a browser, show the page."""
    if INDEX in page_files() and "text/html" in request.headers.get("accept", ""):
        return _file(INDEX)
    return PlainTextResponse(RUNNING, headers={"Vary": "Accept"})


async def page_file(request: Request) -> Response:
    """Return one file of the page."""
    return _file(request.path_params["path"] or INDEX)


def _file(path: str) -> Response:
    found = page_files().get(path)
    if found is None:
        raise RefusedError(404, "there is no such page", "not_found")
    return Response(found.data, media_type=found.media_type, headers={**HEADERS, "Vary": "Accept"})


ROUTES = (Route("/", root, methods=["GET"]), Route("/ui/{path:path}", page_file, methods=["GET"]))
