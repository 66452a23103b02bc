"""Addresses of servers as recipes name them. One function reads them all, so the host that was allowed is the host
that is contacted."""

from __future__ import annotations

import ipaddress
import os
from urllib.parse import SplitResult, urlsplit

PORTS = {"http": 80, "https": 443}
OLLAMA = "http://127.0.0.1:11434"
_OLLAMA_PORT = 11434
_AS_CALLED = {
    "": "127.0.0.1",
    "0.0.0.0": "127.0.0.1",  # noqa: S104 (what a server listens on, not what is called)
    "::": "::1",
}


def address_of(url: str) -> SplitResult:
    """Return the parts of an `http` or `https` address, host and port checked. Raises ValueError for anything else.

    A user name or password in an address is refused: it would be sent, printed and stored with the recipe.
    """
    try:
        parts = urlsplit(url.strip())
        usable = parts.scheme in PORTS and parts.hostname and parts.port != 0 and "@" not in parts.netloc
        if usable and "\\" not in parts.netloc and parts.hostname:
            parts.hostname.encode("idna")
            return parts
    except (ValueError, UnicodeError):
        pass
    raise ValueError("the address is no URL of a server")


def host_of(url: str) -> str:
    """Return whom an address reaches, `host` or `host:port`. Raises ValueError for what is no address."""
    parts = address_of(url)
    name = str(parts.hostname)
    host = f"[{name}]" if ":" in name else name.encode("idna").decode("ascii")
    return host if parts.port in (None, PORTS[parts.scheme]) else f"{host}:{parts.port}"


def is_loopback(url: str) -> bool:
    """Return whether an address is this machine's own."""
    host = str(address_of(url).hostname)
    if host == "localhost":
        return True
    try:
        found = ipaddress.ip_address(host)
    except ValueError:
        return False
    return found.is_loopback or found.is_unspecified  # a request to 0.0.0.0 stays on this machine


def ollama_host() -> str | None:
    """Return the address that OLLAMA_HOST gives, read as Ollama's own client does; None where it is not set, and the text itself
    where it is no address.

    Without a scheme the port is 11434 unless said, with one the scheme's own. What a server listens on to be reached from everywhere,
    `0.0.0.0` and `::`, is this machine for a client.
    """
    written = os.environ.get("OLLAMA_HOST", "").strip().strip("\"'")
    if not written or any(one.isspace() for one in written):
        return written or None
    scheme, named, rest = written.rpartition("://")
    try:
        parts = urlsplit(f"//{_bracketed(rest)}")
        host = _AS_CALLED.get(parts.hostname or "", parts.hostname)
        port = parts.port or (PORTS[scheme] if named else _OLLAMA_PORT)
        str(host).encode("idna")
    except (ValueError, KeyError):
        return written
    user = "…@" if "@" in parts.netloc else ""  # refused later, and nothing of it is to be printed
    shown = f"[{host}]" if ":" in str(host) else host
    return f"{scheme or 'http'}://{user}{shown}:{port}{parts.path.rstrip('/')}"


def _bracketed(written: str) -> str:
    """Return an address of IPv6 in the brackets that a URL wants around it, anything else as it is."""
    try:
        return f"[{ipaddress.IPv6Address(written)}]"
    except ValueError:
        return written
