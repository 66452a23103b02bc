"""What a request must be before any route sees it: sent to a name of ours, by nobody's web page, with the key, and not too large.

A browser lets any page send requests to this machine, and a page whose name is made to lead here (DNS rebinding) read the answers. Both
are told by headers that no page can write: `Host` holds the name that the page was called by, `Origin` the page.
"""

from __future__ import annotations

import hmac
import ipaddress
import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from jessyfile.serve.faults import RefusedError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jessyfile.serve.settings import Access

# the names under which a container reaches the machine that it runs on; nobody can register one
_OWN_NAMES = ("localhost", "host.docker.internal", "host.containers.internal")
_HOST = re.compile(r"(\[[0-9a-fA-F:.]+\]|[^\[\]:/?#@\\\s]+)(?::(\d{1,5}))?")
_OPEN = ("/", "/healthz")
_OPEN_BELOW = "/ui/"
SAFE = ("GET", "HEAD")
ALLOWED_METHODS = "GET, HEAD, POST, OPTIONS"
ALLOWED_HEADERS = "Authorization, Content-Type"


def check(method: str, path: str, headers: Mapping[str, str], access: Access) -> None:
    """Raise RefusedError for a request that is not answered, whatever it asks.

    Args:
        method: the request's method.
        path: its path.
        headers: its headers, by their names in lower case.
        access: who may ask.
    """
    if "content-length" in headers and "transfer-encoding" in headers:
        # a proxy before us may believe the one and we the other, and see another request in the rest
        raise RefusedError(400, "the request tells its length in two ways", "two_lengths", close=True)
    _check_host(headers.get("host", ""), access)
    _check_origin(method, path, headers, access)
    if access.key is not None and not is_open(path) and method != "OPTIONS":
        _check_key(headers.get("authorization", ""), access.key)


def is_open(path: str) -> bool:
    """Return whether a path needs no key: what says that the server is there, and the page, which asks for the key itself."""
    return path in _OPEN or path.startswith(_OPEN_BELOW)


def allowed_origin(headers: Mapping[str, str], access: Access) -> str | None:
    """Return the origin that may read the answer from a page of another server; None for none."""
    origin = headers.get("origin")
    return origin if origin is not None and origin in access.origins else None


def _check_host(host: str, access: Access) -> None:
    found = _HOST.fullmatch(host)
    if found is None:
        raise RefusedError(400, "the request names no host", "bad_host", close=True)
    name = found[1].strip("[]").rstrip(".").lower()
    if name in (*_OWN_NAMES, *access.hosts) or name.endswith(".localhost") or _is_address(name):
        return
    said = f"this server is not called `{name[:80]}`; start it with --host-name {name[:80]} if it is"
    raise RefusedError(421, said, "unknown_host", close=True)


def _is_address(name: str) -> bool:
    """Whether a host is written as a number: no page can have one of those made to lead elsewhere."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _check_origin(method: str, path: str, headers: Mapping[str, str], access: Access) -> None:
    origin = headers.get("origin")
    if origin is None:
        # a link on another page may lead to ours; anything else that a browser fetches for another page may not
        navigates = method in SAFE and headers.get("sec-fetch-mode") == "navigate" and is_open(path)
        if headers.get("sec-fetch-site") in ("cross-site", "same-site") and not navigates:
            raise _foreign("another page")
        return
    if origin in access.origins or _same(origin, headers.get("host", "")):
        return
    raise _foreign(f"`{origin[:80]}`")


def _foreign(who: str) -> RefusedError:
    said = f"the request comes from {who}, and this server answers no page but its own; allow one with --allow-origin"
    return RefusedError(403, said, "foreign_origin", close=True)


def _same(origin: str, host: str) -> bool:
    try:
        parts = urlsplit(origin)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and parts.netloc.lower() == host.lower()


def _check_key(authorization: str, key: str) -> None:
    scheme, _, given = authorization.partition(" ")
    given_bytes = given.strip().encode("utf-8", "surrogateescape")
    if scheme.lower() != "bearer" or not hmac.compare_digest(given_bytes, key.encode()):
        raise RefusedError(401, "the API key is missing or wrong", "invalid_api_key")
