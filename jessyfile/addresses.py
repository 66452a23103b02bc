"""Addresses of servers as recipes name them. One function reads them all, so the host that was allowed is the host
that is contacted."""

from __future__ import annotations

import ipaddress
from urllib.parse import SplitResult, urlsplit

PORTS = {"http": 80, "https": 443}


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
